// The arena as a grid of areas: which of them a player is told of. The server and its clients
// compute it alike, from the coordinates that are sent (1/1024 m).
#pragma once

#include <algorithm>
#include <cstdint>

namespace arena {

constexpr uint32_t kGrid = 4; // areas from left to right, and from top to bottom
constexpr uint32_t kAreas = kGrid * kGrid;
constexpr uint32_t kAreaSide = 65536 / kGrid; // 16 m
constexpr uint32_t kSight = 4 * 1024;         // 4 m
static_assert(2 * kSight < kAreaSide, "a player sees two areas in each direction, at most");

// A set of areas, a bit each.
using AreaSet = uint16_t;
static_assert(kAreas <= 16, "a bit for each area");

inline bool has(AreaSet set, uint32_t area) { return (set >> area & 1) != 0; }

inline uint32_t size_of(AreaSet set)
{
    uint32_t size = 0;
    for (; set != 0; set = static_cast<AreaSet>(set & (set - 1))) size++;
    return size;
}

inline uint32_t area_at(uint16_t x, uint16_t y)
{
    return y / kAreaSide * kGrid + x / kAreaSide;
}

// The area that a player stands in and the neighbours within his sight: one, two or four.
inline AreaSet areas_near(uint16_t x, uint16_t y)
{
    const auto first = [](uint32_t at) { return (at > kSight ? at - kSight : 0) / kAreaSide; };
    const auto last = [](uint32_t at) { return std::min(at + kSight, 65535U) / kAreaSide; };
    uint32_t set = 0;
    for (uint32_t row = first(y); row <= last(y); row++)
        for (uint32_t column = first(x); column <= last(x); column++)
            set |= 1U << (row * kGrid + column);
    return static_cast<AreaSet>(set);
}

} // namespace arena
