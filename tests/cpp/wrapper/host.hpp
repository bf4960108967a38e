// What the tests of the C++ wrapper share, beside the harness of the C tests.
#ifndef SOCKEYE_TESTS_HOST_HPP
#define SOCKEYE_TESTS_HOST_HPP

#include "../../c/harness.h"

#include "sockeye.hpp"

using namespace std::chrono_literals;

/// `call` is done.
#define REQUIRE_DONE(call) harness_require_ok(__FILE__, __LINE__, #call, (call).code())

/// `call` answers this very status.
#define REQUIRE_ANSWER(expected, call)                                                            \
    harness_require_status(__FILE__, __LINE__, #call, (expected), (call).code())

/// Polls and visits until `done` says so.
template <class Done, class... F> void run_until(sockeye::net_ref net, Done done, F &&...functions)
{
    const int64_t deadline = harness_deadline();
    sockeye::batch<16> events;
    while (!done()) {
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE_DONE(net.poll(events, 50ms));
        events.visit(functions...);
    }
}

/// Where to connect to, of a door on a port that the system chose.
inline sockeye::text<64> url_of(sockeye::listener_ref door, const char *scheme, const char *query)
{
    sockeye_listener_info info;
    REQUIRE_DONE(door.info(info));
    REQUIRE(info.port > 0);
    sockeye::text<64> url;
    snprintf(url.data, sizeof url.data, "%s://127.0.0.1:%" PRIu32 "%s", scheme, info.port, query);
    return url;
}

/// Two ends of one connection of one net.
struct Pair {
    sockeye::listener door;
    sockeye::conn client, server;

    Pair(sockeye::net_ref net, const char *query)
    {
        sockeye::text<64> url;
        snprintf(url.data, sizeof url.data, "tcp://127.0.0.1:0%s", query);
        REQUIRE_DONE(net.listen(url, door));
        REQUIRE_DONE(net.connect(url_of(door, "tcp", query), client));
        int count = 0;
        run_until(net, [&] { return count == 2; }, [&](sockeye::opened fresh) {
            count++;
            REQUIRE(fresh.accepted() == (fresh.conn() != client));
            if (!fresh.accepted()) return;
            REQUIRE(fresh.listener() == door);
            server = fresh.conn();
        });
        REQUIRE(server && client && server != client);
    }
};

#endif
