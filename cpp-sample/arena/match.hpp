// One running match: who is in it, what they want, and what they are told each tick.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "areas.hpp"
#include "protocol.hpp"
#include "simulation.hpp"
#include "sockeye.hpp"
#include "stats.hpp"

namespace arena {

// What has happened so far. Everything that is sent or received is counted once, where it happens.
struct Counts {
    uint64_t messages_in = 0, messages_out = 0; // to single players: the areas count their own
    uint64_t inputs = 0;     // all that came
    uint64_t superseded = 0; // of these: a newer one of the same player came in the same tick
    uint64_t stale = 0;      // of these: older than one that had come before
    uint64_t due = 0;        // snapshots: one for each area of each player in each tick
    uint64_t refused = 0;    // of these: not sent, for want of memory
    uint64_t joins = 0, leaves = 0;
    uint64_t kicked = 0; // for being slow, or for nonsense
    uint64_t lost = 0;   // connections of players that ended without goodbye
    uint64_t opened = 0, closed = 0;
};

class Match {
public:
    Match(sockeye::net_ref net, uint32_t connections_max);

    // `now`: when it came.
    void handle(sockeye::event event, uint64_t now);
    // Moves the world one step and tells everybody.
    void tick();
    // Asks everybody to say goodbye; who comes now is sent away.
    void end();
    // Says goodbye to all that are still there.
    void dismiss_all();

    uint32_t tick_number() const { return tick_; }
    size_t players() const { return playing_.size(); }
    size_t connections() const { return static_cast<size_t>(counts_.opened - counts_.closed); }
    const Counts &counts() const { return counts_; }
    // How unevenly inputs arrive, against how they were sent (as in RFC 3550, 6.4.1), in us.
    const Histogram &jitter() const { return jitter_; }
    // What the system has measured of the ways to the players since this was last asked for, in us.
    Histogram take_round_trips() { return std::exchange(round_trips_, Histogram()); }
    const Areas &areas() const { return areas_; }
    // All who play. Other threads may send to it, too.
    sockeye::group everybody() const { return everybody_; }

private:
    enum class State : uint8_t { none, greeting, watching, playing, gone };

    // One connection, kept at the connection's index.
    struct Guest {
        State state = State::none;
        uint16_t id = kNoBody;
        uint32_t place = 0; // in `playing_`
        sockeye::conn conn;
        std::string name;
        uint32_t newest = 0; // sequence of the newest input
        bool moved = false;  // an input came since the last tick
        AreaSet areas = 0;   // whose groups he is in
        uint32_t inputs = 0, due = 0, last_tick = 0;
        uint32_t last_sent_us = 0; // of the newest input, the player's clock
        uint64_t last_came_us = 0; // and ours
    };

    void opened(sockeye::conn conn);
    void message(Guest &guest, sockeye::message event, uint64_t now);
    void hello(Guest &guest, Reader &in);
    void watch(Guest &guest, Reader &in);
    void ping(Guest &guest, Reader &in);
    void input(Guest &guest, Reader &in, uint64_t now);
    void closed(Guest &guest);
    // GOODBYE behind everything sent before, then the end of the connection.
    void dismiss(Guest &guest, Reason reason);
    void leave(Guest &guest);
    void tell(Guest &guest, const Writer &message);
    void look_around();
    void see(Guest &guest, AreaSet areas);
    void send_snapshots();
    void send_everything();
    void measure();
    uint16_t free_id();
    Guest &guest_of(sockeye::conn conn) { return guests_[conn.index()]; }
    Guest &guest_at(size_t place) { return guests_[playing_[place]]; }

    Areas areas_;
    sockeye::group everybody_, watchers_;
    Simulation world_;
    std::vector<Guest> guests_;
    std::vector<uint32_t> playing_; // indices of their connections
    std::array<Snapshot, kAreas> snapshots_;
    Snapshot everything_; // for those who watch
    Writer message_{Type::snapshot};
    uint32_t tick_ = 0;
    uint16_t next_id_ = 1;
    bool ending_ = false;
    Counts counts_;
    Histogram jitter_, round_trips_;
};

} // namespace arena
