// The areas of the arena as groups of Sockeye: whoever is near an area is a member of its group,
// and one send tells all of them what happens there.
#pragma once

#include <array>
#include <cstdint>

#include "grid.hpp"
#include "protocol.hpp"
#include "sockeye.hpp"

namespace arena {

// Sends a snapshot to all of a group. One that still waits for a member is replaced by this one:
// who reads slowly gets fewer of them, but never an old one.
sockeye::status send_newest(sockeye::group to, uint32_t key, const Writer &snapshot);

class Areas {
public:
    // Makes the groups, or ends the program with the reason.
    explicit Areas(sockeye::net_ref net);

    // Makes a member of the areas `from` one of the areas `to`.
    void move(sockeye::conn player, AreaSet from, AreaSet to) const;
    // Sends a snapshot to all members of an area, as `send_newest`.
    sockeye::status send(uint32_t area, const Writer &snapshot) const
    {
        return send_newest(groups_[area], area + 1, snapshot); // 0 would be no key
    }

    uint32_t members(uint32_t area) const
    {
        return static_cast<uint32_t>(groups_[area].count().count());
    }
    // What all areas have counted, together.
    sockeye_group_stats stats() const;

private:
    std::array<sockeye::group, kAreas> groups_;
};

} // namespace arena
