// One player without a human: joins, sends an input 30 times a second, and checks all it is told.
#pragma once

#include <array>
#include <cstdint>

#include "protocol.hpp"
#include "sockeye.hpp"
#include "stats.hpp"

namespace arena {

// What all bots have done and seen. The last ones must stay zero.
struct Totals {
    uint64_t sessions = 0; // connects begun
    uint64_t joins = 0, leaves = 0;
    uint64_t inputs = 0;    // taken by Sockeye
    uint64_t snapshots = 0; // received
    uint64_t missed = 0;    // due, and a newer one took their place, or there was no room
    uint64_t due = 0;       // as the server says
    uint64_t notices = 0;

    uint64_t out_of_order = 0;   // snapshots of a tick that was over, or of an area not asked for
    uint64_t corrupt = 0;        // messages that were not whole, or with a wrong checksum
    uint64_t ack_errors = 0;     // the acknowledged input went back, or was never sent
    uint64_t area_errors = 0;    // somebody stands elsewhere, or the bot's own areas are wrong
    uint64_t count_errors = 0;   // the server's numbers at the end are not ours
    uint64_t connect_failed = 0; // no connection, or no WELCOME
    uint64_t lost = 0;           // a session that ended without GOODBYE
    uint64_t kicked = 0;         // a GOODBYE that nobody asked for
    uint64_t refused = 0;        // inputs that Sockeye did not take

    uint64_t errors() const
    {
        return out_of_order + corrupt + ack_errors + area_errors + count_errors + connect_failed +
               lost + kicked + refused;
    }
};

// What all bots share.
struct Crowd {
    sockeye::net net;
    const char *url = nullptr;
    bool lanes = false;  // inputs and snapshots may be lost, and overtake what else is said
    uint64_t end_us = 0; // from then on everybody says goodbye
    bool ending = false; // or the server asked for it
    Totals totals;
    Snapshot seen;     // the one just read: its memory serves all bots, one after the other
    Histogram latency; // from sending an input to the snapshot that acknowledges it
};

class Bot {
public:
    // A `restless` bot leaves now and then and comes back.
    Bot(Crowd &crowd, uint32_t number, bool restless, uint64_t start_us);

    // Called 30 times a second.
    void drive(uint64_t now);
    void handle(sockeye::event event, uint64_t now);
    bool done() const { return state_ == State::done; }

private:
    enum class State : uint8_t {
        away,       // until `next_us_`
        connecting, // OPENED will come, or CLOSED
        greeting,   // HELLO is sent
        playing,
        leaving, // BYE is sent: snapshots still come
        left,    // GOODBYE came: nothing but CLOSED may follow
        done,
    };

    void connect(uint64_t now);
    void say_hello();
    void send_input(uint64_t now);
    void say_bye();
    void message(const uint8_t *data, size_t size, uint64_t now);
    void welcome(Reader &in);
    void view(Reader &in);
    void snapshot(const uint8_t *data, size_t size, uint64_t now);
    bool in_order(const Snapshot &seen);
    void miss(uint32_t area, uint32_t tick);
    void see_itself(const PlayerState &self, uint32_t tick, uint64_t now);
    void check_acknowledged(uint32_t input, uint64_t now);
    void goodbye(Reader &in);
    void closed(sockeye::closed gone, uint64_t now);
    bool send(const Writer &message, uint32_t lane = 0);
    uint32_t random(uint32_t below);

    static constexpr size_t kRemembered = 256; // inputs whose time we know: 8 seconds of them

    Crowd &crowd_;
    const uint32_t number_;
    const bool restless_;
    State state_ = State::away;
    uint64_t next_us_; // away: when to connect; playing and restless: when to leave
    uint32_t random_;
    sockeye::conn conn_;

    // Of this session.
    uint16_t id_ = 0;
    uint32_t sequence_ = 0, acknowledged_ = 0;
    uint32_t inputs_ = 0, snapshots_ = 0, missed_ = 0;
    AreaSet areas_ = 0;                        // that it is told of
    std::array<uint32_t, kAreas> next_tick_{}; // of their next snapshots
    uint32_t newest_tick_ = 0;                 // with lanes: of all snapshots
    uint32_t due_ = 0;                         // snapshots, as GOODBYE said
    uint32_t sightings_ = 0;                   // snapshots with itself in them
    uint32_t first_tick_ = 0, last_seen_ = 0;  // when it came, and the tick of the last of them
    Input input_;
    std::array<uint64_t, kRemembered> sent_at_{};
};

} // namespace arena
