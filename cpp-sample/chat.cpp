// A chat, server and client in one program. The messages are texts, each behind a 16-bit length:
// a client's first one is its name, all others are what it says.
//
//   chat serve [URL]          the room; the member who is there longest may say "/kick NAME"
//   chat join [URL] NAME      reads lines from the terminal until its end (Ctrl-D)
//
// The URL may be tcp, tls, ws or wss, and "any" to serve all of these on one port. For TLS the
// environment names the files: CHAT_CERT and CHAT_KEY to serve, CHAT_CA (whom to trust) to join.
//
// The server is a plain poll loop. The client waits for two things at once, its terminal and the
// net, with the queue's wait handle in a wait of its own (terminal.hpp).
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sockeye.hpp"
#include "terminal.hpp"

using namespace std::chrono_literals;

namespace {

constexpr const char *kDefaultUrl = "tcp://127.0.0.1:7778";
constexpr size_t kNameMax = 24;
constexpr size_t kTextMax = 900;
constexpr uint32_t kFrameMax = 1024; // a name, a text, and the words between them

volatile std::sig_atomic_t interrupted = 0;

int fail(const char *what, sockeye::status status)
{
    std::fprintf(stderr, "chat: %s: %s (%s)\n", what, sockeye::last_error(), status.text());
    return 1;
}

// What others said goes to a terminal: no control characters in it.
std::string printable(std::string_view text, size_t max)
{
    std::string clean(text.substr(0, max));
    for (char &c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return clean;
}

sockeye::endpoint text_endpoint()
{
    sockeye::endpoint endpoint;
    endpoint.framing.kind = SOCKEYE_FRAMING_LENGTH;
    endpoint.framing.length_bytes = 2;
    endpoint.framing.frame_max_bytes = kFrameMax;
    endpoint.outbox_max_bytes = 64 * 1024; // whoever is further behind is too slow
    return endpoint;
}

// What a URL is opened with. A WebSocket has frames of its own.
struct Opening {
    sockeye::endpoint endpoint = text_endpoint();
    sockeye::tls tls;

    explicit Opening(std::string_view url)
    {
        if (url.substr(0, 2) == "ws") endpoint.framing.kind = SOCKEYE_FRAMING_RAW;
        tls.cert_pem = std::getenv("CHAT_CERT");
        tls.key_pem = std::getenv("CHAT_KEY");
        tls.ca_pem = std::getenv("CHAT_CA");
        if (tls.ca_pem != nullptr) tls.verify = SOCKEYE_TLS_VERIFY_CA;
        if (tls.cert_pem != nullptr || tls.ca_pem != nullptr) endpoint.tls = &tls;
    }
    Opening(const Opening &) = delete;
    Opening &operator=(const Opening &) = delete;
};

struct Member {
    sockeye::conn conn;
    std::string name; // empty until it has said who it is
    bool kicked = false;
};

class Room {
public:
    explicit Room(sockeye::net_ref net) : net_(net) {}

    void operator()(sockeye::opened event)
    {
        members_.push_back(std::make_unique<Member>());
        members_.back()->conn = event.conn();
        // The connection's member: set here, it is on every later event.
        (void)event.conn().set_user(members_.back().get());
    }

    void operator()(sockeye::message event)
    {
        auto &member = *event.user<Member>();
        if (member.kicked) return; // said before it heard of it
        if (member.name.empty())
            enter(member, printable(event.text(), kNameMax));
        else
            say(member, printable(event.text(), kTextMax));
    }

    void operator()(sockeye::closed event) { leave(event.user<Member>(), event.cause_text()); }

private:
    void enter(Member &member, std::string name)
    {
        if (name.empty() || name.find(' ') != std::string::npos)
            return kick(member, "a name is one word");
        if (find(name)) return kick(member, name + " is already here");
        member.name = std::move(name);
        broadcast("* " + member.name + " joined");
    }

    void say(Member &member, const std::string &text)
    {
        constexpr std::string_view command = "/kick ";
        if (text.compare(0, command.size(), command) != 0)
            return broadcast(member.name + ": " + text);
        Member *other = find(text.substr(command.size()));
        if (&member != eldest())
            tell(member, "* only " + eldest()->name + " may kick");
        else if (!other)
            tell(member, "* nobody here has that name");
        else
            kick(*other, "kicked by " + member.name);
    }

    void leave(Member *member, const char *why)
    {
        const auto at = std::find_if(members_.begin(), members_.end(),
                                     [=](const auto &each) { return each.get() == member; });
        const std::unique_ptr<Member> gone = std::move(*at);
        members_.erase(at);
        if (!gone->name.empty())
            broadcast("* " + gone->name + " left: " + why);
    }

    // Its last message goes before the close, also when it has not read all that came before.
    void kick(Member &member, const std::string &why)
    {
        member.kicked = true;
        (void)member.conn.close_with("* you are out: " + why); // if it is gone, so be it
    }

    void tell(Member &member, const std::string &text)
    {
        if (member.conn.send(text) == SOCKEYE_ERR_AGAIN)
            kick(member, "too slow");
    }

    // One copy for everybody. Each one's answer says who did not take it.
    void broadcast(const std::string &text)
    {
        std::vector<Member *> to;
        std::vector<sockeye_conn> conns;
        for (const auto &member : members_)
            if (!member->name.empty() && !member->kicked) {
                to.push_back(member.get());
                conns.push_back(member->conn.id());
            }
        std::vector<sockeye_status> answers(conns.size());
        if (!net_.send_many(conns, text, answers.data())) return;
        for (size_t i = 0; i < to.size(); i++)
            if (answers[i] == SOCKEYE_ERR_AGAIN) kick(*to[i], "too slow");
        std::printf("%s\n", text.c_str());
        std::fflush(stdout);
    }

    Member *find(const std::string &name)
    {
        for (const auto &member : members_)
            if (member->name == name && !member->kicked) return member.get();
        return nullptr;
    }

    Member *eldest()
    {
        for (const auto &member : members_)
            if (!member->name.empty() && !member->kicked) return member.get();
        return nullptr;
    }

    sockeye::net_ref net_;
    std::vector<std::unique_ptr<Member>> members_; // in the order in which they came
};

int serve(sockeye::net_ref net, const char *url)
{
    sockeye::listener door;
    const Opening with(url);
    if (const auto done = net.listen(url, with.endpoint, door); !done) return fail(url, done);
    sockeye_listener_info info;
    if (const auto done = door.info(info); !done) return fail(url, done);
    std::printf("listening %u\n", info.port);
    std::fflush(stdout);

    Room room(net);
    sockeye::batch<64> events;
    while (!interrupted) { // a signal does not end a poll, so the poll ends by itself now and then
        if (const auto done = net.poll(events, 250ms); !done) return fail("poll", done);
        events.visit(room);
    }
    return 0;
}

// Sends each complete line of the terminal. False: it has ended.
bool send_lines(sockeye::conn server, Terminal &terminal, std::string &rest)
{
    if (!terminal.read(rest)) return false;
    for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
        const size_t len = end > 0 && rest[end - 1] == '\r' ? end - 1 : end;
        const std::string_view line(rest.data(), std::min(len, kTextMax));
        const sockeye::status sent = server.send(line);
        if (!sent) std::fprintf(stderr, "not sent: %s\n", sent.text());
    }
    return true;
}

int join(sockeye::net_ref net, const char *url, std::string_view name)
{
    sockeye::conn server;
    const Opening with(url);
    sockeye::status done = net.connect(url, with.endpoint, server);
    if (!done) return fail(url, done);
    done = server.send(name); // waits for the connection
    if (!done) return fail("send", done);
    intptr_t handle;
    if (!(done = net.wait_handle(0, handle))) return fail("wait handle", done);

    Terminal terminal(handle);
    std::string rest;
    bool talking = true;
    int result = -1; // none yet
    sockeye::batch<16> events;
    while (result < 0) {
        if (!talking) {
            terminal.wait_for_net();
        } else if ((terminal.wait() && !send_lines(server, terminal, rest)) || interrupted) {
            talking = false; // says goodbye; the CLOSED below ends the program
            (void)server.close();
        }
        do {
            if (done = net.poll(events, 0ms); !done) return fail("poll", done);
            events.visit(
                [](sockeye::message event) {
                    std::printf("%s\n", printable(event.text(), kFrameMax).c_str());
                },
                [&](sockeye::closed event) {
                    std::printf("* %s\n", event.cause_text());
                    result = event.cause() == SOCKEYE_CAUSE_HOST ? 0 : 1;
                });
            std::fflush(stdout);
        } while (!events.empty() && result < 0);
    }
    return result;
}

} // namespace

int main(int argc, char **argv)
{
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { interrupted = 1; });

    const std::string_view verb = argc > 1 ? argv[1] : "";
    const bool serves = verb == "serve" && argc <= 3;
    const bool joins = verb == "join" && (argc == 3 || argc == 4);
    if (!serves && !joins) {
        std::fprintf(stderr, "usage: chat serve [URL] | chat join [URL] NAME\n");
        return 2;
    }
    sockeye::net net;
    const sockeye::status status = sockeye::net::open(net);
    if (!status) return fail("init", status);
    const char *url = argc == (serves ? 3 : 4) ? argv[2] : kDefaultUrl;
    const int result = serves ? serve(net, url) : join(net, url, argv[argc - 1]);
    (void)net.shutdown(2s);
    return result;
}
