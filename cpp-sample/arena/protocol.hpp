// What the arena's server and its clients say to each other.
//
// A message is one Sockeye frame (16-bit little-endian length, `?frame=u16le`). Its first byte is
// its type; all numbers are little-endian, written byte by byte, so that neither padding nor the
// machine's byte order gets onto the wire. Readers check every length and refuse what is left over.
//
//   client                                server
//   HELLO version, name           ->
//                                 <-      WELCOME version, id, first tick, rate
//   INPUT sequence, time, x, y    ->      (at the client's own pace, the newest one counts)
//                                 <-      SNAPSHOT tick, joined, left, everybody (each tick)
//                                 <-      ENDING (the server will stop: please say BYE)
//   BYE inputs sent               ->
//                                 <-      GOODBYE reason, inputs got, snapshots sent, last tick
//
// GOODBYE is the last message, behind the last snapshot; the server closes after it and the client
// closes when it sees that. So both sides know the exact numbers of the other, and can check them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace arena {

constexpr uint32_t kMagic = 0x4E455241; // "AREN"
constexpr uint16_t kVersion = 1;
constexpr uint32_t kTickHz = 30;
constexpr uint32_t kFrameMax = 65535;
constexpr size_t kNameMax = 32;

enum class Type : uint8_t {
    hello = 1,
    input = 2,
    bye = 3,
    welcome = 65,
    snapshot = 66,
    ending = 67,
    goodbye = 68,
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

class Writer {
public:
    explicit Writer(Type type) { u8(static_cast<uint8_t>(type)); }
    // Begins again, in the same memory.
    void restart(Type type)
    {
        bytes_.clear();
        u8(static_cast<uint8_t>(type));
    }
    void u8(uint8_t value) { bytes_.push_back(value); }
    void u16(uint16_t value) { number(value, 2); }
    void u32(uint32_t value) { number(value, 4); }
    void i8(int8_t value) { u8(static_cast<uint8_t>(value)); }
    void text(const std::string &text)
    {
        u8(static_cast<uint8_t>(text.size()));
        bytes_.insert(bytes_.end(), text.begin(), text.end());
    }
    const uint8_t *data() const { return bytes_.data(); }
    size_t size() const { return bytes_.size(); }

private:
    void number(uint32_t value, int count)
    {
        for (int i = 0; i < count; i++) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
    std::vector<uint8_t> bytes_;
};

// Reads what a Writer wrote. One read beyond the end spoils it for good: it answers zeros, and
// `complete` is false.
class Reader {
public:
    Reader(const uint8_t *data, size_t size) : at_(data), left_(size) {}
    uint8_t u8() { return static_cast<uint8_t>(number(1)); }
    uint16_t u16() { return static_cast<uint16_t>(number(2)); }
    uint32_t u32() { return number(4); }
    int8_t i8() { return static_cast<int8_t>(u8()); }
    std::string text(size_t max)
    {
        const size_t size = u8();
        if (size > max || !take(size)) return spoil(), std::string();
        return std::string(reinterpret_cast<const char *>(at_ - size), size);
    }
    // Whether `count` things of `size` bytes can still follow: asked before memory is reserved.
    bool has(size_t count, size_t size) const { return count <= left_ / size; }
    // Everything that was asked for was there.
    bool sound() const { return !spoiled_; }
    // And nothing is left over.
    bool complete() const { return !spoiled_ && left_ == 0; }

private:
    bool take(size_t count)
    {
        if (spoiled_ || count > left_) return spoil(), false;
        at_ += count;
        left_ -= count;
        return true;
    }
    uint32_t number(size_t count)
    {
        uint32_t value = 0;
        if (!take(count)) return 0;
        for (size_t i = 0; i < count; i++)
            value |= static_cast<uint32_t>(*(at_ - count + i)) << (8 * i);
        return value;
    }
    void spoil()
    {
        spoiled_ = true;
        left_ = 0;
    }
    const uint8_t *at_;
    size_t left_;
    bool spoiled_ = false;
};

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
    uint32_t first_tick = 0; // of the first snapshot that will come
    uint8_t tick_hz = kTickHz;

    void put(Writer &out) const
    {
        out.u16(version);
        out.u16(id);
        out.u32(first_tick);
        out.u8(tick_hz);
    }
    bool get(Reader &in)
    {
        version = in.u16();
        id = in.u16();
        first_tick = in.u32();
        tick_hz = in.u8();
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
    uint32_t snapshots_sent = 0;
    uint32_t last_tick = 0;

    void put(Writer &out) const
    {
        out.u8(static_cast<uint8_t>(reason));
        out.u32(inputs_received);
        out.u32(snapshots_sent);
        out.u32(last_tick);
    }
    bool get(Reader &in)
    {
        reason = static_cast<Reason>(in.u8());
        inputs_received = in.u32();
        snapshots_sent = in.u32();
        last_tick = in.u32();
        return in.complete();
    }
};

// One player in a snapshot, 16 bytes: 200 players are 3.2 KB. A snapshot is the same for all, so
// the server makes it and Sockeye copies it once per tick, not once per player; everybody's
// acknowledged input is in it. Room for 3000 players; long before that a server would send
// each player only those near him.
struct PlayerState {
    static constexpr size_t kBytes = 16;
    uint16_t id = 0;
    uint16_t x = 0, y = 0;  // 1/1024 m
    int8_t vx = 0, vy = 0;  // 1/16 m/s
    uint32_t input = 0;     // sequence of the last input that moved him
    uint32_t distance = 0;  // 1/1024 m that he has gone

    void put(Writer &out) const
    {
        out.u16(id);
        out.u16(x);
        out.u16(y);
        out.i8(vx);
        out.i8(vy);
        out.u32(input);
        out.u32(distance);
    }
    void get(Reader &in)
    {
        id = in.u16();
        x = in.u16();
        y = in.u16();
        vx = in.i8();
        vy = in.i8();
        input = in.u32();
        distance = in.u32();
    }
};

// FNV-1a. TCP has its own checksum: this one is here to catch us, not the network.
inline uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 16777619U;
    return hash;
}

struct Snapshot {
    uint32_t tick = 0;
    std::vector<uint16_t> joined, left; // since the snapshot before
    std::vector<PlayerState> players;

    // Writes the whole message, with its checksum at the end.
    void put(Writer &out) const
    {
        out.u32(tick);
        out.u16(static_cast<uint16_t>(joined.size()));
        out.u16(static_cast<uint16_t>(left.size()));
        out.u16(static_cast<uint16_t>(players.size()));
        for (const uint16_t id : joined) out.u16(id);
        for (const uint16_t id : left) out.u16(id);
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
        const size_t joins = in.u16(), leaves = in.u16(), count = in.u16();
        if (!in.has(joins + leaves, 2) || !in.has(count, PlayerState::kBytes)) return false;
        joined.resize(joins);
        left.resize(leaves);
        players.resize(count);
        for (uint16_t &id : joined) id = in.u16();
        for (uint16_t &id : left) id = in.u16();
        for (PlayerState &player : players) player.get(in);
        return in.complete();
    }
};

} // namespace arena
