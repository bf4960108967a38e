#include "simulation.hpp"

#include <algorithm>

#include "protocol.hpp"

namespace arena {
namespace {

constexpr int32_t kHz = static_cast<int32_t>(kTickHz);
constexpr Fixed kPushPerTick = metres(40.0) / kHz; // 40 m/s^2
constexpr Fixed kFriction = metres(5.0) / kHz;     // of the speed, per tick: 6.7 m/s at most
constexpr Fixed kDiameter = 2 * kRadius;

Fixed times(Fixed a, Fixed b)
{
    return static_cast<Fixed>(static_cast<int64_t>(a) * b / 65536);
}

// The whole square root, by Newton's method from above.
int64_t root(int64_t value)
{
    if (value < 2) return value;
    int64_t guess = int64_t{1} << 31;
    while (guess * guess / 4 > value) guess /= 2;
    for (;;) {
        const int64_t better = (guess + value / guess) / 2;
        if (better >= guess) return guess;
        guess = better;
    }
}

int64_t length(int64_t x, int64_t y) { return root(x * x + y * y); }

// Places that look scattered and follow from the id alone.
Fixed place(uint32_t id, uint32_t axis)
{
    uint32_t hash = id * 0x9E3779B9U + axis * 0x85EBCA6BU + 0x7F4A7C15U;
    hash = (hash ^ (hash >> 15)) * 0x2C1B3C6DU;
    hash ^= hash >> 13;
    const Fixed room = kArenaSize - kDiameter;
    return kRadius + static_cast<Fixed>(hash % static_cast<uint32_t>(room));
}

} // namespace

Simulation::Simulation()
    : index_of_(size_t{65536}, kNoBody), first_in_cell_(size_t{kCells} * kCells, -1)
{
}

void Simulation::add(uint16_t id)
{
    index_of_[id] = static_cast<uint16_t>(bodies_.size());
    Body body;
    body.id = id;
    body.x = place(id, 0);
    body.y = place(id, 1);
    bodies_.push_back(body);
}

void Simulation::remove(uint16_t id)
{
    const uint16_t at = index_of_[id];
    if (at == kNoBody) return;
    bodies_[at] = bodies_.back();
    index_of_[bodies_[at].id] = at;
    index_of_[id] = kNoBody;
    bodies_.pop_back();
}

Body *Simulation::find(uint16_t id)
{
    const uint16_t at = index_of_[id];
    return at == kNoBody ? nullptr : &bodies_[at];
}

void Simulation::step()
{
    for (Body &body : bodies_) {
        run(body);
        meet_walls(body);
    }
    sort_into_cells();
    for (size_t i = 0; i < bodies_.size(); i++) collide(i);
    for (Body &body : bodies_) meet_walls(body); // a push may have gone through one
}

void Simulation::run(Body &body)
{
    // A direction longer than 127 (a diagonal at full) is full speed, not more.
    int32_t x = body.push_x, y = body.push_y;
    const auto size = static_cast<int32_t>(length(x, y));
    const int32_t full = std::max(size, 127);
    body.vx += kPushPerTick * x / full;
    body.vy += kPushPerTick * y / full;
    body.vx -= times(body.vx, kFriction);
    body.vy -= times(body.vy, kFriction);
    body.x += body.vx / kHz;
    body.y += body.vy / kHz;
}

void Simulation::meet_walls(Body &body)
{
    const auto meet = [](Fixed &at, Fixed &speed) {
        const Fixed inside = std::clamp(at, kRadius, kArenaSize - kRadius);
        if (inside == at) return;
        const bool outward = (at > inside) == (speed > 0);
        if (outward) speed = -speed / 2;
        at = inside;
    };
    meet(body.x, body.vx);
    meet(body.y, body.vy);
}

void Simulation::sort_into_cells()
{
    std::fill(first_in_cell_.begin(), first_in_cell_.end(), -1);
    next_in_cell_.resize(bodies_.size());
    for (size_t i = 0; i < bodies_.size(); i++) {
        const Body &body = bodies_[i];
        const auto cell = static_cast<size_t>((body.y >> 16) * kCells + (body.x >> 16));
        next_in_cell_[i] = first_in_cell_[cell];
        first_in_cell_[cell] = static_cast<int32_t>(i);
    }
}

// Against the bodies before it, in its own cell and the eight around: each pair once.
void Simulation::collide(size_t a)
{
    const int32_t column = std::clamp(bodies_[a].x, 0, kArenaSize - 1) >> 16;
    const int32_t row = std::clamp(bodies_[a].y, 0, kArenaSize - 1) >> 16;
    for (int32_t y = std::max(row - 1, 0); y <= std::min(row + 1, kCells - 1); y++)
        for (int32_t x = std::max(column - 1, 0); x <= std::min(column + 1, kCells - 1); x++)
            for (int32_t b = first_in_cell_[static_cast<size_t>(y * kCells + x)]; b >= 0;
                 b = next_in_cell_[static_cast<size_t>(b)])
                if (static_cast<size_t>(b) < a)
                    collide_pair(bodies_[static_cast<size_t>(b)], bodies_[a]);
}

// Equal discs: pushed apart, half the overlap each. They leave at half the speed they met with.
void Simulation::collide_pair(Body &a, Body &b)
{
    int64_t x = b.x - a.x, y = b.y - a.y;
    int64_t apart = length(x, y);
    if (apart >= kDiameter) return;
    if (apart == 0) { // in one spot: any direction will do, as long as it is always the same
        x = 1;
        apart = 1;
    }
    const auto nx = static_cast<Fixed>(x * 65536 / apart);
    const auto ny = static_cast<Fixed>(y * 65536 / apart);
    const auto half = static_cast<Fixed>((kDiameter - apart + 1) / 2);
    a.x -= times(nx, half);
    a.y -= times(ny, half);
    b.x += times(nx, half);
    b.y += times(ny, half);
    const Fixed closing = times(a.vx - b.vx, nx) + times(a.vy - b.vy, ny);
    if (closing <= 0) return;
    const Fixed change = closing / 4 * 3;
    a.vx -= times(nx, change);
    a.vy -= times(ny, change);
    b.vx += times(nx, change);
    b.vy += times(ny, change);
}

uint64_t Simulation::hash() const
{
    uint64_t hash = 0xCBF29CE484222325ULL;
    const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 0x100000001B3ULL; };
    for (const Body &body : bodies_) {
        mix(body.id);
        mix(static_cast<uint32_t>(body.x));
        mix(static_cast<uint32_t>(body.y));
        mix(static_cast<uint32_t>(body.vx));
        mix(static_cast<uint32_t>(body.vy));
        mix(static_cast<uint8_t>(body.push_x));
        mix(static_cast<uint8_t>(body.push_y));
    }
    return hash;
}

} // namespace arena
