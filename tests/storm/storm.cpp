/* Four threads of a host call everything at once, at random, on live traffic, for as long as asked:
   one net after another, each with its own settings, ended in the middle of it. A ledger looks at
   each event and each answer, a watchdog ends a run that hangs.

   storm [--seconds N] [--seed N] [--model NAME] [--drive pool|lend|host] [--patience N]
   storm --models: the models that can run here */
#include "caller.hpp"

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

namespace storm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Options {
    uint32_t seconds = 5;
    uint64_t seed = 1;
    uint32_t model = SOCKEYE_MODEL_AUTO;
    uint32_t drive = UINT32_MAX;
    /* Seconds that a call may take. */
    uint32_t patience = 20;
};

/* What the watchdog looks at. */
struct Watched {
    std::atomic<Caller *> callers[CALLERS] = {};
    std::atomic<uint64_t> steps{0};
    std::atomic<const char *> doing{"nothing yet"};
    std::atomic<bool> done{false};
};

void step(Watched &watched, const char *what)
{
    watched.doing.store(what);
    watched.steps.fetch_add(1);
}

void breathe()
{
    const timespec breath = {0, 20000000};
    nanosleep(&breath, nullptr); /* tidy: pause, between two looks at a condition */
}

/* Somebody who neither returns nor comes further is told by name. The callers go on while the main
   thread waits for its time, and the main thread goes on when they have stopped. */
void watch(Watched &watched, uint32_t patience)
{
    uint64_t last = 0;
    Clock::time_point since = Clock::now();
    std::atomic<Caller *> *const callers = watched.callers;
    while (!watched.done.load()) {
        breathe();
        const uint64_t steps = watched.steps.load();
        if (steps != last) {
            last = steps;
            since = Clock::now();
        }
        if (Clock::now() - since < seconds(patience)) continue;
        std::fprintf(stderr, "storm: the main thread: %s\n", watched.doing.load());
        for (uint32_t at = 0; at < CALLERS; at++)
            if (Caller *caller = callers[at].load())
                std::fprintf(stderr, "storm: caller %u: %s, call %" PRIu64 "\n", at,
                             caller->doing.load(), caller->calls.load());
        fail("hangs");
    }
}

/* Settings of one net. */
sockeye_config settings(Random &random, const Options &options)
{
    sockeye_config config;
    sockeye_config_init(&config, sizeof config);
    config.model = options.model;
    config.drive = options.drive != UINT32_MAX ? options.drive : random.below(3);
    config.queues = random.pick({1u, 1u, QUEUES_MAX});
    config.workers = config.queues + random.below(2);
    /* Bound to a thread: the host's threads, which take turns here, are not to turn it. */
    bool bound = config.model == SOCKEYE_MODEL_IO_URING
                 || config.model == SOCKEYE_MODEL_OVERLAPPED_EVENT
                 || config.model == SOCKEYE_MODEL_OVERLAPPED_ROUTINE;
    if (bound && config.drive == SOCKEYE_DRIVE_HOST)
        config.drive = SOCKEYE_DRIVE_LEND;
    if (config.drive == SOCKEYE_DRIVE_HOST && config.queues == 1 && random.chance(40))
        config.workers = 0;
    config.flush = random.pick({SOCKEYE_FLUSH_AUTO, SOCKEYE_FLUSH_MANUAL});
    config.lease_us = random.pick({100u, 1000u, 20000u});
    config.gather_us = random.pick({0u, 0u, 2000u});
    config.spin_us = random.pick({0u, 0u, 50u});
    config.connections_max = random.pick({8u, 60u, 1000u});
    config.turn_messages = random.pick({1u, 1024u});
    config.turn_bytes = random.pick({1024u, 65536u});
    config.memory_max_bytes = random.pick({1u << 20, 4u << 20, 1u << 28});
    config.queue_max_bytes = random.pick({64u << 10, 64u << 20});
    return config;
}

/* Polls until each queue says that all is told. */
void drain(World &world, Caller &caller, Watched &watched)
{
    for (uint32_t queue = 0; queue < world.queues; queue++)
        while (caller.poll(queue, 0)) step(watched, "drains the queues");
}

struct Sum {
    uint64_t calls = 0, conns = 0, messages = 0, rounds = 0;
};

/* How the net ends: all shut it down and are told everything, or it is freed under its work. */
void end(World &world, std::unique_ptr<Caller> (&callers)[CALLERS], Random &random,
         Watched &watched)
{
    if (random.chance(80)) {
        step(watched, "shuts down once more");
        if (sockeye_shutdown(world.net, 0) != SOCKEYE_OK) fail("a shutdown is refused");
        drain(world, *callers[0], watched);
        uint64_t posted[CALLERS][QUEUES_MAX] = {};
        for (uint32_t at = 0; at < CALLERS; at++)
            std::memcpy(posted[at], callers[at]->posted, sizeof posted[at]);
        world.ledger.look_at_end(posted);
    }
    const bool early = random.chance(50);
    for (auto &caller : callers)
        if (early) caller->release();
    step(watched, "frees the net");
    if (sockeye_free(world.net) != SOCKEYE_OK) fail("free is refused");
    for (auto &caller : callers) caller->release();
}

/* One net: traffic for a while, a shutdown beside it, the end. */
void round(uint64_t seed, const Options &options, Watched &watched, Sum &sum)
{
    Random random(seed);
    World world;
    const sockeye_config config = settings(random, options);
    char name[200];
    std::snprintf(name, sizeof name,
                  "in the net of --seed %" PRIu64 ": %s, drive %u, workers %u, queues %u",
                  seed, sockeye_model_name(config.model), config.drive, config.workers,
                  config.queues);
    name_run(name);
    step(watched, "makes a net");
    world.queues = config.queues;
    world.handles_waited = random.chance(25);
    if (sockeye_init(&config, &world.net) < 0) fail(sockeye_last_error());
    std::unique_ptr<Caller> callers[CALLERS];
    std::thread threads[CALLERS];
    for (uint32_t at = 0; at < CALLERS; at++) {
        callers[at] = std::make_unique<Caller>(world, at, random.next());
        watched.callers[at].store(callers[at].get());
    }
    for (uint32_t at = 0; at < CALLERS; at++)
        threads[at] = std::thread([&callers, at] { callers[at]->run(); });
    const Clock::time_point until = Clock::now() + milliseconds(random.pick({50, 300, 1000}));
    uint64_t before[CALLERS] = {};
    while (Clock::now() < until) {
        breathe();
        bool all = true;
        for (uint32_t at = 0; at < CALLERS; at++) all &= callers[at]->calls.load() > before[at];
        if (!all) continue;
        for (uint32_t at = 0; at < CALLERS; at++) before[at] = callers[at]->calls.load();
        step(watched, "waits while all of them call");
    }
    const bool shut = random.chance(80);
    if (shut) {
        world.ending.store(true);
        step(watched, "shuts down beside the callers");
        if (sockeye_shutdown(world.net, random.pick({-1, 0, 30, 200})) != SOCKEYE_OK)
            fail("a shutdown is refused");
        breathe();
    }
    step(watched, "waits for the callers to return");
    world.over.store(true);
    for (std::thread &thread : threads) thread.join();
    world.ending.store(true);
    for (uint32_t at = 0; at < CALLERS; at++) watched.callers[at].store(nullptr);
    end(world, callers, random, watched);
    for (auto &caller : callers) sum.calls += caller->calls.load();
    sum.conns += world.ledger.conns();
    sum.messages += world.ledger.messages();
    sum.rounds++;
}

/* What the first net opens for the process, on some systems, stays. */
void warm_up(const Options &options)
{
    sockeye_config config;
    sockeye_net *net = nullptr;
    sockeye_listener door;
    sockeye_config_init(&config, sizeof config);
    config.model = options.model;
    if (sockeye_init(&config, &net) < 0) fail(sockeye_last_error());
    if (sockeye_listen(net, "tcp://127.0.0.1:0", nullptr, &door) < 0) fail(sockeye_last_error());
    if (sockeye_free(net) != SOCKEYE_OK) fail("free is refused");
}

int run(const Options &options)
{
    Watched watched;
    std::thread watchdog([&] { watch(watched, options.patience); });
    start_sockets();
    warm_up(options);
    const uint32_t threads = thread_count(), files = descriptor_count();
    const Clock::time_point until = Clock::now() + seconds(options.seconds);
    Sum sum;
    do {
        round(options.seed + sum.rounds, options, watched, sum);
        const uint32_t now = descriptor_count();
        if (now < files || now > files + FIRST_USES) fail("descriptors are left", files, now);
        if (thread_count() > threads) fail("threads are left", threads);
        // A net may end before its first message.
    } while (Clock::now() < until || (sum.messages == 0 && sum.rounds < 10));
    watched.done.store(true);
    watchdog.join();
    std::printf("%s: %" PRIu64 " nets, %" PRIu64 " calls, %" PRIu64 " connections, %" PRIu64
                " messages\n",
                sockeye_model_name(options.model), sum.rounds, sum.calls, sum.conns,
                sum.messages);
    if (sum.messages == 0) fail("no message at all");
    return 0;
}

int list_models()
{
    for (uint32_t model = SOCKEYE_MODEL_AUTO + 1; model < 32; model++) {
        sockeye_model_info info;
        if (sockeye_model_probe(model, &info, sizeof info) >= 0 && info.available == 1)
            std::puts(info.name);
    }
    return 0;
}

uint32_t drive_of(const char *name)
{
    const char *const names[] = {"pool", "lend", "host"};
    for (uint32_t drive = 0; drive < 3; drive++)
        if (std::strcmp(names[drive], name) == 0) return drive;
    fail("--drive is pool, lend or host");
}

}  // namespace
}  // namespace storm

int main(int argc, char **argv)
{
    storm::Options options;
    if (argc == 2 && std::strcmp(argv[1], "--models") == 0) return storm::list_models();
    for (int at = 1; at + 1 < argc; at += 2) {
        const char *const name = argv[at], *const value = argv[at + 1];
        const auto is = [name](const char *other) { return std::strcmp(name, other) == 0; };
        if (is("--seconds"))
            options.seconds = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
        else if (is("--seed"))
            options.seed = std::strtoull(value, nullptr, 10);
        else if (is("--patience"))
            options.patience = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
        else if (is("--drive"))
            options.drive = storm::drive_of(value);
        else if (!is("--model") || sockeye_model_from_name(value, &options.model) < 0)
            storm::fail(name);
    }
    return storm::run(options);
}
