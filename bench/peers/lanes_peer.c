/* Sockeye's lanes: encrypted datagrams, with tokens that anybody can make. Messages go into lane 0,
   which is ordered, or 1, which is unreliable.

   The server echoes out of the batch of a poll, its peers have room for a whole download, and its
   socket has room for what all peers send in the same tick. The load generator is HOST without a
   thread. */
#include "peer.h"
#include "lanes.h"
#include "sockeye.h"

enum {
    RELIABLE,
    UNRELIABLE,
    EVENTS = 256,
    OUTBOX = 8 * 1024 * 1024,
    RECEIVE_BUFFER = 4 * 1024 * 1024
};

static const char *const DRIVES[] = {"pool", "lend", "host"};

static sockeye_config config;
static sockeye_net *net;
static sockeye_endpoint endpoint;
static sockeye_event events[EVENTS];
static uint32_t drive = SOCKEYE_DRIVE_POOL, workers = 1;
static sockeye_conn sender;

static sockeye_conn *conns;

static void demand(const char *what, sockeye_status status)
{
    if (status >= 0) return;
    fprintf(stderr, "lanes_peer: %s: %s (%s)\n", what, sockeye_status_text(status),
            sockeye_last_error());
    exit(1);
}

static int host_option(const char *name, const char *value)
{
    if (!strcmp(name, "--workers")) return option_number(value, 0, 64, &workers) ? 2 : 0;
    if (strcmp(name, "--drive") != 0) return 0;
    for (uint32_t i = 0; i < 3; i++) {
        if (strcmp(value, DRIVES[i]) != 0) continue;
        drive = i;
        return 2;
    }
    return 0;
}

static void start(void)
{
    demand("defaults", sockeye_config_init(&config, sizeof config));
    config.drive = drive;
    config.workers = workers;
    config.flush = SOCKEYE_FLUSH_MANUAL;
    config.connections_max = lanes.peers * 2 + 16;
    demand("start", sockeye_init(&config, &net));
    demand("defaults", sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.outbox_max_bytes = OUTBOX;
    endpoint.recv_buffer_bytes = RECEIVE_BUFFER;
}

/* A peer that is gone by now is told by CLOSED. */
static void send_to(sockeye_conn conn, bool reliable, const uint8_t *data, size_t size)
{
    sockeye_status status =
        sockeye_send_lane(net, conn, reliable ? RELIABLE : UNRELIABLE, data, size);
    if (status == SOCKEYE_ERR_CLOSED || status == SOCKEYE_ERR_STALE) return;
    /* An unreliable one may be lost. */
    if (status == SOCKEYE_ERR_AGAIN && !reliable) return;
    demand("send", status);
}

static unsigned host_listen(char *facts)
{
    sockeye_listener door;
    sockeye_listener_info at;
    sockeye_net_info info;
    start();
    demand("listen", sockeye_listen(net, "game://127.0.0.1:0?token=open", &endpoint, &door));
    demand("port", sockeye_listener_get_info(net, door, &at, sizeof at));
    demand("info", sockeye_net_get_info(net, &info, sizeof info));
    snprintf(facts, 128, "model=%s drive=%s workers=%u threads=%u", sockeye_model_name(info.model),
             info.drive < 3 ? DRIVES[info.drive] : "?", (unsigned)info.workers,
             (unsigned)info.threads);
    return at.port;
}

static void host_reply(bool reliable, const uint8_t *data, size_t size)
{
    send_to(sender, reliable, data, size);
}

static void host_start_load(void)
{
    start();
    conns = need(calloc(lanes.peers, sizeof *conns));
}

static void host_connect(uint32_t n)
{
    char url[64];
    snprintf(url, sizeof url, "game://127.0.0.1:%u?token=open", (unsigned)lanes.port);
    endpoint.user_data = n;
    demand(url, sockeye_connect(net, url, &endpoint, &conns[n]));
}

static void host_send(uint32_t n, bool reliable, const uint8_t *data, size_t size)
{
    send_to(conns[n], reliable, data, size);
}

static void on_event(const sockeye_event *event)
{
    uint32_t n = (uint32_t)event->user_data;
    bool reliable = !(event->flags & SOCKEYE_FLAG_UNRELIABLE);
    if (event->kind == SOCKEYE_EVENT_MESSAGE && lanes.server) {
        sender = event->conn;
        server_message(reliable, event->data, event->data_len);
    } else if (event->kind == SOCKEYE_EVENT_MESSAGE) {
        load_message(n, event->data, event->data_len);
    } else if (event->kind == SOCKEYE_EVENT_OPENED && !lanes.server) {
        load_opened(n);
    } else if (event->kind == SOCKEYE_EVENT_CLOSED && !lanes.server) {
        load_closed();
    }
}

/* One poll sends first what was written since the last one. */
static void host_turn(int wait_ms)
{
    int32_t told = sockeye_poll_events(net, events, EVENTS, wait_ms);
    demand("poll", told);
    for (int32_t i = 0; i < told; i++) on_event(&events[i]);
}

int main(int argc, char **argv)
{
    return lanes_main(argc, argv);
}
