// Messages over real sockets: sends of every form, buffers, many at once, and the events of a batch
// as the views that a visitor takes.
#include "host.hpp"

#include <array>
#include <poll.h>
#include <string>
#include <vector>

#if defined(__cpp_lib_ranges)
#include <ranges>
static_assert(std::ranges::input_range<sockeye::events>);
static_assert(std::ranges::sized_range<sockeye::events>);
#endif

namespace {

// An echo that knows its players by a pointer, kept with the connection.
struct Player {
    int messages = 0;
};

void check_echo()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair pair(net, "?frame=u16be");
    Player player;
    REQUIRE_DONE(pair.server.set_user(&player));
    REQUIRE_DONE(pair.client.send("hello"));
    bool back = false, ended = false, others = false;
    run_until(
        net, [&] { return back && ended; },
        [&](sockeye::message got) {
            REQUIRE(got.text() == "hello" && got.size() == 5 && got.data()[4] == 'o');
            if (got.conn() == pair.server) {
                got.user<Player>()->messages++;
                REQUIRE_DONE(got.conn().send(got.text()));
                return;
            }
            REQUIRE_INT(0, got.user_data());
            back = true;
            REQUIRE_DONE(pair.server.close_with("goodbye", SOCKEYE_CLOSE_RESET));
        },
        [&](sockeye::closed gone) {
            if (gone.conn() != pair.server) return;
            REQUIRE_INT(SOCKEYE_CAUSE_HOST, gone.cause());
            REQUIRE(gone.user<Player>() == &player && strlen(gone.cause_text()) > 0);
            ended = true;
        },
        [&](sockeye::event) { others = true; }); // behind the two it sees neither's events
    REQUIRE(!others && player.messages == 1);
    REQUIRE_ANSWER(SOCKEYE_ERR_CLOSED, pair.server.send("late"));
    sockeye::batch<1> next;
    REQUIRE_DONE(net.poll(next, 0ms)); // ends the batch with its last event
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, pair.server.send("late"));
}

// Each form is another way to say bytes, and arrives as those.
void check_forms()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair pair(net, "?frame=u32be");
    std::vector<std::string> expected, got;
    const auto sent = [&](sockeye::status done, std::string text) {
        REQUIRE_DONE(done);
        expected.push_back(std::move(text));
    };
    const std::string text = "a string";
    const std::vector<uint8_t> numbers = {1, 0, 2};
    const std::array<std::byte, 2> raw = {std::byte{7}, std::byte{0}};
    const uint8_t plain[] = {'a', 0, 'b'};
    char words[6] = "words";
    const char magic[4] = {'m', 0, 'g', 'c'};
    char record[8] = {1, 2, 0, 4, 5, 6, 7, 0};
    const char *none = nullptr;
    using namespace std::string_view_literals;
    sent(pair.client.send("a literal"), "a literal");
    sent(pair.client.send("with\0nul"sv), std::string("with\0nul", 8));
    sent(pair.client.send(text), text);
    sent(pair.client.send(text.c_str()), text);
    sent(pair.client.send(std::string_view(words)), "words");
    sent(pair.client.send(&words[0]), "words");
    sent(pair.client.send(magic), std::string("m\0gc", 4));
    sent(pair.client.send(record), std::string("\1\2\0\4\5\6\7\0", 8));
    sent(pair.client.send("half\0a literal"), std::string("half\0a literal", 14));
    sent(pair.client.send(none), "");
    sent(pair.client.send(numbers), std::string("\1\0\2", 3));
    sent(pair.client.send(raw), std::string("\7\0", 2));
    sent(pair.client.send(plain), std::string("a\0b", 3));
    sent(pair.client.send({text.data() + 2, 3}), "str");
    sent(pair.client.send(sockeye::bytes()), "");
    sent(pair.client.send_parts({"one, ", text, raw}), "one, a string" + std::string("\7\0", 2));
#if defined(__cpp_lib_span)
    sent(pair.client.send(std::span<const uint8_t>(numbers).subspan(1)), std::string("\0\2", 2));
    sent(pair.client.send(std::as_bytes(std::span(words, 2))), "wo");
#endif
    const sockeye::bytes list[] = {"in ", std::string_view(text).substr(2), " parts"};
    sent(pair.client.send(list), "in string parts");
    sockeye_status each[2] = {9, 9};
    const std::vector<sockeye_conn> to = {pair.client.id(), sockeye_conn{}};
    REQUIRE_ANSWER(1, net.send_many(to, "for many", each));
    REQUIRE(each[0] == SOCKEYE_OK && each[1] == SOCKEYE_ERR_STALE);
    expected.push_back("for many");
    sockeye::message_parts keyed(list);
    keyed.key = 5;
    REQUIRE_ANSWER(1, net.send_many({to.data(), 1}, keyed));
    expected.push_back("in string parts");

    run_until(net, [&] { return got.size() == expected.size(); }, [&](sockeye::message one) {
        REQUIRE(one.conn() == pair.server);
#if defined(__cpp_lib_span)
        REQUIRE(one.span().size() == one.size());
#endif
        got.emplace_back(one.text());
    });
    REQUIRE(got == expected);
    std::vector<sockeye_conn_stats> counted(2);
    REQUIRE_ANSWER(1, net.stats(to, counted.data()));
    REQUIRE(counted[0].struct_size > 0 && counted[0].sent_bytes > 0 && counted[1].struct_size == 0);
    std::vector<sockeye_tcp_info> ways(counted.size());
    REQUIRE_ANSWER(1, net.tcp_info(to, ways.data()));
    sockeye_queue_stats waiting;
    REQUIRE_DONE(net.stats(0, waiting));
    sockeye_histogram polls;
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, net.histogram(SOCKEYE_HISTOGRAM_POLL, polls));
    std::size_t len = 0;
    REQUIRE_DONE(net.metrics(nullptr, 0, len));
    std::string metrics(len + 1000, '\0');
    REQUIRE_DONE(net.metrics(&metrics[0], metrics.size(), len));
    metrics.resize(len);
    uint32_t port = 0;
    REQUIRE_DONE(net.listen_metrics("tcp://127.0.0.1:0", &port));
    REQUIRE(port > 0);
    REQUIRE_DONE(net.close_metrics());
    REQUIRE(metrics.find("\nsockeye_connections 2\n") != std::string::npos);
}

void check_buffers()
{
    sockeye::buffer buffer, held; // these may outlive the net
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair pair(net, "?frame=u32be");
    constexpr size_t kSize = 200000;
    REQUIRE_DONE(net.acquire(kSize, buffer));
    for (size_t i = 0; i < kSize; i++) buffer.data()[i] = static_cast<uint8_t>(i * 31 >> 3);
    const std::string expected(reinterpret_cast<const char *>(buffer.data()), kSize);
    REQUIRE_DONE(buffer.commit(kSize));
    REQUIRE_DONE(pair.client.send(buffer));
    const sockeye::bytes around[] = {"head ", {buffer.data() + 10, kSize - 10}};
    REQUIRE_DONE(pair.client.send(sockeye::message_parts(around).from(buffer)));
    // A part half in the buffer is refused: so its id went with the message.
    const sockeye::bytes over[] = {{buffer.data() + 1, buffer.capacity()}};
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID,
                   pair.client.send(sockeye::message_parts(over).from(buffer)));
    buffer.reset(); // the library has references of its own
    int count = 0;
    run_until(net, [&] { return count == 2; }, [&](sockeye::message got) {
        if (++count == 1) {
            REQUIRE(got.text() == expected);
            REQUIRE_DONE(got.hold(held));
        } else {
            REQUIRE(got.text() == "head " + expected.substr(10));
        }
    });
    sockeye::batch<1> after;
    REQUIRE_DONE(net.poll(after, 0ms));
    REQUIRE(held.text() == expected); // beyond its batch
}

// Without framing a stream has pieces, and nothing that takes messages is given them.
void check_streams()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair pair(net, "");
    std::string got;
    REQUIRE_DONE(pair.client.send("a stream"));
    run_until(
        net, [&] { return got == "a stream"; }, [](sockeye::message) { REQUIRE(false); },
        [&](sockeye::received piece) {
            REQUIRE(piece.conn() == pair.server);
            got += piece.text();
        });
}

// A line, then frames, in one send: the host says how it goes on behind the line.
void check_configure()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye::endpoint lines, frames;
    lines.framing.kind = SOCKEYE_FRAMING_DELIMITER;
    lines.framing.frame_max_bytes = 5;
    lines.framing.overlong = SOCKEYE_OVERLONG_CUT;
    lines.step = 1;
    frames.framing.kind = SOCKEYE_FRAMING_LENGTH;
    frames.framing.length_bytes = 1;
    sockeye::listener door;
    sockeye::conn client;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", lines, door));
    REQUIRE_DONE(net.connect(url_of(door, "tcp", ""), client));
    REQUIRE_DONE(client.send("login me\r\n\2hi\3you"));
    std::vector<std::string> got;
    run_until(
        net, [&] { return got.size() == 4; },
        [&](sockeye::opened fresh) {
            if (fresh.accepted()) REQUIRE_DONE(fresh.conn().resume());
        },
        [&](sockeye::message one) {
            REQUIRE(one.truncated() == got.empty());
            got.emplace_back(one.text());
            if (got.size() == 1) REQUIRE_DONE(one.conn().configure(frames, "\1!"));
        });
    REQUIRE((got == std::vector<std::string>{"login", "!", "hi", "you"}));
    REQUIRE_ANSWER(SOCKEYE_ERR_BUSY, client.configure(frames));
}

// What stands behind a close in the same batch is not visited, but CLOSED is; what the peer ended
// is visited to its end.
void check_close_inside_a_batch()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair kicked(net, "?frame=u8"), other(net, "?frame=u8");
    for (const sockeye::conn from : {kicked.client, other.client})
        for (int i = 0; i < 3; i++) REQUIRE_DONE(from.send("say"));
    REQUIRE_DONE(other.client.close());
    sockeye::batch<64> events;
    int seen[2] = {0, 0}, ended = 0;
    const int64_t deadline = harness_deadline();
    while (ended < 3) {
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE_DONE(net.poll(events, 50ms));
        events.visit(
            [&](sockeye::message got) {
                REQUIRE(got.conn().is_open());
                seen[got.conn() == other.server]++;
                if (got.conn() == kicked.server) REQUIRE_DONE(got.conn().close());
            },
            [&](sockeye::closed) { ended++; });
        if (seen[0] > 0) (void)kicked.client.close();
    }
    REQUIRE(seen[0] == 1 && seen[1] == 3);
    REQUIRE(!kicked.server.is_open() && !sockeye::conn().is_open());
}

// What is left of the events: posts and their order, WRITABLE, MOVED, and a kind of tomorrow.
void check_kinds()
{
    sockeye::config with;
    with.queues = 2;
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(with, net));
    for (uint64_t i = 0; i < 5; i++) REQUIRE_DONE(net.post(1, i, i * i));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.post(2, 0));
    sockeye::batch<3> few; // smaller than what there is
    uint64_t next = 0;
    while (next < 5) {
        REQUIRE_DONE(net.poll(few, 10s, 1));
        REQUIRE(!few.empty() && few.size() <= 3 && few.queue() == 1);
        REQUIRE(few[0].kind() == SOCKEYE_EVENT_POSTED && few[0].net() == net.raw());
        for (const sockeye::event each : few) {
            each.visit([&](sockeye::posted one) {
                REQUIRE(one.detail() == next && one.user_data() == next * next);
                next++;
            });
        }
    }

    sockeye_timer timer;
    REQUIRE_DONE(net.start_timer(1, 2ms, 3ms, 44, timer));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.start_timer(2, 1ms, 0ms, 0, timer));
    REQUIRE_DONE(net.poll(few, 10s, 1));
    bool rang = false;
    few.visit([&](sockeye::due one) {
        rang = one.timer().id == timer.id && one.user_data() == 44 && one.missed() < 1000;
    });
    REQUIRE(rang);
    REQUIRE_DONE(net.stop_timer(timer));
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, net.stop_timer(timer));

    Pair pair(net, "?frame=u16be");
    REQUIRE_DONE(pair.server.set_queue(1));
    bool left = false, came = false;
    run_until(net, [&] { return left; }, [&](sockeye::moved away) {
        left = away.conn() == pair.server && away.other_queue() == 1;
    });
    REQUIRE_DONE(net.poll(few, 0ms)); // ends the batch, with which it leaves
    const int64_t deadline = harness_deadline();
    while (!came) {
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE_DONE(net.poll(few, 100ms, 1));
        few.visit([&](sockeye::moved here) { came = here.other_queue() == 0; });
    }

    // Nobody reads, so the outbox fills; read again, it empties.
    REQUIRE_DONE(pair.client.pause());
    const std::string chunk(60000, 'x');
    uint64_t refused = 0;
    while (refused == 0) {
        const sockeye::status done = pair.server.send(chunk);
        if (!done) REQUIRE_ANSWER(SOCKEYE_ERR_AGAIN, done);
        refused += !done;
    }
    REQUIRE_DONE(pair.client.resume());
    uint64_t told = 0;
    while (told == 0) {
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE_DONE(net.poll(few, 1ms));
        REQUIRE_DONE(net.poll(few, 1ms, 1));
        few.visit([&](sockeye::writable room) { told = room.refused(); });
    }
    REQUIRE_INT(refused, told);

    sockeye_event tomorrow{};
    tomorrow.kind = 99;
    int known = 0, any = 0;
    sockeye::events(net.raw(), 0, &tomorrow, 1).visit([&](sockeye::message) { known++; });
    const sockeye::event one(net.raw(), tomorrow);
    one.visit([&](sockeye::closed) { known++; }, [&](sockeye::event) { any++; });
    REQUIRE(known == 0 && any == 1);
}

void check_wait_handle()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    intptr_t handle = -1;
    REQUIRE_DONE(net.wait_handle(0, handle));
    pollfd wait = {static_cast<int>(handle), POLLIN, 0};
    REQUIRE_INT(0, poll(&wait, 1, 0));
    REQUIRE_DONE(net.post(0, 3));
    REQUIRE_INT(1, poll(&wait, 1, HARNESS_DEADLINE_MS));
    sockeye::batch<> events;
    REQUIRE_ANSWER(1, net.poll(events, 0ms));
    REQUIRE_ANSWER(0, net.poll(events, 0ms));
    REQUIRE_INT(0, poll(&wait, 1, 0));
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, net.wait_port(0, 7, 1)); // there are none here
    REQUIRE_DONE(net.shutdown(sockeye::forever));
    REQUIRE_ANSWER(SOCKEYE_ERR_SHUTDOWN, net.poll(events, sockeye::forever));
}

// A wait is never shorter than was said, and only `forever` is without end.
static_assert(sockeye::forever.ms() == -1);
static_assert(sockeye::timeout(0ms).ms() == 0 && sockeye::timeout(-5s).ms() == 0);
static_assert(sockeye::timeout(1us).ms() == 1 && sockeye::timeout(1500us).ms() == 2);
static_assert(sockeye::timeout(2s).ms() == 2000 && sockeye::timeout(2h).ms() == 7200000);
static_assert(sockeye::timeout(std::chrono::hours::max()).ms() == INT32_MAX);
static_assert(sockeye::timeout(std::chrono::nanoseconds::min()).ms() == 0);
static_assert(sockeye::timeout(std::chrono::duration<double>(0.0101)).ms() == 11);

void check_times()
{
    sockeye::config with;
    with.lease(3ms).spin(7us).gather(-1us);
    REQUIRE(with.lease_us == 3000 && with.spin_us == 7 && with.gather_us == 0);
    sockeye::endpoint door;
    const uint32_t untouched = door.send_timeout_ms;
    door.idle_timeout(3s).linger(5min).keepalive(1h).connect_timeout(std::chrono::hours(99999));
    door.first_byte_timeout(1ms).frame_timeout(2ms);
    REQUIRE(door.idle_timeout_ms == 3000 && door.linger_ms == 300000 && door.keepalive_s == 3600);
    REQUIRE(door.connect_timeout_ms == UINT32_MAX && door.send_timeout_ms == untouched);
    REQUIRE(door.first_byte_timeout_ms == 1 && door.frame_timeout_ms == 2);
    REQUIRE(door.send_timeout(4ms).send_timeout_ms == 4);
}

// A room of two, one of whom says something to the other.
void check_group()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    Pair pair(net, "?frame=u16be");
    sockeye::group room;
    REQUIRE(!room);
    REQUIRE_DONE(net.create_group(room));
    REQUIRE_DONE(room.add(pair.server));
    REQUIRE_DONE(room.add(pair.client));
    REQUIRE_INT(2, room.count().count());
    uint32_t skipped = 7;
    const sockeye::bytes parts[] = {"to ", "one"};
    REQUIRE_DONE(room.send(parts, pair.server, &skipped));
    REQUIRE_INT(0, skipped);
    REQUIRE_DONE(room.send("to both"));
    int one = 0, both = 0;
    run_until(
        net, [&] { return one + both == 3; },
        [&](sockeye::message got) {
            one += got.text() == "to one" && got.conn() == pair.server;
            both += got.text() == "to both";
        });
    REQUIRE(one == 1 && both == 2);
    sockeye_group_stats stats;
    REQUIRE_DONE(room.stats(stats));
    REQUIRE(stats.sends == 2 && stats.delivered == 3 && stats.members == 2);
    REQUIRE_DONE(room.remove(pair.client));
    REQUIRE_DONE(room.destroy());
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, room.send("late"));
}

} // namespace

int main()
{
    harness_watchdog();
    check_echo();
    check_forms();
    check_buffers();
    check_streams();
    check_configure();
    check_close_inside_a_batch();
    check_kinds();
    check_wait_handle();
    check_times();
    check_group();
    return 0;
}
