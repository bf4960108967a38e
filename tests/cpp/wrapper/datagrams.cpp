// Datagrams: a socket that answers whoever speaks, from a listener and from a connected socket;
// addresses as text and back, and as a proxy says them; what is too long is cut and says so.
#include "host.hpp"

#include <string>

namespace {

void check_addresses()
{
    sockeye::address four, six, none;
    REQUIRE_DONE(sockeye::address::parse("127.0.0.1:7777", four));
    REQUIRE_DONE(sockeye::address::parse(std::string("[::1]:80"), six));
    REQUIRE(four.family == 4 && four.port == 7777 && four.bytes[0] == 127 && six.family == 6);
    REQUIRE(std::string_view(four.text()) == "127.0.0.1:7777");
    REQUIRE(strcmp(six.text().c_str(), "[::1]:80") == 0);
    REQUIRE(none.family == 0 && std::string_view(none.text()).empty());
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, sockeye::address::parse("localhost:1", four));
    REQUIRE(four.port == 7777); // written only when it is done
    REQUIRE(std::string_view(four.ip_text()) == "127.0.0.1" && !four.is_v4mapped());

    sockeye::address mapped, back;
    REQUIRE_DONE(sockeye::address::parse("[::ffff:127.0.0.1]:7777", mapped));
    REQUIRE(mapped.is_v4mapped() && mapped == four && mapped != six && none == back);
    unsigned char raw[128];
    std::size_t len = 0;
    REQUIRE_DONE(six.to(raw, sizeof raw, len));
    REQUIRE_DONE(sockeye::address::from(raw, len, back));
    REQUIRE(back == six);
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, six.to(raw, 4, len));
}

/// A connection that names another address than its own, where that is believed.
void check_proxies()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye::address home, real;
    REQUIRE_DONE(sockeye::address::parse("127.0.0.1", home));
    REQUIRE_DONE(sockeye::address::parse("203.0.113.7:4711", real));
    const sockeye::prefix proxies[] = {{home, 32}};
    sockeye::guard guard;
    guard.proxies(proxies, 1);
    REQUIRE(guard.proxy_timeout_ms == 5000);
    sockeye::endpoint endpoint;
    endpoint.guard = &guard;
    sockeye::listener door;
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", endpoint, door));
    sockeye::conn client;
    REQUIRE_DONE(net.connect(url_of(door, "tcp", ""), client));
    REQUIRE_DONE(client.send("PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"));
    bool told = false;
    run_until(net, [&] { return told; }, [&](sockeye::opened fresh) {
        if (!fresh.accepted()) return;
        sockeye_conn_info info;
        REQUIRE_DONE(fresh.conn().info(info));
        REQUIRE(real == info.peer && info.proxy.family == 4 && info.proxy.port != 0);
        told = true;
    });
}

void check_names()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye::address home;
    REQUIRE_DONE(sockeye::address::parse("127.0.0.1:7777", home));
    REQUIRE_DONE(net.resolve(0, "127.0.0.1", "7777", 1));
    const std::string unknown = std::string(64, 'x') + ".invalid"; // no name server is asked
    REQUIRE_DONE(net.resolve(0, unknown, 2));
    REQUIRE_DONE(net.resolve_address(0, home, 3));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.resolve(0, "", 4));
    int told = 0;
    const auto on_resolved = [&](sockeye::resolved got) {
        told++;
        if (got.user_data() == 1) {
            REQUIRE(got.found() && got.size() == 1 && got[0] == home);
        } else if (got.user_data() == 2) {
            REQUIRE(!got.found() && got.cause() == SOCKEYE_CAUSE_RESOLVE && got.os_error() != 0);
            REQUIRE(got.size() == 0 && got.name().empty() && got.service().empty());
        } else {
            REQUIRE(got.user_data() == 3 && got.found());
            REQUIRE(!got.name().empty() && !got.service().empty());
        }
    };
    run_until(net, [&] { return told == 3; }, on_resolved);
}

void check_talk()
{
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye::listener server, asker;
    sockeye::endpoint with;
    with.user_data = 42;
    with.framing.frame_max_bytes = 8;
    REQUIRE_DONE(net.listen("udp://127.0.0.1:0", with, server));
    REQUIRE_DONE(net.listen("udp://127.0.0.1:0", asker));
    sockeye_listener_info where;
    REQUIRE_DONE(server.info(where));
    sockeye::conn client;
    REQUIRE_DONE(net.connect(url_of(server, "udp", ""), client));

    int cut = 0, to_asker = 0, to_client = 0;
    const auto on_datagram = [&](sockeye::datagram got) {
        if (got.listener() == server) {
            REQUIRE(got.user_data() == 42 && got.from().family == 4 && got.from().port != 0);
            REQUIRE(got.truncated() == (got.text() == "too long"));
            cut += got.truncated();
            REQUIRE_DONE(got.reply("re: " + std::string(got.text())));
        } else if (got.listener() == asker) {
            REQUIRE(got.text() == "re: ask" && got.from().port == where.port);
            to_asker++;
        } else {
            REQUIRE(got.conn() == client && !got.truncated());
            if (to_client++ == 0) {
                REQUIRE(got.text() == "re: first");
                REQUIRE_DONE(got.reply("too long by far")); // by the connected socket
            } else {
                REQUIRE(got.text() == "re: too long");
            }
        }
    };
    REQUIRE_DONE(asker.send_to(where.local, "ask"));
    REQUIRE_DONE(client.send("first"));
    run_until(net, [&] { return to_asker == 1 && to_client == 2; }, on_datagram);
    REQUIRE_INT(1, cut);

    sockeye_listener_stats counted;
    REQUIRE_DONE(server.stats(counted));
    REQUIRE(counted.received_messages == 3 && counted.sent_bytes > 0);
    REQUIRE_ANSWER(SOCKEYE_ERR_TOO_BIG, asker.send_to(where.local, std::string(65508, 'x')));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, asker.send_to(sockeye::address(), "nowhere"));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, asker.join(where.local)); // no group
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, asker.leave(where.local));
}

} // namespace

int main()
{
    harness_watchdog();
    check_addresses();
    check_proxies();
    check_names();
    check_talk();
    return 0;
}
