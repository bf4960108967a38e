/* A server that ends on SIGTERM: the handler sets a flag and wakes the loop, which sleeps without
   a limit; what its clients were sent is sent before it leaves. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static sockeye_net *server;
static volatile sig_atomic_t asked_to_end = 0;
static volatile sig_atomic_t errors = 0;

static void on_term(int number)
{
    const int before = errno;
    (void)number;
    asked_to_end = 1;
    if (sockeye_wake(server, 0) != SOCKEYE_OK || errno != before) errors = errors + 1;
}

/* A client in a thread of its own, so that the signal finds the server wherever it is. */
struct client {
    char url[64];
    pthread_t server;
    uint32_t got;
    int32_t cause;
};

static void *be_client(void *user)
{
    struct client *client = (struct client *)user;
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 1);
    sockeye_endpoint endpoint;
    sockeye_conn conn;
    const int64_t deadline = harness_deadline();
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    REQUIRE_OK(sockeye_connect(net, client->url, &endpoint, &conn));
    REQUIRE_OK(sockeye_send(net, conn, "hello", 5));
    for (int open = 1; open;) {
        sockeye_event events[8];
        const int32_t count = sockeye_poll_events(net, events, 8, HARNESS_DEADLINE_MS);
        REQUIRE(count >= 0 && harness_now_ms() < deadline);
        for (int32_t i = 0; i < count; i++) {
            if (events[i].kind == SOCKEYE_EVENT_BYTES && client->got == 0)
                REQUIRE_INT(0, pthread_kill(client->server, SIGTERM));
            if (events[i].kind == SOCKEYE_EVENT_BYTES) client->got += events[i].data_len;
            if (events[i].kind == SOCKEYE_EVENT_CLOSED) {
                client->cause = events[i].cause;
                open = 0;
            }
        }
    }
    harness_close(net);
    return NULL;
}

/* Serves until the signal: one loop, one exit. */
static void serve(uint32_t model, uint32_t drive, uint32_t workers)
{
    sockeye_event events[16];
    struct client client;
    sockeye_conn last = {0};
    pthread_t thread;
    memset(&client, 0, sizeof client);
    asked_to_end = 0;
    server = harness_open(model, drive, workers);
    harness_listen(server, "", NULL, client.url);
    client.server = pthread_self();
    REQUIRE_INT(0, pthread_create(&thread, NULL, be_client, &client));
    while (!asked_to_end) {
        const int32_t count = sockeye_poll_events(server, events, 16, -1);
        REQUIRE(count >= 0);
        for (int32_t i = 0; i < count; i++) {
            if (events[i].kind != SOCKEYE_EVENT_BYTES) continue;
            last = events[i].conn;
            REQUIRE_OK(sockeye_send(server, last, events[i].data, events[i].data_len));
        }
    }
    REQUIRE_OK(sockeye_close_with(server, last, SOCKEYE_CLOSE_GRACEFUL, "bye", 3));
    REQUIRE_OK(sockeye_shutdown(server, HARNESS_DEADLINE_MS));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_wake(server, 0));
    REQUIRE_INT(0, pthread_join(thread, NULL));
    REQUIRE_INT(8, client.got);
    REQUIRE_INT(SOCKEYE_CAUSE_PEER, client.cause);
    harness_close_live(server, 1);
}

int main(void)
{
    static const uint32_t models[] = {SOCKEYE_MODEL_EPOLL, SOCKEYE_MODEL_BLOCKING,
                                      SOCKEYE_MODEL_POLL,  SOCKEYE_MODEL_SELECT,
                                      SOCKEYE_MODEL_TOKIO, SOCKEYE_MODEL_IO_URING};
    struct sigaction action;
    harness_watchdog();
    memset(&action, 0, sizeof action);
    action.sa_handler = on_term;
    action.sa_flags = SA_RESTART;
    REQUIRE_INT(0, sigaction(SIGTERM, &action, NULL));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sockeye_model_info info;
        REQUIRE_OK(sockeye_model_probe(models[i], &info, sizeof info));
        if (!info.available) continue;
        serve(models[i], SOCKEYE_DRIVE_POOL, 1);
        serve(models[i], SOCKEYE_DRIVE_LEND, 1);
        serve(models[i], SOCKEYE_DRIVE_HOST, 0);
    }
    REQUIRE_INT(0, errors);
    return 0;
}
