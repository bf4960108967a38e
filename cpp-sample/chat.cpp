// A chat, server and client in one program. The messages are texts, each behind a 16-bit length:
// a client's first one is its name, all others are what it says.
//
//   chat serve [URL]          the room; the member who is there longest may say "/kick NAME"
//   chat join [URL] NAME      reads lines from the terminal until its end (Ctrl-D)
//
// The server is a plain poll loop. The client waits for two things at once, its terminal and the
// net, with the queue's wait handle in a wait of its own (terminal.hpp).
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sockeye.h"
#include "terminal.hpp"

namespace {

constexpr const char *kDefaultUrl = "tcp://127.0.0.1:7778";
constexpr size_t kNameMax = 24;
constexpr size_t kTextMax = 900;
constexpr uint32_t kFrameMax = 1024; // a name, a text, and the words between them

volatile std::sig_atomic_t interrupted = 0;

int fail(const char *what, sockeye_status status)
{
    std::fprintf(stderr, "chat: %s: %s (%s)\n", what, sockeye_last_error(),
                 sockeye_status_text(status));
    return 1;
}

const uint8_t *bytes(std::string_view text)
{
    return reinterpret_cast<const uint8_t *>(text.data());
}

std::string_view text_of(const sockeye_event &event)
{
    return {reinterpret_cast<const char *>(event.data), event.data_len};
}

// What others said goes to a terminal: no control characters in it.
std::string printable(std::string_view text, size_t max)
{
    std::string clean(text.substr(0, max));
    for (char &c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return clean;
}

sockeye_endpoint text_endpoint()
{
    sockeye_endpoint endpoint;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.framing.kind = SOCKEYE_FRAMING_LENGTH;
    endpoint.framing.length_bytes = 2;
    endpoint.framing.frame_max_bytes = kFrameMax;
    endpoint.outbox_max_bytes = 64 * 1024; // whoever is further behind is too slow
    return endpoint;
}

struct Member {
    sockeye_conn conn{};
    std::string name; // empty until it has said who it is
    bool kicked = false;
};

class Room {
public:
    explicit Room(sockeye_net *net) : net_(net) {}

    void handle(const sockeye_event &event)
    {
        // The connection's user_data is its member: set here, it is on every later event.
        auto *member = reinterpret_cast<Member *>(static_cast<uintptr_t>(event.user_data));
        switch (event.kind) {
        case SOCKEYE_EVENT_OPENED:
            members_.push_back(std::make_unique<Member>());
            members_.back()->conn = event.conn;
            sockeye_conn_set_user_data(net_, event.conn,
                                       reinterpret_cast<uintptr_t>(members_.back().get()));
            break;
        case SOCKEYE_EVENT_MESSAGE:
            if (member->kicked) break; // said before it heard of it
            if (member->name.empty())
                enter(*member, printable(text_of(event), kNameMax));
            else
                say(*member, printable(text_of(event), kTextMax));
            break;
        case SOCKEYE_EVENT_CLOSED: leave(member, event.cause); break;
        default: break;
        }
    }

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

    void leave(Member *member, int32_t cause)
    {
        const auto at = std::find_if(members_.begin(), members_.end(),
                                     [=](const auto &each) { return each.get() == member; });
        const std::unique_ptr<Member> gone = std::move(*at);
        members_.erase(at);
        if (!gone->name.empty())
            broadcast("* " + gone->name + " left: " + sockeye_cause_text(cause));
    }

    // Its last message goes before the close, also when it has not read all that came before.
    void kick(Member &member, const std::string &why)
    {
        const std::string last = "* you are out: " + why;
        member.kicked = true;
        sockeye_close_with(net_, member.conn, SOCKEYE_CLOSE_GRACEFUL, bytes(last), last.size());
    }

    void tell(Member &member, const std::string &text)
    {
        if (sockeye_send(net_, member.conn, bytes(text), text.size()) == SOCKEYE_ERR_AGAIN)
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
                conns.push_back(member->conn);
            }
        std::vector<sockeye_status> answers(conns.size());
        const sockeye_status taken = sockeye_send_many(net_, conns.data(), conns.size(),
                                                       bytes(text), text.size(), answers.data());
        if (taken < 0) return;
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

    sockeye_net *net_;
    std::vector<std::unique_ptr<Member>> members_; // in the order in which they came
};

int serve(sockeye_net *net, const char *url)
{
    const sockeye_endpoint endpoint = text_endpoint();
    sockeye_listener door;
    sockeye_status status = sockeye_listen(net, url, &endpoint, &door);
    if (status < 0) return fail(url, status);
    sockeye_listener_info info;
    sockeye_listener_get_info(net, door, &info, sizeof info);
    std::printf("listening %u\n", info.port);
    std::fflush(stdout);

    Room room(net);
    sockeye_event events[64];
    while (!interrupted) { // a signal does not end a poll, so the poll ends by itself now and then
        const int32_t count = sockeye_poll_events(net, events, 64, 250);
        if (count < 0) return fail("poll", count);
        for (int32_t i = 0; i < count; i++) room.handle(events[i]);
    }
    return 0;
}

// Sends each complete line of the terminal. False: it has ended.
bool send_lines(sockeye_net *net, sockeye_conn server, Terminal &terminal, std::string &rest)
{
    if (!terminal.read(rest)) return false;
    for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
        const size_t len = end > 0 && rest[end - 1] == '\r' ? end - 1 : end;
        const std::string_view line(rest.data(), std::min(len, kTextMax));
        const sockeye_status sent = sockeye_send(net, server, bytes(line), line.size());
        if (sent < 0) std::fprintf(stderr, "not sent: %s\n", sockeye_status_text(sent));
    }
    return true;
}

int join(sockeye_net *net, const char *url, std::string_view name)
{
    const sockeye_endpoint endpoint = text_endpoint();
    sockeye_conn server;
    sockeye_status status = sockeye_connect(net, url, &endpoint, &server);
    if (status < 0) return fail(url, status);
    status = sockeye_send(net, server, bytes(name), name.size()); // waits for the connection
    if (status < 0) return fail("send", status);
    intptr_t handle;
    if ((status = sockeye_wait_handle(net, 0, &handle)) < 0) return fail("wait handle", status);

    Terminal terminal(handle);
    std::string rest;
    bool talking = true;
    for (;;) {
        if (!talking) {
            terminal.wait_for_net();
        } else if ((terminal.wait() && !send_lines(net, server, terminal, rest)) || interrupted) {
            talking = false; // says goodbye; the CLOSED below ends the program
            sockeye_close(net, server, SOCKEYE_CLOSE_GRACEFUL);
        }
        sockeye_event events[16];
        for (int32_t count; (count = sockeye_poll_events(net, events, 16, 0)) != 0;) {
            if (count < 0) return fail("poll", count);
            for (int32_t i = 0; i < count; i++) {
                if (events[i].kind == SOCKEYE_EVENT_MESSAGE)
                    std::printf("%s\n", printable(text_of(events[i]), kFrameMax).c_str());
                if (events[i].kind != SOCKEYE_EVENT_CLOSED) continue;
                std::printf("* %s\n", sockeye_cause_text(events[i].cause));
                return events[i].cause == SOCKEYE_CAUSE_HOST ? 0 : 1;
            }
            std::fflush(stdout);
        }
    }
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
    sockeye_net *net;
    const sockeye_status status = sockeye_init(nullptr, &net);
    if (status < 0) return fail("init", status);
    const char *url = argc == (serves ? 3 : 4) ? argv[2] : kDefaultUrl;
    const int result = serves ? serve(net, url) : join(net, url, argv[argc - 1]);
    sockeye_shutdown(net, 2000);
    sockeye_free(net);
    return result;
}
