// What the server and the bots share as hosts of Sockeye: their options, their net, and waiting
// for events until a point in time.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "protocol.hpp"
#include "sockeye.hpp"
#include "stats.hpp"

namespace arena {

// `--name value` pairs. Whatever is wrong with them ends the program with code 2 and a sentence.
class Options {
public:
    Options(int argc, char **argv, const char *usage) : program_(argv[0]), usage_(usage)
    {
        for (int i = 1; i < argc; i += 2) {
            const std::string name = argv[i];
            if (name == "--help" || name == "-h") {
                std::printf("%s", usage_);
                std::exit(0);
            }
            if (name.compare(0, 2, "--") != 0) refuse("what is '" + name + "'?");
            if (i + 1 == argc) refuse(name + " needs a value");
            given_.push_back({name.substr(2), argv[i + 1]});
        }
    }
    std::string text(const char *name, const char *otherwise)
    {
        std::string value = otherwise;
        for (size_t i = 0; i < given_.size();) {
            if (given_[i].first != name) {
                i++;
                continue;
            }
            value = given_[i].second;
            given_.erase(given_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        return value;
    }
    uint32_t number(const char *name, uint32_t otherwise, uint32_t low, uint32_t high)
    {
        return parse(name, text(name, std::to_string(otherwise).c_str()), low, high);
    }
    uint32_t parse(const char *name, const std::string &value, uint32_t low, uint32_t high) const
    {
        const bool digits =
            !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
        errno = 0;
        const unsigned long long number = std::strtoull(value.c_str(), nullptr, 10);
        if (!digits || errno != 0 || number < low || number > high)
            refuse("--" + std::string(name) + " is a number from " + std::to_string(low) + " to " +
                   std::to_string(high) + ", not '" + value + "'");
        return static_cast<uint32_t>(number);
    }
    // Called after all are taken: what is left is unknown.
    void finish()
    {
        if (!given_.empty()) refuse("there is no option --" + given_.front().first);
    }
    [[noreturn]] void refuse(const std::string &why) const
    {
        std::fprintf(stderr, "%s: %s\n%s", program_, why.c_str(), usage_);
        std::exit(2);
    }

private:
    const char *program_;
    const char *usage_;
    std::vector<std::pair<std::string, std::string>> given_;
};

[[noreturn]] inline void die(const char *what, sockeye::status status)
{
    std::fprintf(stderr, "%s: %s (%s)\n", what, sockeye::last_error(), status.text());
    std::exit(1);
}

// The options --model, --workers and --drive, as the configuration of a net. Sends leave at a
// flush: a tick's messages go together.
inline sockeye::config net_options(Options &options)
{
    sockeye::config config;
    config.flush = SOCKEYE_FLUSH_MANUAL;
    const std::string model = options.text("model", "auto");
    if (!sockeye::model_from_name(model, config.model))
        options.refuse("there is no model '" + model + "'");
    const std::string drive = options.text("drive", "lend");
    if (drive == "pool")
        config.drive = SOCKEYE_DRIVE_POOL;
    else if (drive == "lend")
        config.drive = SOCKEYE_DRIVE_LEND;
    else if (drive == "host")
        config.drive = SOCKEYE_DRIVE_HOST;
    else
        options.refuse("--drive is pool, lend or host, not '" + drive + "'");
    const std::string workers = options.text("workers", "auto");
    if (workers != "auto") config.workers = options.parse("workers", workers, 0, 64);
    return config;
}

// Whether what a URL names carries messages in lanes.
inline bool has_lanes(const std::string &url) { return url.compare(0, 7, "game://") == 0; }

// Length-prefixed messages; a URL may say it again, or otherwise, in its query. In lanes they are
// what they are.
inline sockeye::endpoint arena_endpoint(const std::string &url)
{
    sockeye::endpoint endpoint;
    if (has_lanes(url)) return endpoint;
    endpoint.framing.kind = SOCKEYE_FRAMING_LENGTH;
    endpoint.framing.length_bytes = 2;
    endpoint.framing.little_endian = 1;
    endpoint.framing.frame_max_bytes = kFrameMax;
    return endpoint;
}

// Makes the net, or ends the program with the reason.
inline sockeye::net open_net(const sockeye::config &config)
{
    sockeye::net net;
    const sockeye::status status = sockeye::net::open(config, net);
    if (!status) die("cannot start", status);
    return net;
}

using Batch = sockeye::batch<512>;

// Gives batches of events to `handle` until there are no more now.
template <class Handle> void drain(sockeye::net_ref net, Batch &batch, Handle &&handle)
{
    // Under a flood there are always more: what comes later than some 64 batches is for next time.
    for (int i = 0; i < 64; i++) {
        const sockeye::status polled = net.poll(batch, std::chrono::milliseconds(0));
        if (polled.code() == 0 || polled == SOCKEYE_ERR_SHUTDOWN) return;
        if (!polled) die("poll", polled);
        handle(batch);
    }
}

// Gives batches of events to `handle` as they come, until the clock shows `until_us`.
template <class Handle>
void wait(sockeye::net_ref net, Batch &batch, uint64_t until_us, Handle &&handle)
{
    for (;;) {
        const uint64_t now = now_us();
        if (now >= until_us) return;
        const std::chrono::microseconds left(until_us - now);
        if (left < std::chrono::milliseconds(1)) { // the rest is slept, not spun
            std::this_thread::sleep_for(left);
            return;
        }
        // A poll counts milliseconds, and rounds up: it is told the whole ones.
        const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(left);
        const sockeye::status polled = net.poll(batch, whole);
        if (!polled) die("poll", polled);
        if (!batch.empty()) handle(batch);
    }
}

// SIGINT or SIGTERM came. The first asks for an orderly end, a second one kills.
inline volatile std::sig_atomic_t interrupted = 0;

inline void watch_signals()
{
    const auto note = [](int number) {
        interrupted = 1;
        std::signal(number, SIG_DFL);
    };
    std::signal(SIGINT, note);
    std::signal(SIGTERM, note);
}

} // namespace arena
