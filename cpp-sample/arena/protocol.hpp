// What the arena's server and its clients say to each other.
//
// A message is one Sockeye frame (16-bit little-endian length, `?frame=u16le`; where browsers come
// to the same port 32-bit, `?frame=u32le`, which cannot look like TLS or HTTP), or one message of a
// WebSocket. Its first byte is its type; wire.hpp has what the rest is made of. Readers refuse what
// is left over.
//
//   client                                server
//   HELLO version, name           ->
//                                 <-      WELCOME version, id, rate
//                                 <-      VIEW first tick, areas (when they change)
//   INPUT sequence, time, x, y    ->      (at the client's own pace, the newest one counts)
//                                 <-      SNAPSHOT tick, area, who stands in it (each tick)
//                                 <-      NOTICE text (an administrator says something to all)
//                                 <-      ENDING (the server will stop: please say BYE)
//   PING time                     ->
//                                 <-      PONG time
//   BYE inputs sent               ->
//                                 <-      GOODBYE reason, inputs got, snapshots due, last tick
//
// A client is told of the areas in its VIEW, one SNAPSHOT for each of them and each tick from the
// VIEW's first tick on. Of an area only the newest one waits for a client who is behind: a gap in
// the ticks is no fault, but VIEW and GOODBYE say how many there were to be. GOODBYE is the last
// message; the server closes after it and the client closes when it sees that. So both sides know
// the exact numbers of the other, and can check them.
//
// Over lanes (`game://`) INPUT and SNAPSHOT are SEQUENCED: some are lost, and none comes after a
// newer one. All else is ORDERED, and the two may overtake each other: a snapshot may come before
// its VIEW and after GOODBYE, and an input after BYE.
//
// Who says WATCH in place of HELLO sees all of the arena and is not in it: each tick brings one
// SNAPSHOT of everybody, of the area kAreas. HELLO may follow, and makes a player of him.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "grid.hpp"
#include "wire.hpp"

namespace arena {

constexpr uint32_t kMagic = 0x4E455241; // "AREN"
constexpr uint16_t kVersion = 2;
constexpr uint32_t kTickHz = 30;
constexpr uint32_t kFrameMax = 65535;
// The lane of inputs and snapshots, of those that an endpoint has by default. All else goes in lane
// 0. Connections without lanes have one order for everything.
constexpr uint32_t kNewestLane = 2;
constexpr size_t kNameMax = 32;
constexpr size_t kNoticeMax = 200;

enum class Type : uint8_t {
    hello = 1,
    input = 2,
    bye = 3,
    watch = 4,
    ping = 5,
    welcome = 65,
    snapshot = 66,
    ending = 67,
    goodbye = 68,
    view = 69,
    notice = 70,
    pong = 71,
};

enum class Reason : uint8_t { bye = 0, version = 1, protocol = 2, slow = 3, full = 4, stopped = 5 };

inline const char *reason_text(Reason reason)
{
    switch (reason) {
    case Reason::bye: return "said goodbye";
    case Reason::version: return "speaks another version";
    case Reason::protocol: return "sent nonsense";
    case Reason::slow: return "too slow";
    case Reason::full: return "the arena is full";
    case Reason::stopped: return "the server stops";
    }
    return "unknown";
}

// Whether sequence `a` is newer than `b`; right also when the numbers have gone round.
inline bool newer(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

// Each message: its fields, `put` and `get`. `get` begins behind the type byte and answers whether
// the message was whole and sound.

struct Hello {
    uint32_t magic = kMagic;
    uint16_t version = kVersion;
    std::string name;

    void put(Writer &out) const
    {
        out.u32(magic);
        out.u16(version);
        out.text(name);
    }
    bool get(Reader &in)
    {
        magic = in.u32();
        version = in.u16();
        // Another version may have other fields behind: its first two are all that is settled.
        if (magic == kMagic && version != kVersion) return in.sound();
        name = in.text(kNameMax);
        return in.complete() && magic == kMagic;
    }
};

struct Welcome {
    uint16_t version = kVersion;
    uint16_t id = 0;
    uint8_t tick_hz = kTickHz;

    void put(Writer &out) const
    {
        out.u16(version);
        out.u16(id);
        out.u8(tick_hz);
    }
    bool get(Reader &in)
    {
        version = in.u16();
        id = in.u16();
        tick_hz = in.u8();
        return in.complete();
    }
};

struct Watch {
    uint32_t magic = kMagic;
    uint16_t version = kVersion;

    void put(Writer &out) const
    {
        out.u32(magic);
        out.u16(version);
    }
    bool get(Reader &in)
    {
        magic = in.u32();
        version = in.u16();
        return in.complete() && magic == kMagic;
    }
};

// PING and, as it came, PONG.
struct Ping {
    uint32_t sent_us = 0; // as in INPUT

    void put(Writer &out) const { out.u32(sent_us); }
    bool get(Reader &in)
    {
        sent_us = in.u32();
        return in.complete();
    }
};

struct View {
    uint32_t first_tick = 0; // of the first snapshots for it
    AreaSet areas = 0;

    void put(Writer &out) const
    {
        out.u32(first_tick);
        out.u16(areas);
    }
    bool get(Reader &in)
    {
        first_tick = in.u32();
        areas = in.u16();
        return in.complete();
    }
};

struct Notice {
    std::string text;

    void put(Writer &out) const { out.text(text); }
    bool get(Reader &in)
    {
        text = in.text(kNoticeMax);
        return in.complete();
    }
};

struct Input {
    uint32_t sequence = 0; // from 1, one more each time
    uint32_t sent_us = 0;  // the client's clock: only differences mean anything
    int8_t x = 0, y = 0;   // where to, 127 is full speed

    void put(Writer &out) const
    {
        out.u32(sequence);
        out.u32(sent_us);
        out.i8(x);
        out.i8(y);
    }
    bool get(Reader &in)
    {
        sequence = in.u32();
        sent_us = in.u32();
        x = in.i8();
        y = in.i8();
        return in.complete();
    }
};

struct Bye {
    uint32_t inputs_sent = 0;

    void put(Writer &out) const { out.u32(inputs_sent); }
    bool get(Reader &in)
    {
        inputs_sent = in.u32();
        return in.complete();
    }
};

struct Goodbye {
    Reason reason = Reason::bye;
    uint32_t inputs_received = 0;
    uint32_t snapshots_due = 0; // one for each area of his view in each tick
    uint32_t last_tick = 0;

    void put(Writer &out) const
    {
        out.u8(static_cast<uint8_t>(reason));
        out.u32(inputs_received);
        out.u32(snapshots_due);
        out.u32(last_tick);
    }
    bool get(Reader &in)
    {
        reason = static_cast<Reason>(in.u8());
        inputs_received = in.u32();
        snapshots_due = in.u32();
        last_tick = in.u32();
        return in.complete();
    }
};

// One player in a snapshot. It is the same for all who are told of the area, so the server makes
// it and Sockeye copies it once per tick, not once per player; all acknowledged inputs are in it.
struct PlayerState {
    static constexpr size_t kBytes = 10;
    uint16_t id = 0;
    uint16_t x = 0, y = 0; // 1/1024 m
    int8_t vx = 0, vy = 0; // 1/16 m/s
    uint16_t input = 0;    // sequence of the last input that moved him, its low bits

    void put(Writer &out) const
    {
        out.u16(id);
        out.u16(x);
        out.u16(y);
        out.i8(vx);
        out.i8(vy);
        out.u16(input);
    }
    void get(Reader &in)
    {
        id = in.u16();
        x = in.u16();
        y = in.u16();
        vx = in.i8();
        vy = in.i8();
        input = in.u16();
    }
};

// The players who stand in one area.
struct Snapshot {
    uint32_t tick = 0;
    uint8_t area = 0;
    std::vector<PlayerState> players;

    // Writes the whole message, with its checksum at the end.
    void put(Writer &out) const
    {
        out.u32(tick);
        out.u8(area);
        out.u16(static_cast<uint16_t>(players.size()));
        for (const PlayerState &player : players) player.put(out);
        out.u32(checksum(out.data(), out.size()));
    }
    // `message` is the whole message, type byte included.
    bool get(const uint8_t *message, size_t size)
    {
        if (size < 5) return false;
        Reader sum(message + size - 4, 4);
        if (sum.u32() != checksum(message, size - 4)) return false;
        Reader in(message + 1, size - 5);
        tick = in.u32();
        area = in.u8();
        const size_t count = in.u16();
        if (area >= kAreas || !in.has(count, PlayerState::kBytes)) return false;
        players.resize(count);
        for (PlayerState &player : players) player.get(in);
        return in.complete();
    }
};

} // namespace arena
