// The engine-free part of the Unreal plugin, against real sockets: the budget of a tick is held and
// what is left comes next, in order; an end is told exactly once; old handles touch nothing; a net
// ends in order, from outside, from inside of a handler and with the module.
#include "engine_macros.h"

#include "SockeyePump.h"
#include "SockeyeWords.h"

#include "../c/harness.h"

#include <cstring>
#include <functional>

namespace {

constexpr uint32_t kFlood = 10000;

// A clock that only the tests move.
uint64_t fake_now = 0;
uint64_t fake_clock() { return fake_now; }

sockeye_config plain_config()
{
    sockeye_config config;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.drive = SOCKEYE_DRIVE_POOL;
    config.flush = SOCKEYE_FLUSH_MANUAL;
    return config;
}

struct Told {
    uint32_t kind;
    uint64_t conn;
    int32_t cause;
    uint32_t number; // of a message
};

// A pump with a door, and what it told.
struct Host {
    FSockeyePump pump;
    sockeye_listener door;
    char url[64];
    std::vector<Told> told;
    std::function<void(const sockeye_event &)> also; // called for each event

    explicit Host(FSockeyePump::FClock clock = &FSockeyePump::SteadyClock) : pump(clock)
    {
        REQUIRE_OK(pump.Open(plain_config(), nullptr));
        REQUIRE_OK(pump.Listen("tcp://127.0.0.1:0?frame=u16be", door));
        sockeye_listener_info info;
        REQUIRE_OK(sockeye_listener_get_info(pump.GetNet(), door, &info, sizeof info));
        std::snprintf(url, sizeof url, "tcp://127.0.0.1:%u?frame=u16be", unsigned{info.port});
    }

    std::function<void(const sockeye_event &)> handler()
    {
        return [this](const sockeye_event &event) {
            uint32_t number = 0;
            if (event.data_len == sizeof number) std::memcpy(&number, event.data, sizeof number);
            told.push_back({event.kind, event.conn.id, event.cause, number});
            if (also) also(event);
        };
    }

    FSockeyeTicked tick(uint32_t events = 0, uint32_t us = 0)
    {
        FSockeyeBudget budget;
        budget.Events = events;
        budget.Microseconds = us;
        return pump.Tick(budget, handler());
    }

    std::size_t count(uint32_t kind) const
    {
        std::size_t found = 0;
        for (const Told &each : told) found += each.kind == kind;
        return found;
    }

    void tick_until(const std::function<bool()> &done)
    {
        for (const int64_t deadline = harness_deadline(); !done(); harness_breathe(deadline))
            (void)tick();
    }

    // Until the library has so many messages, of which nothing was told yet.
    void wait_for_messages(uint64_t messages)
    {
        sockeye_net_stats stats{};
        for (const int64_t deadline = harness_deadline(); stats.received_messages < messages;) {
            harness_breathe(deadline);
            REQUIRE_OK(sockeye_net_get_stats(pump.GetNet(), &stats, sizeof stats));
        }
    }
};

void send_number(sockeye_net *net, sockeye_conn conn, uint32_t number)
{
    uint8_t message[4];
    std::memcpy(message, &number, sizeof message);
    REQUIRE_OK(sockeye_send(net, conn, message, sizeof message));
}

// A client that says so many numbers at once and ends.
sockeye_net *flood(const char *url, uint32_t count, bool close = true)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn conn;
    REQUIRE_OK(sockeye_connect(net, url, nullptr, &conn));
    for (uint32_t i = 0; i < count; i++) send_number(net, conn, i);
    if (close) REQUIRE_OK(sockeye_close(net, conn, SOCKEYE_CLOSE_GRACEFUL));
    return net;
}

// Ten thousand messages that are all there: every tick but the last takes its share and no more.
void budget_of_events()
{
    Host host;
    sockeye_net *client = flood(host.url, kFlood);
    host.wait_for_messages(kFlood);
    int ticks = 0;
    for (const int64_t deadline = harness_deadline(); host.count(SOCKEYE_EVENT_CLOSED) == 0;) {
        const std::size_t before = host.told.size();
        const FSockeyeTicked ticked = host.tick(300);
        REQUIRE_INT(host.told.size() - before, ticked.Events);
        REQUIRE(ticked.Events <= 300);
        REQUIRE(!ticked.bMore || ticked.Events == 300);
        ticks++;
        if (!ticked.bMore) harness_breathe(deadline);
    }
    REQUIRE(ticks >= static_cast<int>(kFlood / 300));
    REQUIRE_INT(kFlood + 2, host.told.size()); // opened, and closed
    REQUIRE_INT(SOCKEYE_EVENT_OPENED, host.told.front().kind);
    for (uint32_t i = 0; i < kFlood; i++) REQUIRE_INT(i, host.told[i + 1].number);
    REQUIRE_INT(SOCKEYE_EVENT_CLOSED, host.told.back().kind);
    REQUIRE_INT(0, host.pump.GetConnectionCount());
    REQUIRE_OK(sockeye_free(client));
}

// By a clock that moves ten microseconds with every event, 95 of them are ten events.
void budget_of_time()
{
    Host host(&fake_clock);
    sockeye_net *client = flood(host.url, 1000);
    host.wait_for_messages(1000);
    host.also = [](const sockeye_event &) { fake_now += 10; };
    for (int i = 0; i < 100; i++) {
        const FSockeyeTicked ticked = host.tick(0, 95);
        REQUIRE(ticked.bMore);
        REQUIRE_INT(10, ticked.Events);
    }
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_CLOSED) == 1; });
    REQUIRE_INT(1002, host.told.size());
    for (uint32_t i = 0; i < 1000; i++) REQUIRE_INT(i, host.told[i + 1].number);
    REQUIRE_OK(sockeye_free(client));
}

// What a handler sends leaves with the tick, also when the budget ends that.
void sends_leave_with_the_tick()
{
    Host host;
    sockeye_net *client = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn conn;
    REQUIRE_OK(sockeye_connect(client, host.url, nullptr, &conn));
    host.also = [&host](const sockeye_event &event) {
        const uint8_t hello[] = {1, 2, 3};
        REQUIRE_OK(host.pump.Send(event.conn, hello, sizeof hello));
    };
    for (const int64_t deadline = harness_deadline(); host.tick(1).Events == 0;)
        harness_breathe(deadline);
    (void)harness_expect(client, SOCKEYE_EVENT_OPENED); // and no other tick
    (void)harness_expect(client, SOCKEYE_EVENT_MESSAGE);
    REQUIRE_OK(sockeye_free(client));
}

// While one peer never stops, what another says comes through, within the same small budget.
void a_flood_starves_nobody()
{
    Host host;
    sockeye_net *client = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn loud, quiet;
    REQUIRE_OK(sockeye_connect(client, host.url, nullptr, &loud));
    REQUIRE_OK(sockeye_connect(client, host.url, nullptr, &quiet));
    uint32_t sent = 0;
    bool heard = false, asked = false;
    host.also = [&heard](const sockeye_event &event) { heard = heard || event.data_len == 5; };
    const int64_t deadline = harness_deadline();
    while (!heard) {
        REQUIRE(harness_now_ms() < deadline);
        // More than a tick takes.
        const uint8_t message[4] = {};
        for (int i = 0; i < 1000 && sockeye_send(client, loud, message, 4) >= 0; i++) sent++;
        REQUIRE(host.tick(256).Events <= 256);
        if (!asked && host.count(SOCKEYE_EVENT_MESSAGE) > 1000) {
            REQUIRE_OK(harness_send_text(client, quiet, "hello"));
            asked = true;
        }
    }
    REQUIRE(sent > host.count(SOCKEYE_EVENT_MESSAGE)); // it had not stopped
    host.pump.ShutDown(0, host.handler());
    REQUIRE_INT(2, host.count(SOCKEYE_EVENT_CLOSED));
    REQUIRE_OK(sockeye_free(client));
}

// A handler that closes gets nothing of the connection any more but its end, once.
void closed_by_a_handler()
{
    Host host;
    sockeye_net *client = flood(host.url, 100, false);
    host.wait_for_messages(100);
    host.also = [&host](const sockeye_event &event) {
        if (event.kind != SOCKEYE_EVENT_MESSAGE) return;
        REQUIRE_INT(0, host.tick().Events); // no tick inside of a tick
        REQUIRE_OK(host.pump.Close(event.conn, SOCKEYE_CLOSE_RESET));
        REQUIRE_STATUS(SOCKEYE_ERR_CLOSED, host.pump.Close(event.conn, SOCKEYE_CLOSE_RESET));
    };
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_CLOSED) == 1; });
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_MESSAGE));
    REQUIRE_INT(SOCKEYE_CAUSE_HOST, host.told.back().cause);

    // And its handle is worth nothing, nor is one that never was.
    const sockeye_conn old = {host.told.front().conn}, made_up = {UINT64_C(0x1234567890)};
    const uint8_t byte = 0;
    (void)host.tick(); // the batch of its end is over
    for (const sockeye_conn conn : {old, made_up, sockeye_conn{0}}) {
        REQUIRE_STATUS(SOCKEYE_ERR_STALE, host.pump.Send(conn, &byte, 1));
        REQUIRE_STATUS(SOCKEYE_ERR_STALE, host.pump.Close(conn, SOCKEYE_CLOSE_RESET));
    }
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, host.pump.CloseListener(sockeye_listener{99}));
    host.pump.ShutDown(0, host.handler());
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_CLOSED));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, host.pump.Send(old, &byte, 1));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, host.pump.CloseListener(host.door));
    REQUIRE_OK(sockeye_free(client));
}

// Also where the peer has ended it already: what it said behind is not told.
void closed_behind_the_peer()
{
    Host host;
    sockeye_net *client = flood(host.url, 100);
    host.wait_for_messages(100);
    host.also = [&host](const sockeye_event &event) {
        if (event.kind == SOCKEYE_EVENT_MESSAGE)
            (void)host.pump.Close(event.conn, SOCKEYE_CLOSE_RESET);
    };
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_CLOSED) == 1; });
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_MESSAGE));
    REQUIRE_OK(sockeye_free(client));
}

void refused()
{
    Host host;
    sockeye_conn conn;
    REQUIRE_OK(host.pump.CloseListener(host.door));
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_LISTENER_CLOSED) == 1; });
    REQUIRE_OK(host.pump.Connect(host.url, conn));
    REQUIRE_INT(1, host.pump.GetConnectionCount());
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_CLOSED) == 1; });
    REQUIRE_INT(0, host.count(SOCKEYE_EVENT_OPENED));
    REQUIRE_INT(SOCKEYE_CAUSE_REFUSED, host.told.back().cause);
    REQUIRE_INT(0, host.pump.GetConnectionCount());
}

// Three connections: each one's end and the door's are told once, though much was never told.
void shut_down_from_outside()
{
    const int threads = harness_threads();
    Host host;
    sockeye_net *client = flood(host.url, 50, false);
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_MESSAGE) == 50; });
    sockeye_conn mine;
    REQUIRE_OK(host.pump.Connect(host.url, mine)); // both ends here
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_OPENED) == 3; });
    REQUIRE_INT(3, host.pump.GetConnectionCount());
    REQUIRE_OK(sockeye_free(client));
    host.tick_until([&] { return host.count(SOCKEYE_EVENT_CLOSED) == 1; });
    (void)host.tick(); // its number is free, and taken again by the next one
    sockeye_net *late = flood(host.url, 50, false);
    host.wait_for_messages(100);

    host.pump.ShutDown(0, host.handler());
    REQUIRE_INT(50, host.count(SOCKEYE_EVENT_MESSAGE)); // no more of them
    REQUIRE_INT(3, host.count(SOCKEYE_EVENT_OPENED));
    REQUIRE_INT(3, host.count(SOCKEYE_EVENT_CLOSED)); // `late` was never told: no end of it
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_LISTENER_CLOSED));
    REQUIRE(!host.pump.IsOpen() && host.pump.GetConnectionCount() == 0);
    REQUIRE_OK(sockeye_free(late));
    REQUIRE_INT(threads, harness_threads());

    host.pump.ShutDown(0, host.handler()); // again is nothing
    REQUIRE_INT(0, host.tick().Events);
    REQUIRE_INT(3, host.count(SOCKEYE_EVENT_CLOSED));
    REQUIRE_OK(host.pump.Open(plain_config(), nullptr)); // and a new one begins
    REQUIRE(host.pump.IsOpen());
}

// The handler's event stays what it is until it returns; then nothing but ends is told.
void shut_down_from_inside()
{
    Host host;
    sockeye_net *client = flood(host.url, 100, false);
    host.wait_for_messages(100);
    host.also = [&host](const sockeye_event &event) {
        if (event.kind != SOCKEYE_EVENT_MESSAGE) return;
        host.pump.ShutDown(0, host.handler());
        REQUIRE(!host.pump.IsOpen() && host.pump.GetNet());
        REQUIRE(event.data_len == 4 && event.data[0] == 0); // still there
        REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, host.pump.Open(plain_config(), nullptr));
    };
    REQUIRE_INT(2, host.tick().Events);
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_MESSAGE));
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_CLOSED));
    REQUIRE_INT(1, host.count(SOCKEYE_EVENT_LISTENER_CLOSED));
    REQUIRE(!host.pump.GetNet());
    REQUIRE_OK(sockeye_free(client));
}

// As a module ends: every net before the library, and pumps that live on call it no more.
void all_pumps_end()
{
    const int threads = harness_threads();
    FSockeyePumps pumps;
    Host one, two, gone;
    for (Host *host : {&one, &two, &gone}) pumps.Add(&host->pump);
    pumps.Add(&one.pump); // again is nothing
    REQUIRE_INT(3, pumps.Num());
    pumps.Remove(&gone.pump);
    REQUIRE(harness_threads() > threads);
    pumps.ShutDown();
    REQUIRE(!one.pump.IsOpen() && !two.pump.IsOpen() && gone.pump.IsOpen());
    REQUIRE(one.told.empty() && two.told.empty());
    REQUIRE_INT(0, pumps.Num());
    gone.pump.ShutDown(0, gone.handler());
    REQUIRE_INT(threads, harness_threads());
    sockeye_listener door;
    sockeye_conn conn;
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, one.pump.Listen(one.url, door));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, one.pump.Connect(one.url, conn));
}

bool has(const std::string &text, const char *words)
{
    return text.find(words) != std::string::npos;
}

void words()
{
    REQUIRE(SockeyeVerbosity(SOCKEYE_LOG_ERROR) == ESockeyeVerbosity::Error);
    REQUIRE(SockeyeVerbosity(SOCKEYE_LOG_WARNING) == ESockeyeVerbosity::Warning);
    REQUIRE(SockeyeVerbosity(SOCKEYE_LOG_INFO) == ESockeyeVerbosity::Log);
    REQUIRE(SockeyeVerbosity(4) == ESockeyeVerbosity::Verbose);

    REQUIRE(SockeyeMisfit(sockeye_version(), sockeye_abi_version()).empty());
    REQUIRE(SockeyeMisfit("0.1.3", SOCKEYE_ABI_VERSION + 1).empty()); // newer is fine
    REQUIRE(!SockeyeMisfit("0.9.3", SOCKEYE_ABI_VERSION + 1).empty()); // other promises, before 1.0
    REQUIRE(has(SockeyeMisfit("1.0.0", SOCKEYE_ABI_VERSION), "the library is 1.0.0 (ABI 1)"));
    REQUIRE(has(SockeyeMisfit("0.1.0", 0), "was built for Sockeye 0.1.0 (ABI 1), the library"));
    REQUIRE(!SockeyeMisfit("", 1).empty());
    REQUIRE(!SockeyeMisfit("none", 1).empty());

    Host host;
    sockeye_listener second;
    sockeye_status status = host.pump.Listen(host.url, second);
    REQUIRE_INT(SOCKEYE_ERR_BUSY, status);
    const std::string busy = SockeyeRefusal("listen on", host.url, status);
    REQUIRE(has(busy, "cannot listen on tcp://127.0.0.1:"));
    REQUIRE(has(busy, ": ") && busy.size() > std::strlen(host.url) + 30);
    sockeye_conn conn;
    status = host.pump.Connect("tcp://nowhere", conn);
    REQUIRE(has(SockeyeRefusal("connect to", "tcp://nowhere", status), "port"));
    REQUIRE_INT(0, host.pump.GetConnectionCount());
}

} // namespace

int main()
{
    harness_watchdog();
    budget_of_events();
    budget_of_time();
    sends_leave_with_the_tick();
    a_flood_starves_nobody();
    closed_by_a_handler();
    closed_behind_the_peer();
    refused();
    shut_down_from_outside();
    shut_down_from_inside();
    all_pumps_end();
    words();
    return 0;
}
