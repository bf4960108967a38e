// The arena's server: 30 times a second it takes what came, moves the world, and tells everybody.
//
// The loop is the whole of it (`Server::run`): wait for events until the next tick is due, drain,
// simulate, send, flush. One thread; Sockeye's workers do the rest. Everything it prints on stdout
// is for programs: "listening PORT", a line of key=value for each second, and a summary.
#include <cinttypes>
#include <cstdio>
#include <string>

#include "host.hpp"
#include "match.hpp"
#include "sockeye.hpp"

namespace {

using namespace arena;
using namespace std::chrono_literals;

constexpr const char *kUsage =
    "usage: arena_server [--url tcp://127.0.0.1:7777?frame=u16le]\n"
    "                    [--seconds N]      0: until Ctrl-C (default)\n"
    "                    [--empty-ms N]     ends when everybody has been gone for so long;\n"
    "                                       0: does not (default)\n"
    "                    [--model NAME]     auto, epoll, poll, ... (default auto)\n"
    "                    [--workers N|auto] I/O workers (default auto)\n"
    "                    [--drive pool|lend|host]  who turns them (default lend)\n"
    "                    [--players-max N]  connections at once (default 1024)\n"
    "                    [--kick-after N]   a player who misses so many snapshots in a row (30)\n"
    "                    [--outbox-kib N]   what may wait for one player (default 256)\n";

constexpr uint64_t kSecond = 1000000;
constexpr uint64_t kTick = kSecond / kTickHz;
constexpr uint64_t kGoodbyeTime = 3 * kSecond;
// Further behind than this the server does not catch up: the world's time stretches instead.
constexpr uint64_t kTicksBehindMax = 5;

struct Settings {
    std::string url;
    uint64_t seconds = 0, empty_ms = 0;
    uint32_t players_max = 0, kick_after = 0, outbox_bytes = 0;
    sockeye::config config;
};

Settings read_settings(int argc, char **argv)
{
    Options options(argc, argv, kUsage);
    Settings settings;
    settings.url = options.text("url", "tcp://127.0.0.1:7777?frame=u16le");
    settings.seconds = options.number("seconds", 0, 0, 1000000);
    settings.empty_ms = options.number("empty-ms", 0, 0, 1000000);
    settings.players_max = options.number("players-max", 1024, 1, 65536);
    settings.kick_after = options.number("kick-after", 30, 1, 1000000);
    settings.outbox_bytes = options.number("outbox-kib", 256, 64, 65536) * 1024;
    settings.config = net_options(options);
    settings.config.connections_max = settings.players_max + 1; // and the listener
    options.finish();
    return settings;
}

class Server {
public:
    explicit Server(const Settings &settings)
        : settings_(settings), net_(open_net(settings.config)),
          match_(net_, settings.config.connections_max, settings.kick_after)
    {
    }

    int run()
    {
        listen();
        start_ = now_us();
        next_tick_ = start_ + kTick;
        while (!finished()) {
            wait(net_, batch_, next_tick_, [this](const sockeye::events &events) {
                const uint64_t came = now_us();
                match_.handle(events, came);
                work_us_ += now_us() - came;
            });
            const uint64_t due = now_us();
            drain_all();
            match_.tick();
            (void)net_.flush();
            end_tick(due);
        }
        return leave();
    }

private:
    void listen()
    {
        sockeye::endpoint endpoint = arena_endpoint();
        endpoint.outbox_max_bytes = settings_.outbox_bytes;
        // Small: what a slow player is behind waits here, where we see it, not in the kernel.
        endpoint.send_buffer_bytes = 64 * 1024;
        endpoint.first_byte_timeout(5s); // who connects and says nothing
        endpoint.frame_timeout(5s);
        endpoint.idle_timeout(20s); // players send all the time
        const char *url = settings_.url.c_str();
        const sockeye::status status = net_.listen(url, endpoint, door_);
        if (!status) die(url, status);
        sockeye_listener_info info{};
        sockeye_net_info net{};
        (void)door_.info(info);
        (void)net_.info(net);
        static const char *const drives[] = {"pool", "lend", "host"};
        std::fprintf(stderr, "arena_server: model %s (%s), drive %s (%s), %u workers\n",
                     sockeye::model_name(net.model),
                     reinterpret_cast<const char *>(net.model_reason),
                     net.drive < 3 ? drives[net.drive] : "?",
                     reinterpret_cast<const char *>(net.drive_reason), net.workers);
        std::printf("listening %u\n", info.port);
        std::fflush(stdout);
    }

    void drain_all()
    {
        drain(net_, batch_,
              [this](const sockeye::events &events) { match_.handle(events, now_us()); });
    }

    // The tick's time is all that this thread had to do for it: handling what came since the last
    // one, the last drain, the step, the sends and the flush. Waiting is not in it.
    void end_tick(uint64_t due)
    {
        const uint64_t now = now_us();
        tick_times_.add(work_us_ + now - due);
        work_us_ = 0;
        next_tick_ += kTick;
        if (now > next_tick_ + kTicksBehindMax * kTick) {
            overruns_++;
            next_tick_ = now;
        }
        if (match_.players() > players_most_) players_most_ = match_.players();
        if (match_.connections() > 0) last_seen_ = now;
        if (match_.tick_number() % kTickHz == 0) report_second();
    }

    bool finished()
    {
        const uint64_t now = now_us();
        if (ending_) {
            if (now > ending_ + kGoodbyeTime) match_.dismiss_all();
            return match_.connections() == 0 || now > ending_ + 2 * kGoodbyeTime;
        }
        const bool deserted = settings_.empty_ms > 0 && match_.counts().joins > 0 &&
                              now > last_seen_ + settings_.empty_ms * 1000;
        const bool over = settings_.seconds > 0 && now >= start_ + settings_.seconds * kSecond;
        if (!deserted && !over && !interrupted) return false;
        // Everybody is asked to go, and the world runs on until they have. The door stays open as
        // long, so that who comes now is told why.
        ending_ = now;
        match_.end();
        return false;
    }

    void report_second()
    {
        const Counts &all = match_.counts();
        sockeye_net_stats stats{};
        (void)net_.stats(stats);
        std::printf("second=%" PRIu32 " players=%zu msgs_in=%" PRIu64 " msgs_out=%" PRIu64
                    " bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " tick_p50_us=%" PRIu64
                    " tick_p99_us=%" PRIu64 " joins=%" PRIu64 " leaves=%" PRIu64 "\n",
                    match_.tick_number() / kTickHz, match_.players(),
                    all.messages_in - before_.messages_in, all.messages_out - before_.messages_out,
                    stats.received_bytes - bytes_in_, stats.sent_bytes - bytes_out_,
                    tick_times_.percentile(0.5), tick_times_.percentile(0.99),
                    all.joins - before_.joins, all.leaves - before_.leaves);
        std::fflush(stdout);
        before_ = all;
        bytes_in_ = stats.received_bytes;
        bytes_out_ = stats.sent_bytes;
        all_ticks_.add(tick_times_);
        tick_times_ = Histogram();
    }

    // Ends the net, hears what it still has to tell, and answers whether all adds up.
    int leave()
    {
        (void)net_.shutdown(2s);
        drain_all();
        all_ticks_.add(tick_times_);
        const Counts &all = match_.counts();
        sockeye_net_stats stats{};
        (void)net_.stats(stats);
        const bool sound = all.joins == all.leaves && all.opened == all.closed && all.lost == 0;
        std::printf("summary ticks=%" PRIu32 " players_max=%zu msgs_in=%" PRIu64
                    " msgs_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64,
                    match_.tick_number(), players_most_, all.messages_in, all.messages_out,
                    stats.received_bytes, stats.sent_bytes);
        std::printf(" inputs_received=%" PRIu64 " inputs_superseded=%" PRIu64
                    " inputs_stale=%" PRIu64 " snapshots_sent=%" PRIu64
                    " snapshots_refused=%" PRIu64 " joins=%" PRIu64 " leaves=%" PRIu64,
                    all.inputs, all.superseded, all.stale, all.snapshots, all.refused, all.joins,
                    all.leaves);
        std::printf(" opened=%" PRIu64 " closed=%" PRIu64 " lost=%" PRIu64 " kicked=%" PRIu64
                    " overruns=%" PRIu64,
                    all.opened, all.closed, all.lost, all.kicked, overruns_);
        std::printf(" tick_p50_us=%" PRIu64 " tick_p99_us=%" PRIu64 " tick_max_us=%" PRIu64
                    " jitter_p50_us=%" PRIu64 " jitter_p99_us=%" PRIu64 " ok=%d\n",
                    all_ticks_.percentile(0.5), all_ticks_.percentile(0.99), all_ticks_.max(),
                    match_.jitter().percentile(0.5), match_.jitter().percentile(0.99),
                    sound ? 1 : 0);
        std::fflush(stdout);
        return sound ? 0 : 1;
    }

    const Settings settings_;
    sockeye::net net_;
    sockeye::listener door_;
    Batch batch_;
    Match match_;
    uint64_t start_ = 0, next_tick_ = 0, ending_ = 0, last_seen_ = 0;
    uint64_t work_us_ = 0, overruns_ = 0;
    size_t players_most_ = 0;
    Histogram tick_times_, all_ticks_; // of this second; of all before it
    Counts before_;
    uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    const Settings settings = read_settings(argc, argv);
    watch_signals();
    return Server(settings).run();
}
