// Any order of declaration, assignment, move and destruction, inside of callbacks and outside: no
// handle, owner or function of the host's is used when it is gone. Compiled with AddressSanitizer,
// too, which looks at the host's half.
#include "host.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace {

template <class Done> void wait_for(Done done)
{
    const int64_t deadline = harness_deadline();
    while (!done()) harness_breathe(deadline);
}

// Nobody listens there any more.
bool is_free(uint16_t port)
{
    sockeye::net net;
    sockeye::listener door;
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye::text<64> url;
    snprintf(url.data, sizeof url.data, "tcp://127.0.0.1:%u", unsigned{port});
    return static_cast<bool>(net.listen(url, door));
}

uint16_t port_of(sockeye::listener_ref door)
{
    sockeye_listener_info info;
    REQUIRE_DONE(door.info(info));
    return static_cast<uint16_t>(info.port);
}

// The listener, a connection and a buffer live longer than their net, and than the next one.
void check_declared_before()
{
    sockeye::listener door;
    sockeye::conn client;
    sockeye::listener_ref name;
    sockeye::net_ref gone;
    sockeye::buffer memory;
    {
        sockeye::net net;
        REQUIRE_DONE(sockeye::net::open(net));
        REQUIRE_DONE(net.listen("tcp://127.0.0.1:0?frame=u8", door));
        REQUIRE_DONE(net.connect(url_of(door, "tcp", "?frame=u8"), client));
        REQUIRE_DONE(net.acquire(100, memory));
        name = door;
        gone = net;
    }
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, client.send("x"));
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, client.close());
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, name.close());
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, gone.post(0, 1));
    sockeye::batch<4> events;
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, gone.poll(events, 0ms));
    memset(memory.data(), 1, memory.capacity());
    sockeye::net next;
    REQUIRE_DONE(sockeye::net::open(next));
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, client.send("x"));
    REQUIRE_DONE(next.listen("tcp://127.0.0.1:0", door)); // over the old one
}

// Opened again over a net whose listener lives, and moved about.
void check_opened_again()
{
    sockeye::net net;
    sockeye::listener door, other;
    for (int round = 0; round < 5; round++) {
        REQUIRE_DONE(sockeye::net::open(net));
        REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", round % 2 ? door : other));
    }
    sockeye::net moved(std::move(net));
    net = sockeye::net();
    net = std::move(moved);
    moved = std::move(net);
    sockeye::listener away(std::move(door));
    moved.reset();
    moved.reset();
    door = std::move(away);
}

// What the callback and the log use is gone before the net is: that ends them before all else.
void check_functions_gone_first()
{
    for (int round = 0; round < 20; round++) {
        sockeye::net net;
        REQUIRE_DONE(sockeye::net::open(net));
        auto seen = std::make_unique<std::string>(100, 's');
        std::atomic<int> calls{0};
        auto on_events = [&, own = std::string(100, 'o')](sockeye::events all) {
            for (auto each : all) *seen += own[each.kind() % 100];
            calls++;
        };
        auto on_line = [own = std::string(100, 'l')](uint32_t, std::string_view line) {
            REQUIRE(own.size() + line.size() > 100);
        };
        REQUIRE_DONE(net.set_callback(0, on_events));
        REQUIRE_DONE(net.set_log(on_line, SOCKEYE_LOG_INFO));
        sockeye::listener door;
        sockeye::conn client;
        REQUIRE_DONE(net.listen("tcp://127.0.0.1:0?frame=u8", door));
        REQUIRE_DONE(net.connect(url_of(door, "tcp", "?frame=u8"), client));
        wait_for([&] { return calls.load() > 0; });
        (void)door.release(); // nothing happens any more
        wait_for([&] {
            sockeye_net_stats stats;
            REQUIRE_DONE(net.stats(stats));
            return stats.connections >= 2 && stats.queued_bytes == 0;
        });
        const int before = calls.load();
        REQUIRE_DONE(net.post(0, 1));
        wait_for([&] { return calls.load() > before; });
        sockeye::net last(std::move(net)); // goes first, and finds all of them
    }
}

// An object with a net that is deleted in the callback of that net, its members in either order.
struct Server {
    sockeye::listener first;
    sockeye::net net;
    sockeye::listener door;
    std::string name = std::string(100, 'n');
    std::atomic<int> *deleted;

    explicit Server(std::atomic<int> &told) : deleted(&told) {}
    ~Server() { ++*deleted; }
    void operator()(sockeye::events all)
    {
        for (auto each : all) {
            REQUIRE(name.size() == 100);
            if (each.kind() != SOCKEYE_EVENT_POSTED) continue;
            const sockeye::net_ref gone = net;
            delete this;
            REQUIRE_ANSWER(SOCKEYE_ERR_STALE, gone.post(0, 1));
            REQUIRE_ANSWER(SOCKEYE_ERR_STALE, each.conn().send("x"));
            return;
        }
    }
};

void check_deleted_inside(bool driven)
{
    std::atomic<int> deleted{0};
    auto *server = new Server(deleted);
    sockeye::config with;
    if (driven) {
        with.drive = SOCKEYE_DRIVE_HOST;
        with.workers = 0;
    }
    REQUIRE_DONE(sockeye::net::open(with, server->net));
    REQUIRE_DONE(server->net.listen("tcp://127.0.0.1:0", server->first));
    REQUIRE_DONE(server->net.listen("tcp://127.0.0.1:0", server->door));
    const uint16_t port = port_of(server->door);
    REQUIRE_DONE(server->net.set_callback(0, *server));
    const sockeye::net_ref name = server->net;
    for (int at = 0; at < 3; at++) REQUIRE_DONE(name.post(0, 1));
    if (driven) REQUIRE_DONE(name.pump(10s));
    wait_for([&] { return deleted.load() > 0; });
    wait_for([&] { return is_free(port); });
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, name.post(0, 2));
    REQUIRE_INT(1, deleted.load());
}

// Assigned over, moved out and destroyed in its own callback and in its own log function.
void check_assigned_inside()
{
    sockeye::net net, kept;
    std::atomic<bool> done{false};
    auto again = [&](sockeye::events) {
        kept = std::move(net);
        kept = sockeye::net();
        REQUIRE_DONE(sockeye::net::open(net)); // another, which is not of this callback
        done = true;
    };
    REQUIRE_DONE(sockeye::net::open(net));
    REQUIRE_DONE(net.set_callback(0, again));
    REQUIRE_DONE(net.post(0, 1));
    wait_for([&] { return done.load(); });
    REQUIRE_DONE(net.post(0, 1));

    sockeye::listener door;
    int lines = 0;
    auto log = [&](uint32_t, std::string_view) {
        lines++;
        net.reset();
    };
    REQUIRE_DONE(net.set_log(log, SOCKEYE_LOG_INFO));
    (void)net.listen("tcp://127.0.0.1:0", door);
    REQUIRE(lines == 1 && !net);
    door.reset();
}

} // namespace

int main()
{
    harness_watchdog();
    check_declared_before();
    check_opened_again();
    check_functions_gone_first();
    check_deleted_inside(false);
    check_deleted_inside(true);
    check_assigned_inside();
    return 0;
}
