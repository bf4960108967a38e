// The arena's bots: many players in one process, on one Sockeye net, each checking what it is told.
//
// Prints a line of key=value for each second and a summary. Ends with 0 only if every bot got its
// snapshots in order and whole, knows of each that it did not get, and all numbers are those of the
// server.
#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

#include "bot.hpp"
#include "host.hpp"
#include "sockeye.hpp"

namespace {

using namespace arena;

constexpr const char *kUsage =
    "usage: arena_bots --url tcp://127.0.0.1:7777\n"
    "                  [--bots N]         players (default 200)\n"
    "                  [--seconds N]      how long they play (default 10)\n"
    "                  [--restless N]     of 100 so many leave now and then and come back (25)\n"
    "                  [--model NAME]     auto, epoll, poll, ... (default auto)\n"
    "                  [--workers N|auto] I/O workers (default auto)\n"
    "                  [--drive pool|lend|host]  who turns them (default lend)\n"
    "                  [--delay MS] [--jitter MS] [--loss PERCENT] [--rate BYTES|K|M a second]\n"
    "                                     a bad line for every player, each way (default: none)\n";

constexpr uint64_t kSecond = 1000000;
// Bots do not all send at the same moment: they are driven in turns, eight to a tick.
constexpr size_t kPhases = 8;
constexpr uint64_t kTick = kSecond / kTickHz;
constexpr uint64_t kPhase = kTick / kPhases;
constexpr uint64_t kArrivalTime = kSecond / 2; // in which they come, one after the other
constexpr uint64_t kGoodbyeTime = 5 * kSecond; // after which who is still there is lost

struct Settings {
    std::string url;
    uint32_t bots = 0, restless = 0;
    uint64_t seconds = 0;
    sockeye::config config;
    sockeye::fault line; // what happens to what each bot sends and receives
};

// The options of a bad line. Asked for, the net has taps.
void read_line(Options &options, Settings &settings)
{
    sockeye_fault_way way{};
    way.delay_ms = options.number("delay", 0, 0, 60000);
    way.jitter_ms = options.number("jitter", 0, 0, way.delay_ms);
    way.loss_ppm = options.number("loss", 0, 0, 100) * 10000;
    std::string rate = options.text("rate", "0");
    uint64_t unit = 1;
    if (!rate.empty() && (rate.back() == 'K' || rate.back() == 'M')) {
        unit = rate.back() == 'K' ? 1000 : 1000000;
        rate.pop_back();
    }
    way.rate_bytes = options.parse("rate", rate, 0, 1000000000) * unit;
    settings.line.inward = settings.line.outward = way;
    settings.line.seed = 1;
    if (way.delay_ms + way.loss_ppm + way.rate_bytes > 0) settings.config.taps = 1;
}

Settings read_settings(int argc, char **argv)
{
    Options options(argc, argv, kUsage);
    Settings settings;
    settings.url = options.text("url", "");
    settings.bots = options.number("bots", 200, 1, 100000);
    settings.seconds = options.number("seconds", 10, 1, 1000000);
    settings.restless = options.number("restless", 25, 0, 100);
    settings.config = net_options(options);
    // An old one may not be gone yet, and each one with lanes has a socket that counts, too.
    settings.config.connections_max = (has_lanes(settings.url) ? 4 : 2) * settings.bots;
    read_line(options, settings);
    options.finish();
    if (settings.url.empty()) options.refuse("--url is missing");
    return settings;
}

class Bots {
public:
    explicit Bots(const Settings &settings) : settings_(settings)
    {
        crowd_.net = open_net(settings.config);
        if (settings.config.taps == 1) {
            const sockeye::status set = settings.line.set(crowd_.net.raw());
            if (!set) die("a bad line", set);
        }
        crowd_.url = settings_.url.c_str();
        crowd_.lanes = has_lanes(settings_.url);
        start_ = now_us();
        crowd_.end_us = start_ + settings.seconds * kSecond;
        bots_.reserve(settings.bots);
        for (uint32_t i = 0; i < settings.bots; i++) {
            const bool restless = i * 37 % 100 < settings.restless; // spread over all
            bots_.emplace_back(crowd_, i, restless, start_ + i * kArrivalTime / settings.bots);
        }
    }

    int run()
    {
        uint64_t due = start_;
        for (size_t step = 0; !finished(); step++) {
            const auto hear = [this](const sockeye::events &events) {
                const uint64_t came = now_us();
                for (const sockeye::event event : events)
                    bots_[static_cast<size_t>(event.user_data())].handle(event, came);
            };
            wait(crowd_.net, batch_, due, hear);
            drain(crowd_.net, batch_, hear);
            const uint64_t now = now_us();
            for (size_t i = step % kPhases; i < bots_.size(); i += kPhases) bots_[i].drive(now);
            (void)crowd_.net.flush();
            if (interrupted) crowd_.ending = true;
            if (now >= start_ + (second_ + 1) * kSecond) report_second();
            due += kPhase;
            if (now > due + kTick) due = now; // far behind: goes on from here, without a burst
        }
        return leave();
    }

private:
    bool finished()
    {
        const uint64_t now = now_us();
        if (crowd_.ending && crowd_.end_us > now) crowd_.end_us = now;
        if (now > crowd_.end_us + kGoodbyeTime) return true;
        for (const Bot &bot : bots_)
            if (!bot.done()) return false;
        return true;
    }

    void report_second()
    {
        const Totals &all = crowd_.totals;
        second_++;
        std::printf("second=%" PRIu64 " bots=%" PRIu64 " snaps=%" PRIu64 " inputs=%" PRIu64
                    " missed=%" PRIu64 " latency_p50_us=%" PRIu64 " latency_p99_us=%" PRIu64
                    " errors=%" PRIu64 "\n",
                    second_, all.joins - all.leaves, all.snapshots - before_.snapshots,
                    all.inputs - before_.inputs, all.missed - before_.missed,
                    crowd_.latency.percentile(0.5), crowd_.latency.percentile(0.99), all.errors());
        std::fflush(stdout);
        before_ = all;
        latency_.add(crowd_.latency);
        crowd_.latency = Histogram();
    }

    int leave()
    {
        Totals &all = crowd_.totals;
        for (const Bot &bot : bots_)
            if (!bot.done()) all.lost++;
        sockeye_net_stats stats{};
        (void)crowd_.net.stats(stats);
        (void)crowd_.net.shutdown(std::chrono::seconds(2));
        latency_.add(crowd_.latency);
        const bool played = all.joins >= settings_.bots || crowd_.ending;
        const bool sound = all.errors() == 0 && all.joins == all.leaves && played;
        std::printf("summary bots=%" PRIu32 " sessions=%" PRIu64 " joins=%" PRIu64
                    " leaves=%" PRIu64 " inputs_sent=%" PRIu64 " snapshots_due=%" PRIu64
                    " snapshots_received=%" PRIu64 " snapshots_missed=%" PRIu64
                    " notices=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64,
                    settings_.bots, all.sessions, all.joins, all.leaves, all.inputs, all.due,
                    all.snapshots, all.missed, all.notices, stats.received_bytes,
                    stats.sent_bytes);
        std::printf(" out_of_order=%" PRIu64 " corrupt=%" PRIu64 " ack_errors=%" PRIu64
                    " area_errors=%" PRIu64 " count_errors=%" PRIu64,
                    all.out_of_order, all.corrupt, all.ack_errors, all.area_errors,
                    all.count_errors);
        std::printf(" connect_failed=%" PRIu64 " lost=%" PRIu64 " kicked=%" PRIu64
                    " refused=%" PRIu64,
                    all.connect_failed, all.lost, all.kicked, all.refused);
        std::printf(" latency_p50_us=%" PRIu64 " latency_p99_us=%" PRIu64 " latency_max_us=%" PRIu64
                    " errors=%" PRIu64 " ok=%d\n",
                    latency_.percentile(0.5), latency_.percentile(0.99), latency_.max(),
                    all.errors(), sound ? 1 : 0);
        std::fflush(stdout);
        return sound ? 0 : 1;
    }

    const Settings settings_;
    Crowd crowd_;
    std::vector<Bot> bots_;
    Batch batch_;
    uint64_t start_ = 0, second_ = 0;
    Totals before_;
    Histogram latency_; // of all seconds before this one
};

} // namespace

int main(int argc, char **argv)
{
    const Settings settings = read_settings(argc, argv);
    watch_signals();
    return Bots(settings).run();
}
