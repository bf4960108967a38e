// Functions of the host's that the library calls: a function object gets batches and lines of the
// log, is not called any more once it is taken away, and what it throws does not cross the library.
#include "host.hpp"

#include <atomic>
#include <string>
#include <sys/wait.h>

#if defined(SOCKEYE_HPP_THROWS)
#include <exception>
#include <stdexcept>
#endif

namespace {

// Echoes, on a worker's thread.
struct Echo {
    std::atomic<int> messages{0}, posts{0};
    void operator()(sockeye::events all)
    {
        REQUIRE(!all.empty() && all.queue() == 0);
        sockeye::batch<1> inside;
        REQUIRE_ANSWER(SOCKEYE_ERR_BUSY, sockeye::net_ref(all.net()).poll(inside, 0ms));
        REQUIRE_ANSWER(SOCKEYE_ERR_WOULD_DEADLOCK, sockeye::net_ref(all.net()).shutdown(0ms));
        all.visit(
            [&](sockeye::message got) {
                REQUIRE_DONE(got.conn().send(got.text()));
                messages++;
            },
            [&](sockeye::posted) { posts++; });
    }
};

// What is called later has a place of its own: a temporary is not taken.
template <class F, class = void> constexpr bool taken = false;
template <class F> constexpr bool taken<
    F, std::void_t<decltype(sockeye::net_ref().set_callback(0, std::declval<F>()))>> = true;
static_assert(taken<Echo &> && taken<const Echo &> && !taken<Echo>);

void check_events()
{
    Echo echo; // longer than the net that calls it
    sockeye::net server, host;
    REQUIRE_DONE(sockeye::net::open(server));
    REQUIRE_DONE(sockeye::net::open(host));
    sockeye::listener door;
    REQUIRE_DONE(server.listen("tcp://127.0.0.1:0?frame=u8", door));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, server.set_callback(1, echo));
    REQUIRE_DONE(server.set_callback(0, echo));
    sockeye::conn client;
    REQUIRE_DONE(host.connect(url_of(door, "tcp", "?frame=u8"), client));
    REQUIRE_DONE(client.send("to a function"));
    bool back = false;
    run_until(host, [&] { return back; }, [&](sockeye::message got) {
        back = got.text() == "to a function";
    });
    REQUIRE_INT(1, echo.messages.load());

    REQUIRE_DONE(server.clear_callback(0));
    REQUIRE_DONE(client.send("to a poll"));
    back = false;
    run_until(server, [&] { return back; }, [&](sockeye::message got) {
        back = got.text() == "to a poll";
    });
    REQUIRE_INT(1, echo.messages.load());
}

// Without a worker the calls come inside the host's own.
sockeye::net open_driven()
{
    sockeye::config with;
    with.drive = SOCKEYE_DRIVE_HOST;
    with.workers = 0;
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(with, net));
    return net;
}

void check_pump()
{
    Echo echo;
    sockeye::net net = open_driven();
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.pump(0ms));
    REQUIRE_DONE(net.post(0, 1));
    const auto &steady = echo; // one that is only called as const is fine, too
    int called = 0;
    const auto count = [&](sockeye::events all) {
        called += static_cast<int>(all.size());
        REQUIRE_INT(0, steady.posts.load());
    };
    REQUIRE_DONE(net.set_callback(0, count));
    REQUIRE_ANSWER(1, net.pump(10s));
    REQUIRE_INT(1, called);
    REQUIRE_DONE(net.set_callback(0, echo));
    REQUIRE_DONE(net.post(0, 2));
    REQUIRE_ANSWER(1, net.pump(10s));
    REQUIRE(called == 1 && echo.posts == 1);
}

void check_log()
{
    std::string told;
    uint32_t level = 0;
    const auto log = [&](uint32_t at, std::string_view line) {
        level = at;
        told = line;
    };
    sockeye::net net = open_driven();
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.set_log(log, 99));
    REQUIRE_DONE(net.set_log(log, SOCKEYE_LOG_INFO));
    sockeye::listener door;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    REQUIRE(level == SOCKEYE_LOG_INFO && told.find("127.0.0.1") != std::string::npos);
    REQUIRE_DONE(net.clear_log());
    told.clear();
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    REQUIRE(told.empty());
}

void check_admit()
{
    unsigned asked = 0;
    uint64_t id = 0;
    const auto admit = [&](sockeye_listener door, const sockeye_address &peer) {
        id = door.id;
        return peer.family == 4 && ++asked > 1;
    };
    sockeye::net net = open_driven();
    REQUIRE_DONE(net.set_admit(admit));
    sockeye::listener door;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    sockeye_listener_info at;
    REQUIRE_DONE(door.info(at));
    const std::string url = "tcp://127.0.0.1:" + std::to_string(at.port);
    sockeye_guard_stats stats{};
    sockeye::conn refused, admitted;
    sockeye::batch<4> events;
    REQUIRE_DONE(net.connect(url.c_str(), refused));
    while (stats.admit == 0) {
        REQUIRE_DONE(net.poll(events, 10ms));
        REQUIRE_DONE(net.guard_get_stats(stats));
    }
    REQUIRE(asked == 1 && id == door.id().id);
    REQUIRE_DONE(net.connect(url.c_str(), admitted));
    while (asked < 2) REQUIRE_DONE(net.poll(events, 10ms));
    REQUIRE_DONE(net.clear_admit());
    REQUIRE_DONE(net.guard_get_stats(stats));
    REQUIRE(stats.admit == 1);
}

#if defined(SOCKEYE_HPP_THROWS)
enum : int { kStopped = 42, kCrossed = 43, kUnharmed = 44 };

// Reached with the function's own exception: not one frame of the library was left by it.
[[noreturn]] void stopped()
{
    try {
        if (const std::exception_ptr thrown = std::current_exception())
            std::rethrow_exception(thrown);
    } catch (const std::runtime_error &error) {
        _exit(std::string_view(error.what()) == "of the host" ? kStopped : 1);
    } catch (...) {
    }
    _exit(1);
}

// In a process of its own, which the exception is to end.
template <class Body> void check_stops(Body body)
{
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::set_terminate(stopped);
        try {
            body();
        } catch (...) {
            _exit(kCrossed);
        }
        _exit(kUnharmed);
    }
    int ended = 0;
    REQUIRE(waitpid(child, &ended, 0) == child);
    REQUIRE(WIFEXITED(ended));
    REQUIRE_INT(kStopped, WEXITSTATUS(ended));
}

void check_throws()
{
    check_stops([] {
        const auto thrower = [](sockeye::events) { throw std::runtime_error("of the host"); };
        sockeye::net net = open_driven();
        REQUIRE_DONE(net.set_callback(0, thrower));
        REQUIRE_DONE(net.post(0, 1));
        REQUIRE_DONE(net.pump(10s)); // on this very stack, under the catch
    });
    check_stops([] {
        const auto thrower = [](uint32_t, std::string_view) {
            throw std::runtime_error("of the host");
        };
        sockeye::net net = open_driven();
        REQUIRE_DONE(net.set_log(thrower, SOCKEYE_LOG_INFO));
        sockeye::listener door;
        REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    });
}
#endif

} // namespace

int main()
{
    harness_watchdog();
#if defined(SOCKEYE_HPP_THROWS)
    check_throws(); // first: a forked child cannot use what its parent has begun
#endif
    check_events();
    check_pump();
    check_log();
    check_admit();
    return 0;
}
