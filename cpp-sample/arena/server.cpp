// The arena's server: 30 times a second it moves the world and tells each player what is near him.
//
// The loop is the whole of it (`Server::run`): poll, and handle what came; an event of a timer is a
// tick: simulate, send, flush. One thread; Sockeye's workers do the rest. Administrators have a
// queue and a thread of their own (admin.hpp). Everything it prints on stdout is for programs:
// "listening PORT admin PORT", a line of key=value for each second, and a summary.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "admin.hpp"
#include "host.hpp"
#include "match.hpp"
#include "page.hpp"
#include "rules.hpp"
#include "sockeye.hpp"

namespace {

using namespace arena;
using namespace std::chrono_literals;

constexpr const char *kUsage =
    "usage: arena_server [--url any://127.0.0.1:7777?frame=u32le]\n"
    "                                       (default; any:// has a page for browsers, too)\n"
    "                    [--seconds N]      0: until Ctrl-C (default)\n"
    "                    [--empty-ms N]     ends when everybody has been gone for so long;\n"
    "                                       0: does not (default)\n"
    "                    [--model NAME]     auto, epoll, poll, ... (default auto)\n"
    "                    [--workers N|auto] I/O workers (default auto)\n"
    "                    [--drive pool|lend|host]  who turns them (default lend)\n"
    "                    [--players-max N]  connections at once (default 1024)\n"
    "                    [--per-address N]  of these from one address; 0: any (default); not of\n"
    "                                       game://\n"
    "                    [--rules FILE]     who may connect, as in rules.txt (default: everybody)\n"
    "                    [--admin URL|none] for administrators, and GET /metrics; needs workers\n"
    "                                       (default tcp://127.0.0.1:7778?frame=line)\n";

constexpr uint64_t kSecond = 1000000;
constexpr uint64_t kGoodbyeTime = 3 * kSecond;
// 30 Hz is no whole number of milliseconds. So there are three timers, each every 100 ms.
constexpr auto kRound = 100ms;
constexpr uint32_t kTimers = kTickHz / 10;
static_assert(kTimers * 10 == kTickHz, "a whole number of ticks in a round");

struct Settings {
    std::string url, admin, rules;
    uint64_t seconds = 0, empty_ms = 0;
    uint32_t players_max = 0, per_address = 0;
    sockeye::config config;
};

Settings read_settings(int argc, char **argv)
{
    Options options(argc, argv, kUsage);
    Settings settings;
    settings.url = options.text("url", "any://127.0.0.1:7777?frame=u32le");
    settings.seconds = options.number("seconds", 0, 0, 1000000);
    settings.empty_ms = options.number("empty-ms", 0, 0, 1000000);
    settings.players_max = options.number("players-max", 1024, 1, 65536);
    settings.per_address = options.number("per-address", 0, 0, 65536);
    settings.rules = options.text("rules", "");
    settings.admin = options.text("admin", "tcp://127.0.0.1:7778?frame=line");
    settings.config = net_options(options);
    if (settings.config.workers == 0) settings.admin = "none"; // without workers there is one queue
    if (settings.admin != "none") settings.config.queues = Admin::kQueue + 1;
    settings.config.connections_max = settings.players_max + 16; // listeners, administrators
    options.finish();
    return settings;
}

class Server {
public:
    explicit Server(const Settings &settings)
        : settings_(settings), net_(open_net(settings.config)),
          match_(net_, settings.config.connections_max),
          admin_(net_, match_.everybody(), settings.rules)
    {
    }

    int run()
    {
        open_doors();
        for (uint32_t i = 1; i <= kTimers; i++) {
            sockeye_timer timer;
            const sockeye::status set = net_.start_timer(0, kRound * i / kTimers, kRound, 0, timer);
            if (!set) die("a timer", set);
        }
        start_ = second_began_ = now_us();
        while (!finished()) {
            const sockeye::status polled = net_.poll(batch_, 1s);
            if (!polled) die("poll", polled);
            handle(batch_);
        }
        return leave();
    }

private:
    void open_doors()
    {
        std::string said;
        if (!settings_.rules.empty() && !load_rules(net_, settings_.rules, said)) {
            std::fprintf(stderr, "arena_server: %s\n", said.c_str());
            std::exit(1);
        }
        sockeye::guard guard;
        guard.per_address_max = settings_.per_address;
        sockeye::endpoint endpoint = arena_endpoint(settings_.url);
        // Addresses are counted of streams. Datagrams have none that is proven before a token is.
        if (!has_lanes(settings_.url)) endpoint.guard = &guard;
        sockeye_http http; // for browsers: the page and its WebSocket
        (void)sockeye_http_init(&http, sizeof http);
        const sockeye_http_page page = page_for_browsers();
        http.path = "/play";
        http.pages = &page;
        http.pages_count = 1;
        if (settings_.url.compare(0, 6, "any://") == 0) endpoint.http = &http;
        // Small: what a slow player is behind waits here, where a newer snapshot takes its place,
        // not in the kernel. With lanes all players are behind one socket, which has room for them.
        if (has_lanes(settings_.url))
            endpoint.recv_buffer_bytes = endpoint.send_buffer_bytes = 4 * 1024 * 1024;
        else
            endpoint.send_buffer_bytes = 64 * 1024;
        endpoint.first_byte_timeout(5s); // who connects and says nothing
        endpoint.frame_timeout(5s);
        endpoint.idle_timeout(20s); // players send all the time
        endpoint.send_timeout(10s); // and read
        const char *url = settings_.url.c_str();
        const sockeye::status status = net_.listen(url, endpoint, door_);
        if (!status) die(url, status);
        const uint32_t admin = settings_.admin == "none" ? 0 : admin_.listen(settings_.admin);
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
        std::printf("listening %u admin %u\n", info.port, admin);
        std::fflush(stdout);
    }

    void handle(const sockeye::events &events)
    {
        came_ = now_us();
        events.visit([this](sockeye::due timer) { tick(timer.missed()); },
                     [this](sockeye::event event) { match_.handle(event, came_); });
        const uint64_t now = now_us();
        work_us_ += now - came_;
        if (match_.connections() > 0) last_seen_ = now;
    }

    // `missed`: periods of this timer that went by while the server was busy. It does not catch up
    // with them: the world's time stretches instead.
    void tick(uint32_t missed)
    {
        overruns_ += missed;
        match_.tick();
        (void)net_.flush(0);
        // The tick's time is all that this thread had to do since the last one: handling what came,
        // the step, the sends and the flush. Waiting is not in it.
        const uint64_t now = now_us();
        tick_times_.add(work_us_ + now - came_);
        work_us_ = 0;
        came_ = now;
        if (match_.players() > players_most_) players_most_ = match_.players();
        if (match_.tick_number() % kTickHz == 0) report_second(now);
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

    void report_second(uint64_t now)
    {
        const Counts &all = match_.counts();
        const sockeye_group_stats areas = match_.areas().stats();
        const Histogram trips = match_.take_round_trips();
        sockeye_net_stats stats{};
        sockeye_net_info net{};
        (void)net_.stats(stats);
        (void)net_.info(net);
        // What of the time the workers did not wait, all together: 100 is one processor.
        const auto elapsed = static_cast<double>(now - second_began_);
        const double waited = static_cast<double>(stats.waited_ns - net_before_.waited_ns) / 1000;
        const double busy = std::max(100 * (net.workers - waited / elapsed), 0.0);
        std::printf("second=%" PRIu32 " players=%zu msgs_in=%" PRIu64 " msgs_out=%" PRIu64
                    " bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " tick_p50_us=%" PRIu64
                    " tick_p99_us=%" PRIu64 " joins=%" PRIu64 " leaves=%" PRIu64,
                    match_.tick_number() / kTickHz, match_.players(),
                    all.messages_in - before_.messages_in,
                    all.messages_out - before_.messages_out + areas.delivered -
                        areas_before_.delivered,
                    stats.received_bytes - net_before_.received_bytes,
                    stats.sent_bytes - net_before_.sent_bytes, tick_times_.percentile(0.5),
                    tick_times_.percentile(0.99), all.joins - before_.joins,
                    all.leaves - before_.leaves);
        std::printf(" members=%" PRIu32 " skips=%" PRIu64 " rtt_p50_us=%" PRIu64
                    " rtt_p99_us=%" PRIu64 " busy_percent=%.0f\n",
                    areas.members, areas.skipped - areas_before_.skipped, trips.percentile(0.5),
                    trips.percentile(0.99), busy);
        std::fflush(stdout);
        before_ = all;
        areas_before_ = areas;
        net_before_ = stats;
        second_began_ = now;
        all_ticks_.add(tick_times_);
        tick_times_ = Histogram();
    }

    // Ends the net, hears what it still has to tell, and answers whether all adds up.
    int leave()
    {
        (void)net_.shutdown(2s);
        admin_.join();
        drain(net_, batch_, [this](const sockeye::events &events) {
            events.visit([this](sockeye::event event) { match_.handle(event, now_us()); });
        });
        all_ticks_.add(tick_times_);
        const Counts &all = match_.counts();
        const sockeye_group_stats areas = match_.areas().stats();
        sockeye_net_stats stats{};
        sockeye_guard_stats guard{};
        (void)net_.stats(stats);
        (void)net_.guard_get_stats(guard);
        const bool sound = all.joins == all.leaves && all.opened == all.closed && all.lost == 0 &&
                           all.due == areas.delivered + areas.skipped + all.refused;
        std::printf("summary ticks=%" PRIu32 " players_max=%zu msgs_in=%" PRIu64
                    " msgs_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64,
                    match_.tick_number(), players_most_, all.messages_in,
                    all.messages_out + areas.delivered, stats.received_bytes - admin_.bytes_in(),
                    stats.sent_bytes - admin_.bytes_out());
        std::printf(" inputs_received=%" PRIu64 " inputs_superseded=%" PRIu64
                    " inputs_stale=%" PRIu64 " snapshots_due=%" PRIu64
                    " snapshots_delivered=%" PRIu64 " snapshots_skipped=%" PRIu64
                    " snapshots_refused=%" PRIu64 " joins=%" PRIu64 " leaves=%" PRIu64,
                    all.inputs, all.superseded, all.stale, all.due, areas.delivered, areas.skipped,
                    all.refused, all.joins, all.leaves);
        std::printf(" opened=%" PRIu64 " closed=%" PRIu64 " lost=%" PRIu64 " kicked=%" PRIu64
                    " overruns=%" PRIu64 " denied=%" PRIu64,
                    all.opened, all.closed, all.lost, all.kicked, overruns_,
                    guard.rule + guard.ban + guard.per_address);
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
    Admin admin_;
    uint64_t start_ = 0, second_began_ = 0, ending_ = 0, last_seen_ = 0;
    uint64_t came_ = 0, work_us_ = 0, overruns_ = 0;
    size_t players_most_ = 0;
    Histogram tick_times_, all_ticks_; // of this second; of all before it
    Counts before_;                    // these three: as they were a second ago
    sockeye_group_stats areas_before_{};
    sockeye_net_stats net_before_{};
};

} // namespace

int main(int argc, char **argv)
{
    const Settings settings = read_settings(argc, argv);
    watch_signals();
    return Server(settings).run();
}
