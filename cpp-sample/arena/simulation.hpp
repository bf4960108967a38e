// The arena itself: players are discs that run, slide, bounce off walls and off each other.
//
// A fixed step of 1/30 s on whole numbers (16.16 fixed point). The same joins, leaves and inputs in
// the same order give the same world to the last bit, on every compiler and machine: that is what
// replays, and clients that predict themselves, are built on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace arena {

using Fixed = int32_t; // 16.16

constexpr Fixed metres(double value) { return static_cast<Fixed>(value * 65536.0); }

constexpr int32_t kArenaMetres = 64;
constexpr Fixed kArenaSize = kArenaMetres * 65536;
constexpr Fixed kRadius = metres(0.5);
constexpr uint16_t kNoBody = 0xFFFF; // never an id
constexpr size_t kBodiesMax = 6000;  // one snapshot holds them, also when all stand in one area

struct Body {
    uint16_t id = kNoBody;
    Fixed x = 0, y = 0;   // metres
    Fixed vx = 0, vy = 0; // metres per second
    int8_t push_x = 0, push_y = 0;
    uint32_t input = 0; // sequence of the input that set the push
};

class Simulation {
public:
    Simulation();

    // A new body, standing at a place that follows from its id. The id must be free.
    void add(uint16_t id);
    void remove(uint16_t id);
    // NULL: no such body. Valid until the next add or remove.
    Body *find(uint16_t id);
    const std::vector<Body> &bodies() const { return bodies_; }

    // One tick.
    void step();

    // A hash of everything that a next step depends on.
    uint64_t hash() const;

private:
    static constexpr int32_t kCells = kArenaMetres; // a cell is as wide as a disc

    static void run(Body &body);
    static void meet_walls(Body &body);
    void sort_into_cells();
    void collide(size_t a);
    static void collide_pair(Body &a, Body &b);

    std::vector<Body> bodies_;
    std::vector<uint16_t> index_of_; // by id
    // The bodies of a cell are a list: its first body, then each one's next. -1 ends it.
    std::vector<int32_t> first_in_cell_, next_in_cell_;
};

} // namespace arena
