/* A net's whole life, for every model that can run here and every way to drive it: made, a door on
   a port of the system's choice, a connection to itself, messages both ways, a graceful close told
   exactly once at each end, the door's own end, shutdown, free. Afterwards no descriptor and no
   thread is left. */
#include "harness.h"

struct ends {
    sockeye_conn client, server;
    int client_closed, server_closed;
};

/* Takes the CLOSED of both ends, in any order. */
static void expect_both_closed(sockeye_net *net, struct ends *ends)
{
    while (ends->client_closed + ends->server_closed < 2) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_CLOSED);
        const int is_client = event.conn.id == ends->client.id;
        REQUIRE(is_client || event.conn.id == ends->server.id);
        REQUIRE_INT(is_client ? SOCKEYE_CAUSE_HOST : SOCKEYE_CAUSE_PEER, event.cause);
        /* The peer may have what the system was given, and be gone, before the system's answer is
           here: the last message counts until then. */
        REQUIRE(event.detail == 0 || (!is_client && event.detail == 4));
        REQUIRE_INT(is_client ? 7 : 0, event.user_data);
        /* While its batch lives it can be asked about, and nothing more. */
        sockeye_conn_info info;
        REQUIRE_OK(sockeye_conn_get_info(net, event.conn, &info, sizeof info));
        REQUIRE_STATUS(SOCKEYE_ERR_CLOSED, sockeye_close(net, event.conn, SOCKEYE_CLOSE_RESET));
        if (is_client)
            ends->client_closed++;
        else
            ends->server_closed++;
    }
    REQUIRE(ends->client_closed == 1 && ends->server_closed == 1);
}

static void converse(sockeye_net *net, struct ends *ends)
{
    sockeye_event event;
    REQUIRE_OK(harness_send_text(net, ends->client, "to the server"));
    event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == ends->server.id && harness_is_text(&event, "to the server"));
    REQUIRE_OK(sockeye_send(net, ends->server, event.data, event.data_len)); /* copied */
    event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == ends->client.id && harness_is_text(&event, "to the server"));
    REQUIRE_OK(sockeye_send(net, ends->server, NULL, 0)); /* an empty message is one */
    event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == ends->client.id && event.data_len == 0);
}

static void live(sockeye_net *net)
{
    struct ends ends = {{0}, {0}, 0, 0};
    sockeye_endpoint endpoint;
    sockeye_event event;
    char url[64];
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.user_data = 7;
    const sockeye_listener door = harness_listen(net, "?frame=u32be", NULL, url);
    harness_pair(net, url, &endpoint, &ends.client, &ends.server);
    converse(net, &ends);

    /* What was sent before a graceful close arrives before its end. */
    REQUIRE_OK(harness_send_text(net, ends.client, "last words"));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_close(net, ends.client, SOCKEYE_CLOSE_GRACEFUL));
    REQUIRE_STATUS(SOCKEYE_ERR_CLOSED, sockeye_close(net, ends.client, SOCKEYE_CLOSE_GRACEFUL));
    REQUIRE_STATUS(SOCKEYE_ERR_CLOSED, harness_send_text(net, ends.client, "too late"));
    event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == ends.server.id && harness_is_text(&event, "last words"));
    expect_both_closed(net, &ends);

    REQUIRE_STATUS(SOCKEYE_OK, sockeye_listener_close(net, door));
    event = harness_expect(net, SOCKEYE_EVENT_LISTENER_CLOSED);
    REQUIRE(event.listener.id == door.id && event.cause == SOCKEYE_CAUSE_HOST);

    /* Nothing more is told, and the old handles touch nothing. */
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 0));
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_listener_close(net, door));
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, harness_send_text(net, ends.client, "?"));
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_close(net, ends.server, SOCKEYE_CLOSE_RESET));
}

/* One life. False: this model cannot be driven so. */
static int run(uint32_t model, uint32_t drive, uint32_t workers)
{
    sockeye_config config;
    sockeye_net *net = NULL;
    sockeye_net_info info;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    config.drive = drive;
    config.workers = workers;
    const sockeye_status status = sockeye_init(&config, &net);
    if (status == SOCKEYE_ERR_UNSUPPORTED) {
        REQUIRE(net == NULL && sockeye_last_error()[0] != 0);
        return 0;
    }
    REQUIRE_STATUS(SOCKEYE_OK, status);
    REQUIRE_OK(sockeye_net_get_info(net, &info, sizeof info));
    REQUIRE_INT(model, info.model);
    REQUIRE(info.model_reason[0] != 0 && info.drive_reason[0] != 0);
    if (workers == 0) REQUIRE_INT(0, info.threads);
    live(net);
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_shutdown(net, 1000));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_shutdown(net, 1000)); /* again is fine */
    REQUIRE_OK(sockeye_net_get_info(net, &info, sizeof info));
    REQUIRE_INT(0, info.threads);
    harness_close(net);
    return 1;
}

int main(void)
{
    int descriptors = 0, threads = 0;
    harness_watchdog();
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(NULL));
    for (uint32_t model = SOCKEYE_MODEL_BLOCKING; model <= SOCKEYE_MODEL_KQUEUE; model++) {
        sockeye_model_info info;
        int lives = 0;
        REQUIRE_OK(sockeye_model_probe(model, &info, sizeof info));
        if (!info.available) continue;
        lives += run(model, SOCKEYE_DRIVE_POOL, 1);
        lives += run(model, SOCKEYE_DRIVE_POOL, 3);
        lives += run(model, SOCKEYE_DRIVE_LEND, SOCKEYE_WORKERS_AUTO);
        lives += run(model, SOCKEYE_DRIVE_HOST, 1);
        lives += run(model, SOCKEYE_DRIVE_HOST, 0);
        fprintf(stderr, "%s: %d lives\n", (const char *)info.name, lives);
        REQUIRE(lives >= 3);
        if (model >= SOCKEYE_MODEL_BLOCKING && model <= SOCKEYE_MODEL_TOKIO) REQUIRE_INT(5, lives);
        /* What the first nets may have started for the process stays as it is. */
        if (descriptors == 0) {
            descriptors = harness_descriptors();
            threads = harness_threads();
        }
        REQUIRE_INT(descriptors, harness_descriptors());
        REQUIRE_INT(threads, harness_threads());
    }
    REQUIRE(descriptors > 0);
    return 0;
}
