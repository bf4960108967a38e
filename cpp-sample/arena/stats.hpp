// The clock, and how numbers of it are summed up.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace arena {

// Monotonic microseconds.
inline uint64_t now_us()
{
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

// Counts values in buckets that grow with the value: percentiles within 3 %, in 4 KB, for ever.
class Histogram {
public:
    void add(uint64_t value)
    {
        buckets_[bucket_of(value)]++;
        count_++;
        if (value > max_) max_ = value;
    }
    void add(const Histogram &other)
    {
        for (size_t i = 0; i < kBuckets; i++) buckets_[i] += other.buckets_[i];
        count_ += other.count_;
        if (other.max_ > max_) max_ = other.max_;
    }
    // The value that `share` (0.5, 0.99) of all are at most. 0 when there are none.
    uint64_t percentile(double share) const
    {
        const auto rank = static_cast<uint64_t>(share * static_cast<double>(count_) + 0.5);
        uint64_t seen = 0;
        for (size_t i = 0; i < kBuckets; i++) {
            seen += buckets_[i];
            if (seen > 0 && seen >= rank) return top_of(i) < max_ ? top_of(i) : max_;
        }
        return max_;
    }
    uint64_t max() const { return max_; }
    uint64_t count() const { return count_; }

private:
    // Values below 64 have a bucket each; above, each doubling is cut into 32.
    static constexpr size_t kExact = 64, kSteps = 32, kDoublings = 29;
    static constexpr size_t kBuckets = kExact + kDoublings * kSteps;

    static size_t bucket_of(uint64_t value)
    {
        if (value < kExact) return static_cast<size_t>(value);
        size_t doubling = 0;
        while (value >= kExact) {
            value /= 2;
            doubling++;
        }
        const size_t step = static_cast<size_t>(value) - kSteps;
        const size_t bucket = kExact + (doubling - 1) * kSteps + step;
        return bucket < kBuckets ? bucket : kBuckets - 1;
    }
    static uint64_t top_of(size_t bucket)
    {
        if (bucket < kExact) return bucket;
        const size_t doubling = (bucket - kExact) / kSteps + 1;
        const uint64_t value = (bucket - kExact) % kSteps + kSteps;
        return ((value + 1) << doubling) - 1;
    }

    std::array<uint64_t, kBuckets> buckets_{};
    uint64_t count_ = 0, max_ = 0;
};

} // namespace arena
