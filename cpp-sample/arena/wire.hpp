// Numbers and texts as bytes: little-endian, written byte by byte, so that neither padding nor the
// machine's byte order gets onto the wire. Readers check every length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace arena {

enum class Type : uint8_t; // what a message begins with: protocol.hpp has them

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

// FNV-1a, four bytes at a time. TCP has its own checksum: this one is here to catch us, not the
// network.
inline uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261U;
    for (; size >= 4; data += 4, size -= 4) {
        const uint32_t high = static_cast<uint32_t>(data[2]) | static_cast<uint32_t>(data[3]) << 8;
        hash = (hash ^ (data[0] | static_cast<uint32_t>(data[1]) << 8 | high << 16)) * 16777619U;
    }
    for (; size > 0; data++, size--) hash = (hash ^ *data) * 16777619U;
    return hash;
}

} // namespace arena
