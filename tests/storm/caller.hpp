/* A thread of the host that calls everything at random: on handles that live, that are gone and
   that never were, and in the middle of it polls and handles what it is told. */
#ifndef SOCKEYE_STORM_CALLER_HPP
#define SOCKEYE_STORM_CALLER_HPP

#include "ledger.hpp"
#include "system.hpp"

#include <atomic>
#include <initializer_list>

namespace storm {

constexpr uint32_t HANDLES = 64;
constexpr uint32_t DOORS = 5;
constexpr uint32_t DOOR_RAW = 3;
constexpr uint32_t DOOR_TLS = 4;

/* SplitMix64 (Steele, Lea, Flood 2014). */
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next();
    uint32_t below(uint32_t end) { return static_cast<uint32_t>(next() % end); }
    bool chance(uint32_t percent) { return below(100) < percent; }
    template <typename T> T pick(std::initializer_list<T> values)
    {
        return values.begin()[below(static_cast<uint32_t>(values.size()))];
    }

private:
    uint64_t state_;
};

/* What the callers share. */
struct World {
    /* Where door `at` listens: an address of this process alone, so that no port that was given
       back is another program's, or another door's, when somebody still connects to it. */
    static uint32_t address_of(uint32_t at);
    sockeye_net *net = nullptr;
    uint32_t queues = 1;
    /* A wait handle is asked for now and then; it ends lending. */
    bool handles_waited = false;
    std::atomic<uint64_t> conns[HANDLES] = {};
    std::atomic<uint64_t> doors[DOORS] = {};
    std::atomic<uint32_t> ports[DOORS] = {};
    /* Held from a poll to the end of its batch. */
    std::mutex batches[QUEUES_MAX];
    /* Closed in the last batch of a queue: stale with the next. */
    std::vector<sockeye_conn> dying[QUEUES_MAX];
    Ledger ledger;
    /* A shutdown has begun or may begin; then: everybody stops. */
    std::atomic<bool> ending{false}, over{false};
};

class Caller {
public:
    Caller(World &world, uint32_t number, uint64_t seed);
    ~Caller();
    /* Calls until the world is over. */
    void run();
    /* Polls a queue once and handles the batch; false: it has ended. */
    bool poll(uint32_t queue, int32_t timeout_ms);
    /* Gives back what it holds, also after the net is gone. */
    void release();

    std::atomic<uint64_t> calls{0};
    std::atomic<const char *> doing{"nothing yet"};
    uint64_t posted[QUEUES_MAX] = {};

private:
    struct Held {
        sockeye_buffer buffer;
        std::vector<uint8_t> bytes;
    };

    void call();
    void call_conn(uint32_t which);
    void call_net(uint32_t which);
    void listen();
    void connect();
    void close_door();
    void send(sockeye_conn conn);
    void send_many();
    void close(sockeye_conn conn);
    void ask(sockeye_conn conn);
    void ask_net();
    void post();
    void acquire();
    void log();
    void stranger();
    void handle(const sockeye_event &event);
    void hold(const sockeye_event &event);
    void check_dying(uint32_t queue);

    sockeye_conn any_conn();
    size_t any_len();
    const uint8_t *new_message(size_t len);
    /* The answer is one of these, or says that the net ends. */
    void allow(const char *call, int32_t answer, std::initializer_list<int32_t> allowed);
    void begin(const char *call)
    {
        doing.store(call, std::memory_order_relaxed);
        calls.fetch_add(1, std::memory_order_relaxed);
    }

    World &world_;
    const uint32_t number_;
    Random random_;
    uint64_t messages_ = 0;
    std::vector<uint8_t> message_;
    std::vector<Held> held_;
    std::vector<PlainSocket> sockets_;
    bool invented_ = false;
};

}  // namespace storm

#endif
