#include "admin.hpp"

#include <cstdlib>
#include <utility>

#include "host.hpp"
#include "rules.hpp"

namespace arena {
namespace {

using namespace std::chrono_literals;

constexpr const char *kHelp = "who | say TEXT | ban ADDRESS SECONDS | rules | GET /metrics";

} // namespace

Admin::Admin(sockeye::net_ref net, sockeye::group everybody, std::string rules)
    : net_(net), everybody_(everybody), rules_(std::move(rules))
{
}

void Admin::join()
{
    if (thread_.joinable()) thread_.join();
}

uint32_t Admin::listen(const std::string &url)
{
    sockeye::guard guard;
    guard.per_address_max = 8;
    sockeye::endpoint endpoint;
    endpoint.queue = kQueue;
    endpoint.guard = &guard;
    endpoint.idle_timeout(10min);
    const sockeye::status status = net_.listen(url, endpoint, door_);
    if (!status) die(url.c_str(), status);
    sockeye_listener_info info{};
    (void)door_.info(info);
    thread_ = std::thread([this] { run(); });
    return info.port;
}

void Admin::run()
{
    sockeye::batch<64> events;
    while (net_.poll(events, sockeye::forever, kQueue)) // until the net is shut down
        events.visit([this](sockeye::message got) { line(got); },
                     [this](sockeye::closed gone) { closed(gone); });
}

void Admin::closed(sockeye::closed gone)
{
    sockeye_conn_stats stats{};
    (void)gone.conn().stats(stats);
    bytes_in_ += stats.received_bytes;
    bytes_out_ += stats.sent_bytes;
}

void Admin::line(sockeye::message got)
{
    const std::string all(got.text());
    const size_t space = all.find(' ');
    const std::string verb = all.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : all.substr(space + 1);
    if (verb == "GET") return metrics(got.conn());
    std::string answer = kHelp;
    if (verb == "who")
        answer = std::to_string(everybody_.count().count()) + " players";
    else if (verb == "say")
        answer = say(rest);
    else if (verb == "ban")
        answer = ban(rest);
    else if (verb == "rules")
        (void)load_rules(net_, rules_, answer);
    // Who does not read his answers is not to be waited for.
    if (!got.conn().send(answer + "\r\n")) (void)got.conn().close();
}

// One call, however many players there are. It leaves with the game's next flush.
std::string Admin::say(const std::string &words) const
{
    Notice notice;
    notice.text = words.substr(0, kNoticeMax);
    Writer message(Type::notice);
    notice.put(message);
    const sockeye::status sent = everybody_.send(message);
    return sent ? "said" : sockeye::last_error();
}

// From now on the address is refused at the door; who is in stays.
std::string Admin::ban(const std::string &words) const
{
    const size_t space = words.find(' ');
    sockeye::address address;
    if (space == std::string::npos || !sockeye::address::parse(words.substr(0, space), address))
        return kHelp;
    const std::chrono::seconds time(std::strtol(words.c_str() + space, nullptr, 10));
    const sockeye::status done = net_.guard_ban(address, bits_of(address), time);
    return done ? "banned" : sockeye::last_error();
}

// What the net counts, in the format of Prometheus, as an answer of HTTP.
void Admin::metrics(sockeye::conn to) const
{
    size_t size = 0;
    (void)net_.metrics(nullptr, 0, size);
    std::string page(size + 1024, '\0'); // numbers may grow until the next call
    if (!net_.metrics(&page[0], page.size(), size)) size = 0;
    page.resize(size);
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                             "Connection: close\r\nContent-Length: ";
    (void)to.close_with(head + std::to_string(size) + "\r\n\r\n" + page);
}

} // namespace arena
