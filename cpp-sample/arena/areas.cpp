#include "areas.hpp"

#include "host.hpp"

namespace arena {

Areas::Areas(sockeye::net_ref net)
{
    for (sockeye::group &group : groups_) {
        const sockeye::status made = net.create_group(group);
        if (!made) die("a group for an area", made);
    }
}

void Areas::move(sockeye::conn player, AreaSet from, AreaSet to) const
{
    for (uint32_t area = 0; area < kAreas; area++) {
        if (has(from, area) == has(to, area)) continue;
        // Refused only for a connection that ends: it has left all groups, and CLOSED follows.
        if (has(to, area))
            (void)groups_[area].add(player);
        else
            (void)groups_[area].remove(player);
    }
}

sockeye::status send_newest(sockeye::group to, uint32_t key, const Writer &snapshot)
{
    const sockeye::bytes parts[] = {snapshot};
    sockeye::message_parts message(parts);
    message.key = key;
    message.lane = kNewestLane;
    // Behind all that waits, not in the place of the old one: a VIEW that was sent since then is
    // about this one.
    message.flags = SOCKEYE_MESSAGE_AT_END;
    return to.send(message);
}

sockeye_group_stats Areas::stats() const
{
    sockeye_group_stats sum{};
    for (const sockeye::group &group : groups_) {
        sockeye_group_stats one{};
        if (!group.stats(one)) continue;
        sum.members += one.members;
        sum.full += one.full;
        sum.sends += one.sends;
        sum.delivered += one.delivered;
        sum.skipped += one.skipped;
    }
    return sum;
}

} // namespace arena
