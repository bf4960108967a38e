// Owners: each gives back what it has exactly once, at its end or when it is given something else;
// moved from it is empty, and every call on it answers instead of crashing.
#include "host.hpp"

namespace {

template <class T> constexpr bool moves_only =
    std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves_only<sockeye::net> && moves_only<sockeye::listener>);
static_assert(moves_only<sockeye::buffer>);
static_assert(std::is_trivially_copyable_v<sockeye::conn>);
static_assert(std::is_trivially_copyable_v<sockeye::net_ref>);
static_assert(!std::is_copy_constructible_v<sockeye::batch<>>);

int threads()
{
    DIR *folder = opendir("/proc/self/task");
    REQUIRE(folder != nullptr);
    int count = 0;
    while (const dirent *entry = readdir(folder)) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

sockeye::net open_net()
{
    sockeye::config with;
    with.workers = 2;
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(with, net));
    return net;
}

// Whatever is asked of nothing is refused.
void check_empty(sockeye::net &net)
{
    REQUIRE(!net && net.raw() == nullptr);
    sockeye::batch<4> events;
    sockeye::listener door;
    sockeye::conn conn;
    sockeye::buffer buffer;
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.poll(events, 0ms));
    REQUIRE(events.empty() && events.begin() == events.end());
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.listen("tcp://127.0.0.1:0", door));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.connect("tcp://127.0.0.1:1", conn));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.acquire(10, buffer));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.shutdown(0ms));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, door.close());
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, conn.send("x"));
    REQUIRE(!door && !conn && !buffer);
    REQUIRE_DONE(net.destroy()); // of nothing it is fine
}

void check_nets()
{
    const int before = threads();
    {
        sockeye::net first = open_net();
        REQUIRE(first && threads() > before);
        sockeye_net *raw = first.raw();
        sockeye::net second(std::move(first));
        REQUIRE(second.raw() == raw);
        check_empty(first);

        sockeye::net third = open_net();
        const int both = threads();
        third = std::move(second); // the one it had is freed, its threads joined
        REQUIRE(third.raw() == raw && threads() < both && threads() > before);
        check_empty(second);
        sockeye::net &same = third;
        third = std::move(same);
        REQUIRE(third.raw() == raw);
        REQUIRE_DONE(third.post(0, 1));

        first = sockeye::net(third.release()); // out of its hands and into others
        check_empty(third);
        REQUIRE_DONE(first.destroy());
        REQUIRE_INT(before, threads());
        check_empty(first);
        third = open_net();
        REQUIRE(threads() > before);
    }
    REQUIRE_INT(before, threads());
}

// An owner of a listener that is gone is told by the event.
void check_listeners()
{
    sockeye::net net = open_net();
    int gone = 0;
    sockeye_listener last{};
    const auto told = [&](sockeye::listener_closed door) {
        gone++;
        REQUIRE_INT(SOCKEYE_CAUSE_HOST, door.cause());
        last = door.listener().id();
    };
    sockeye::listener door;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    const sockeye::listener_ref name = door;
    sockeye::listener other(std::move(door));
    REQUIRE(!door && other == name);
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, door.close());
    {
        sockeye::listener inner(std::move(other)); // closes at the brace
    }
    run_until(net, [&] { return gone == 1; }, told);
    REQUIRE_INT(name.id().id, last.id);

    sockeye::listener one, two;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", one));
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", two));
    const sockeye::listener_ref first = one, second = two;
    one = std::move(two); // the one it had closes
    run_until(net, [&] { return gone == 2; }, told);
    REQUIRE_INT(first.id().id, last.id);
    sockeye_listener_info info;
    REQUIRE_DONE(second.info(info));
    const sockeye::listener_ref released = one.release(); // stays open
    one.reset();
    REQUIRE(released == second && !one);
    REQUIRE_DONE(released.info(info));
    REQUIRE_DONE(released.close());
    run_until(net, [&] { return gone == 3; }, told);
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, [&] { // and then its number is nothing any more
        sockeye::batch<1> events;
        REQUIRE_DONE(net.poll(events, 0ms));
        return released.close();
    }());
}

uint64_t memory_of(sockeye::net_ref net)
{
    sockeye_net_stats stats;
    REQUIRE_DONE(net.stats(stats));
    return stats.memory_bytes;
}

void check_buffers()
{
    sockeye::buffer kept;
    {
        sockeye::net net = open_net();
        const uint64_t before = memory_of(net);
        sockeye::buffer one, two;
        REQUIRE_DONE(net.acquire(1 << 20, one));
        REQUIRE(one && one.size() == 0 && one.capacity() >= 1 << 20);
        const uint8_t *place = one.data();
        REQUIRE(memory_of(net) >= before + (1 << 20));
        two = std::move(one);
        REQUIRE(!one && one.data() == nullptr && one.capacity() == 0 && two.data() == place);
        REQUIRE_ANSWER(SOCKEYE_ERR_TOO_BIG, one.commit(1));
        REQUIRE_ANSWER(SOCKEYE_ERR_TOO_BIG, two.commit(two.capacity() + 1));
        REQUIRE_INT(0, two.size());
        two.reset();
        two.reset();
        REQUIRE(!two && memory_of(net) < before + (1 << 20));
        REQUIRE_DONE(net.acquire(100, kept));
        memcpy(kept.data(), "kept", 4);
        REQUIRE_DONE(kept.commit(4));
    }
    REQUIRE(kept.text() == "kept"); // longer than its net
}

} // namespace

int main()
{
    harness_watchdog();
    sockeye::net never;
    check_empty(never);
    check_nets();
    check_listeners();
    check_buffers();
    return 0;
}
