/* Datagrams: an echo of all sizes with the sender's address, one that is cut, one to nobody, and a
   connected socket to a listener of the same net. */
#include "harness.h"

#define LARGEST 65507

static uint8_t bytes[LARGEST + 1];

/* A udp:// listener on a port that the system chooses, and the URL to connect to it. */
static sockeye_listener open_port(sockeye_net *net, const char *query, char url[64])
{
    sockeye_listener port;
    sockeye_listener_info info;
    snprintf(url, 64, "udp://127.0.0.1:0%s", query);
    REQUIRE_OK(sockeye_listen(net, url, NULL, &port));
    REQUIRE_OK(sockeye_listener_get_info(net, port, &info, sizeof info));
    REQUIRE(info.port > 0 && info.port < 65536);
    snprintf(url, 64, "udp://127.0.0.1:%" PRIu32, info.port);
    return port;
}

static sockeye_conn open_client(sockeye_net *net, const char *url)
{
    sockeye_conn client;
    REQUIRE_OK(sockeye_connect(net, url, NULL, &client));
    REQUIRE(harness_expect(net, SOCKEYE_EVENT_OPENED).conn.id == client.id);
    return client;
}

/* There and back: the listener answers to the address it is told. */
static void echo(sockeye_net *net, sockeye_listener port, sockeye_conn client, size_t size)
{
    sockeye_event event;
    const sockeye_address *sender;
    sockeye_conn_info info;
    char text[64];
    REQUIRE_OK(sockeye_send(net, client, bytes, size));
    event = harness_expect(net, SOCKEYE_EVENT_DATAGRAM);
    REQUIRE(event.listener.id == port.id && event.conn.id == 0 && event.flags == 0);
    REQUIRE(event.data != NULL && event.data_len == size);
    REQUIRE(memcmp(event.data, bytes, size) == 0);
    sender = sockeye_event_address(&event);
    REQUIRE(sender != NULL && sender->family == 4);
    REQUIRE_OK(sockeye_conn_get_info(net, client, &info, sizeof info));
    REQUIRE(memcmp(sender, &info.local, sizeof *sender) == 0);
    REQUIRE_OK(sockeye_address_format(sender, text, sizeof text));
    REQUIRE_OK(sockeye_send_to(net, port, sender, event.data, event.data_len));
    event = harness_expect(net, SOCKEYE_EVENT_DATAGRAM);
    REQUIRE(event.conn.id == client.id && event.listener.id == 0);
    REQUIRE(event.data_len == size && memcmp(event.data, bytes, size) == 0);
    REQUIRE(memcmp(sockeye_event_address(&event), &info.peer, sizeof *sender) == 0);
}

static void too_big(sockeye_net *net, sockeye_listener port, sockeye_conn client)
{
    const sockeye_address to = {4, 9, 0, {127, 0, 0, 1}, {0}};
    REQUIRE_STATUS(SOCKEYE_ERR_TOO_BIG, sockeye_send(net, client, bytes, LARGEST + 1));
    REQUIRE_STATUS(SOCKEYE_ERR_TOO_BIG, sockeye_send_to(net, port, &to, bytes, LARGEST + 1));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_send_to(net, port, NULL, bytes, 1));
}

static void truncated(sockeye_net *net)
{
    char url[64];
    sockeye_event event;
    const sockeye_listener port = open_port(net, "?max=10", url);
    const sockeye_conn client = open_client(net, url);
    REQUIRE_OK(sockeye_send(net, client, bytes, 11));
    event = harness_expect(net, SOCKEYE_EVENT_DATAGRAM);
    REQUIRE(event.listener.id == port.id && event.flags == SOCKEYE_FLAG_TRUNCATED);
    REQUIRE(event.data_len == 10 && memcmp(event.data, bytes, 10) == 0);
    REQUIRE_OK(sockeye_close(net, client, SOCKEYE_CLOSE_GRACEFUL));
    REQUIRE(harness_expect(net, SOCKEYE_EVENT_CLOSED).conn.id == client.id);
    REQUIRE_OK(sockeye_listener_close(net, port));
    REQUIRE(harness_expect(net, SOCKEYE_EVENT_LISTENER_CLOSED).listener.id == port.id);
}

/* Whether a later send is told that nobody is there. Windows would tell a receive, if it were not
   asked to be silent. */
#ifdef _WIN32
#define SENDS_ARE_TOLD 0
#else
#define SENDS_ARE_TOLD 1
#endif

/* Nobody is there: it is counted, no event comes of it, and both sockets live. */
static void unreachable(sockeye_net *net)
{
    char url[64], gone[64];
    sockeye_event event;
    sockeye_conn_stats stats;
    sockeye_listener_stats port_stats;
    sockeye_address to;
    int rounds = 0;
    const int64_t deadline = harness_deadline();
    const sockeye_listener closed = open_port(net, "", gone), port = open_port(net, "", url);
    REQUIRE_OK(sockeye_address_parse(gone + strlen("udp://"), &to));
    REQUIRE_OK(sockeye_listener_close(net, closed));
    REQUIRE(harness_expect(net, SOCKEYE_EVENT_LISTENER_CLOSED).listener.id == closed.id);
    const sockeye_conn lost = open_client(net, gone), client = open_client(net, url);
    do {
        REQUIRE_OK(sockeye_send(net, lost, bytes, 5));
        REQUIRE_OK(sockeye_send_to(net, port, &to, bytes, 5));
        REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 1));
        REQUIRE_OK(sockeye_conn_get_stats(net, lost, &stats, sizeof stats));
        REQUIRE(harness_now_ms() < deadline);
        rounds++;
    } while (SENDS_ARE_TOLD ? stats.send_failures < 3 : rounds < 50);
    REQUIRE_OK(sockeye_listener_get_stats(net, port, &port_stats, sizeof port_stats));
    REQUIRE(port_stats.struct_size == sizeof port_stats && port_stats.queue_drops == 0);
    echo(net, port, client, 100);
}

int main(void)
{
    static const size_t sizes[] = {0, 1, 1400, LARGEST};
    char url[64];
    harness_watchdog();
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 251);
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 1);
    const sockeye_listener port = open_port(net, "", url);
    const sockeye_conn client = open_client(net, url);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) echo(net, port, client, sizes[i]);
    too_big(net, port, client);
    truncated(net);
    unreachable(net);
    REQUIRE(sockeye_event_address(NULL) == NULL);
    harness_close_live(net, 3);
    return 0;
}
