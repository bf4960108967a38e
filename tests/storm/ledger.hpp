/* What was told of every handle, and whether that is right. Each event of each queue goes through
   here; what breaks a rule ends the program with words. */
#ifndef SOCKEYE_STORM_LEDGER_HPP
#define SOCKEYE_STORM_LEDGER_HPP

#include "sockeye.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace storm {

constexpr uint32_t CALLERS = 4;
constexpr uint32_t QUEUES_MAX = 2;

/* Says what is wrong and ends the program; never returns. */
[[noreturn]] void fail(const char *what, uint64_t one = 0, uint64_t two = 0);

/* Names the run for `fail`. */
void name_run(const char *name);

/* The user_data of a door, or a connect, without framing: its messages are whatever arrived. */
constexpr uint64_t RAW = 1;

/* The user_data that every connection is given while its OPENED is handled. */
uint64_t mark_of(uint64_t handle);

/* A message that says by whom and in which order it was sent. A small one holds only filling. */
void write_message(uint8_t *bytes, size_t len, uint32_t caller, uint64_t number);

class Ledger {
public:
    /* `sockeye_connect` or `sockeye_listen` gave this handle. */
    void connected(sockeye_conn conn);
    void listening(sockeye_listener door);
    /* `sockeye_conn_set_user_data` answered OK while OPENED was handled. */
    void marked(sockeye_conn conn);
    /* One array as poll filled it. */
    void look(uint32_t queue, const sockeye_event *events, int32_t count);
    /* All queues are drained: `posted` is what each caller posted and was told OK for. */
    void look_at_end(const uint64_t (&posted)[CALLERS][QUEUES_MAX]) const;

    uint64_t conns() const { return conns_.size(); }
    uint64_t messages() const { return messages_; }

private:
    struct Conn {
        uint32_t queue = 0;
        bool connected = false;  /* by us: somebody was given the handle */
        bool dialled = false;    /* told as one that we connected */
        bool raw = false;
        bool seen = false, opened = false, closed = false, marked = false;
        uint64_t last[CALLERS] = {};
    };
    struct Door {
        uint32_t queue = 0;
        bool listening = false, closed = false;
    };

    void look_at(uint32_t queue, const sockeye_event &event);
    void opened(uint32_t queue, const sockeye_event &event);
    void message(Conn &conn, const sockeye_event &event);
    void posted(uint32_t queue, const sockeye_event &event);

    mutable std::mutex lock_;
    std::unordered_map<uint64_t, Conn> conns_;
    std::unordered_map<uint64_t, Door> doors_;
    uint64_t posted_[CALLERS][QUEUES_MAX] = {};
    uint64_t messages_ = 0;
};

}  // namespace storm

#endif
