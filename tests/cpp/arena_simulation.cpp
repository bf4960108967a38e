// The sample arena, without a network: its simulation gives the same world for the same inputs,
// keeps everybody inside the walls, under the speed limit and apart; its messages come back as they
// were written, and a message that is cut short, too long or changed anywhere is refused.
#include "../c/harness.h"

#include "../../cpp-sample/arena/protocol.hpp"
#include "../../cpp-sample/arena/simulation.cpp"
#include "../../cpp-sample/arena/stats.hpp"

namespace {

using namespace arena;

constexpr uint16_t kPlayers = 200;

void push_all(Simulation &world, uint32_t tick)
{
    for (uint16_t id = 1; id <= kPlayers; id++) {
        Body *body = world.find(id);
        if (body == nullptr || (tick + id) % 20 != 0) continue;
        body->push_x = static_cast<int8_t>((id * tick * 7) % 255 - 127);
        body->push_y = static_cast<int8_t>((id * tick * 13 + 5) % 255 - 127);
    }
}

void check_bounds(const Simulation &world)
{
    for (const Body &body : world.bodies()) {
        REQUIRE(body.x >= kRadius && body.x <= kArenaSize - kRadius);
        REQUIRE(body.y >= kRadius && body.y <= kArenaSize - kRadius);
        REQUIRE(abs(body.vx) < metres(9.0) && std::abs(body.vy) < metres(9.0));
    }
}

uint64_t play(uint32_t ticks)
{
    Simulation world;
    for (uint32_t tick = 0; tick < ticks; tick++) {
        if (tick < kPlayers) world.add(static_cast<uint16_t>(tick + 1));
        if (tick % 50 == 49) world.remove(static_cast<uint16_t>(tick / 50));
        push_all(world, tick);
        world.step();
        check_bounds(world);
    }
    return world.hash();
}

// Two who run into each other stop each other; one who stands on another is pushed off.
void check_collisions()
{
    Simulation world;
    for (uint16_t id = 1; id <= 2; id++) world.add(id);
    Body &left = *world.find(1), &right = *world.find(2);
    left.x = metres(30.0);
    right.x = metres(34.0);
    left.y = right.y = metres(32.0);
    left.push_x = 127;
    right.push_x = -127;
    for (int tick = 0; tick < 300; tick++) {
        world.step();
        REQUIRE(right.x - left.x > kRadius * 2 - metres(0.3));
    }
    REQUIRE(left.x > metres(31.0)); // he has run
    REQUIRE(left.y == metres(32.0) && right.y == metres(32.0));
    left = right;
    left.id = 1;
    world.step();
    REQUIRE(abs(left.x - right.x) > metres(0.9));
}

Snapshot some_snapshot()
{
    Snapshot snapshot;
    snapshot.tick = 0xFEDCBA98;
    snapshot.area = 15;
    for (uint16_t i = 0; i < 20; i++) {
        PlayerState player;
        player.id = i;
        player.x = static_cast<uint16_t>(60000 + i);
        player.y = i;
        player.vx = -127;
        player.vy = static_cast<int8_t>(i);
        player.input = static_cast<uint16_t>(0x0102U * i);
        snapshot.players.push_back(player);
    }
    return snapshot;
}

void check_snapshot()
{
    const Snapshot snapshot = some_snapshot();
    Writer out(Type::snapshot);
    snapshot.put(out);
    REQUIRE_INT(1 + 4 + 1 + 2 + 20 * PlayerState::kBytes + 4, out.size());
    const uint8_t head[] = {66, 0x98, 0xBA, 0xDC, 0xFE, 15, 20, 0, 0, 0, 0x60, 0xEA};
    REQUIRE(memcmp(out.data(), head, sizeof head) == 0);

    Snapshot back;
    REQUIRE(back.get(out.data(), out.size()));
    REQUIRE(back.tick == snapshot.tick && back.area == 15 && back.players.size() == 20);
    REQUIRE(back.players[7].x == 60007 && back.players[7].vx == -127);
    REQUIRE(back.players[7].input == 0x0102U * 7);

    std::vector<uint8_t> bytes(out.data(), out.data() + out.size());
    for (size_t size = 0; size < bytes.size(); size++) REQUIRE(!back.get(bytes.data(), size));
    for (size_t at = 1; at < bytes.size(); at++) { // one bit changed, anywhere
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ (1U << (at % 8)));
        REQUIRE(!back.get(bytes.data(), bytes.size()));
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ (1U << (at % 8)));
    }
    bytes.push_back(0);
    REQUIRE(!back.get(bytes.data(), bytes.size()));
}

// Any message cut short, or with a byte too many, is refused.
template <class Message> void check_lengths(Type type, const Message &message)
{
    Writer out(type);
    message.put(out);
    std::vector<uint8_t> bytes(out.data(), out.data() + out.size());
    bytes.push_back(0);
    for (size_t size = 0; size < bytes.size(); size++) {
        Reader in(bytes.data() + 1, size);
        Message back;
        REQUIRE_INT(size == out.size() - 1, back.get(in));
    }
}

void check_messages()
{
    Hello hello;
    hello.name = "a name";
    check_lengths(Type::hello, hello);
    check_lengths(Type::welcome, Welcome());
    check_lengths(Type::input, Input());
    check_lengths(Type::bye, Bye());
    check_lengths(Type::goodbye, Goodbye());
    check_lengths(Type::view, View());
    check_lengths(Type::notice, Notice());
    REQUIRE(newer(1, 0) && !newer(0, 1) && !newer(5, 5));
    REQUIRE(newer(0, 0xFFFFFFFFU) && newer(0x7FFFFFFFU, 0) && !newer(0xFFFFFFFFU, 0));

    hello.name.assign(kNameMax + 1, 'x'); // longer than a name may be
    Writer out(Type::hello);
    hello.put(out);
    Reader in(out.data() + 1, out.size() - 1);
    REQUIRE(!hello.get(in));
}

// A player sees his own area, and of its neighbours those within his sight.
void check_areas()
{
    REQUIRE(areas_near(0, 0) == 1U << 0 && areas_near(65535, 65535) == 1U << 15);
    const auto x = static_cast<uint16_t>(kAreaSide * 2), y = static_cast<uint16_t>(kAreaSide / 2);
    REQUIRE(areas_near(x, y) == (1U << 1 | 1U << 2));
    REQUIRE(areas_near(y, x) == (1U << 4 | 1U << 8));
    REQUIRE(areas_near(x, x) == (1U << 5 | 1U << 6 | 1U << 9 | 1U << 10));
    REQUIRE(areas_near(static_cast<uint16_t>(x + kSight - 1), y) == (1U << 1 | 1U << 2));
    REQUIRE(areas_near(static_cast<uint16_t>(x + kSight), y) == 1U << 2);
    for (uint32_t at = 0; at < 65536; at += 97) {
        const auto here = static_cast<uint16_t>(at), there = static_cast<uint16_t>(at * 31);
        const AreaSet areas = areas_near(here, there);
        REQUIRE(has(areas, area_at(here, there)));
        REQUIRE(size_of(areas) <= 4 && size_of(areas) != 3);
    }
}

// Percentiles against sorted values.
void check_histogram()
{
    Histogram histogram, other;
    REQUIRE_INT(0, histogram.percentile(0.5));
    for (uint64_t i = 1; i <= 100000; i++) (i % 2 ? histogram : other).add(i);
    histogram.add(other);
    REQUIRE(histogram.count() == 100000 && histogram.max() == 100000);
    for (const double share : {0.01, 0.25, 0.5, 0.9, 0.99, 1.0}) {
        const double exact = share * 100000;
        const auto answer = static_cast<double>(histogram.percentile(share));
        REQUIRE(answer >= exact * 0.999 && answer <= exact * 1.04);
    }
    histogram.add(~uint64_t{0}); // beyond all buckets
    REQUIRE(histogram.max() == ~uint64_t{0});
}

} // namespace

int main()
{
    harness_watchdog();
    const uint64_t world = play(3000);
    REQUIRE(world == play(3000));
    REQUIRE(world != play(2999));
    check_collisions();
    check_snapshot();
    check_messages();
    check_areas();
    check_histogram();
    return 0;
}
