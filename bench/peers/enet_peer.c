/* libenet, plain: two channels, the first for what is reliable and the second for what is not.

   The server is the loop of ENet's own tutorial: one service call an event, which sends and
   receives by itself when no event is left. It creates no packet that it does not send.

   The load generator has a host of its own for each peer, as players have, and looks at those
   whose socket is readable; the others are served in turn, for their timers. */
#include "peer.h"
#include "lanes.h"
#include <enet/enet.h>
#include <sys/epoll.h>

enum {
    RELIABLE,
    UNRELIABLE,
    CHANNELS,
    /* What a wait without end is in parts. */
    WAIT_MS = 1000,
    READY = 256,
    /* Each host is served at least this often. */
    SERVED_MS = 50
};

static ENetHost *host;
static ENetPeer *sender;

static ENetHost **hosts;
static ENetPeer **peers;
static uint32_t begun, next;
static uint64_t served_ns;
static int ready;

static int host_option(const char *name, const char *value)
{
    (void)name;
    (void)value;
    return 0;
}

static void send_to(ENetPeer *peer, bool reliable, const uint8_t *data, size_t size)
{
    ENetPacket *packet =
        need(enet_packet_create(data, size, reliable ? ENET_PACKET_FLAG_RELIABLE : 0));
    /* Refused by a peer that is no longer connected. */
    if (enet_peer_send(peer, reliable ? RELIABLE : UNRELIABLE, packet) < 0)
        enet_packet_destroy(packet);
}

/* --- the server ---------------------------------------------------------------------------- */

static unsigned host_listen(char *facts)
{
    ENetAddress address = {.port = 0};
    uint32_t most = lanes.peers < ENET_PROTOCOL_MAXIMUM_PEER_ID ? lanes.peers
                                                                : ENET_PROTOCOL_MAXIMUM_PEER_ID;
    if (enet_initialize() < 0) die("enet_initialize");
    enet_address_set_host_ip(&address, "127.0.0.1");
    host = need(enet_host_create(&address, most, CHANNELS, 0, 0));
    snprintf(facts, 128, "version=%d.%d.%d peers=%u", ENET_VERSION_MAJOR, ENET_VERSION_MINOR,
             ENET_VERSION_PATCH, most);
    return host->address.port;
}

static void host_reply(bool reliable, const uint8_t *data, size_t size)
{
    send_to(sender, reliable, data, size);
}

static void server_turn(int wait_ms)
{
    ENetEvent event;
    if (enet_host_service(host, &event, wait_ms < 0 ? WAIT_MS : (uint32_t)wait_ms) <= 0) return;
    if (event.type != ENET_EVENT_TYPE_RECEIVE) return;
    sender = event.peer;
    server_message(event.channelID == RELIABLE, event.packet->data, event.packet->dataLength);
    enet_packet_destroy(event.packet);
}

/* --- the load generator -------------------------------------------------------------------- */

static void host_start_load(void)
{
    if (enet_initialize() < 0) die("enet_initialize");
    hosts = need(calloc(lanes.peers, sizeof *hosts));
    peers = need(calloc(lanes.peers, sizeof *peers));
    ready = epoll_create1(EPOLL_CLOEXEC);
    if (ready < 0) die("epoll_create1");
}

static void host_connect(uint32_t n)
{
    ENetAddress address = {.port = (enet_uint16)lanes.port};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};
    enet_address_set_host_ip(&address, "127.0.0.1");
    hosts[n] = need(enet_host_create(NULL, 1, CHANNELS, 0, 0));
    peers[n] = need(enet_host_connect(hosts[n], &address, CHANNELS, 0));
    if (epoll_ctl(ready, EPOLL_CTL_ADD, hosts[n]->socket, &event) < 0) die("epoll_ctl");
    enet_host_flush(hosts[n]);
    begun = n + 1;
}

static void host_send(uint32_t n, bool reliable, const uint8_t *data, size_t size)
{
    send_to(peers[n], reliable, data, size);
    enet_host_flush(hosts[n]);
}

static void serve(uint32_t n)
{
    ENetEvent event;
    while (enet_host_service(hosts[n], &event, 0) > 0) {
        if (event.type == ENET_EVENT_TYPE_CONNECT) load_opened(n);
        if (event.type == ENET_EVENT_TYPE_DISCONNECT) load_closed();
        if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
        load_message(n, event.packet->data, event.packet->dataLength);
        enet_packet_destroy(event.packet);
    }
}

static void load_turn(int wait_ms)
{
    struct epoll_event events[READY];
    int count = epoll_wait(ready, events, READY, wait_ms);
    for (int i = 0; i < count; i++) serve(events[i].data.u32);
    uint64_t now = monotonic_ns();
    uint64_t due = (now - served_ns) * begun / (SERVED_MS * 1000000ull);
    if (!due) return;
    served_ns = now;
    for (uint64_t i = 0; i < due && i < begun; i++) {
        next = next + 1 < begun ? next + 1 : 0;
        serve(next);
    }
}

static void host_turn(int wait_ms)
{
    if (lanes.server) server_turn(wait_ms);
    else load_turn(wait_ms);
}

int main(int argc, char **argv)
{
    return lanes_main(argc, argv);
}
