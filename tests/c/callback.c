/* An engine's plugin: events come to a function, on the workers' threads or inside its own pump;
   calls are answered inside it, and once NULL is set nothing of the library is in its code. */
#include "harness.h"

#include <stdatomic.h> /* C11, which every compiler here has */

typedef struct plugin {
    sockeye_net *net;
    atomic_int inside;
    atomic_int opened;
    atomic_int messages;
    atomic_int closed;
    atomic_int posted;
    atomic_int unloaded;
} plugin;

static void on_events(void *user, sockeye_net *net, uint32_t queue, const sockeye_event *events,
                      uint32_t count)
{
    plugin *own = (plugin *)user;
    REQUIRE_INT(0, atomic_fetch_add(&own->inside, 1)); /* one call at a time */
    REQUIRE_INT(0, atomic_load(&own->unloaded));
    REQUIRE(net == own->net && queue == 0 && count > 0);
    REQUIRE_STATUS(SOCKEYE_ERR_WOULD_DEADLOCK, sockeye_shutdown(net, 0));
    REQUIRE_STATUS(SOCKEYE_ERR_WOULD_DEADLOCK, sockeye_free(net));
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_poll_events(net, NULL, 0, 0));
    for (uint32_t i = 0; i < count; i++) {
        const sockeye_event *event = &events[i];
        switch (event->kind) {
        case SOCKEYE_EVENT_OPENED:
            REQUIRE_OK(sockeye_conn_set_user_data(net, event->conn, 7));
            atomic_fetch_add(&own->opened, 1);
            break;
        case SOCKEYE_EVENT_BYTES:
            REQUIRE_INT(7, event->user_data);
            REQUIRE_OK(sockeye_send(net, event->conn, event->data, event->data_len));
            atomic_fetch_add(&own->messages, 1);
            break;
        case SOCKEYE_EVENT_CLOSED: atomic_fetch_add(&own->closed, 1); break;
        case SOCKEYE_EVENT_POSTED: atomic_fetch_add(&own->posted, 1); break;
        default: break;
        }
    }
    REQUIRE_INT(1, atomic_fetch_sub(&own->inside, 1));
}

/* Lets the plugin's net work until a count is there. */
static void await(plugin *own, uint32_t workers, atomic_int *count, int wanted)
{
    const int64_t deadline = harness_deadline();
    while (atomic_load(count) < wanted) {
        if (workers == 0)
            REQUIRE(sockeye_poll_events(own->net, NULL, 0, 1) >= 0);
        harness_breathe(deadline);
    }
}

static void check_plugin(uint32_t model, uint32_t drive, uint32_t workers)
{
    plugin own;
    sockeye_conn client;
    sockeye_event event;
    char url[64];
    sockeye_net *other = harness_open(model, SOCKEYE_DRIVE_POOL, 1);
    memset(&own, 0, sizeof own);
    own.net = harness_open(model, drive, workers);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_poll_events(own.net, NULL, 0, 0));
    REQUIRE_OK(sockeye_post(own.net, 0, 1, 1)); /* waits for whoever takes events */
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_set_callback(own.net, 1, on_events, &own));
    REQUIRE_OK(sockeye_set_callback(own.net, 0, on_events, &own));
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_poll_events(own.net, &event, 1, 0));
    await(&own, workers, &own.posted, 1);

    harness_listen(own.net, "", NULL, url);
    REQUIRE_OK(sockeye_connect(other, url, NULL, &client));
    harness_expect(other, SOCKEYE_EVENT_OPENED);
    await(&own, workers, &own.opened, 1);
    for (int round = 1; round <= 10; round++) {
        REQUIRE_OK(harness_send_text(other, client, "ping"));
        await(&own, workers, &own.messages, round);
        if (workers == 0)
            REQUIRE(sockeye_poll_events(own.net, NULL, 0, 0) >= 0); /* the answer leaves */
        event = harness_expect(other, SOCKEYE_EVENT_BYTES);
        REQUIRE(harness_is_text(&event, "ping"));
    }

    /* Unloaded: polls have the events again. */
    REQUIRE_OK(sockeye_set_callback(own.net, 0, NULL, NULL));
    atomic_store(&own.unloaded, 1);
    REQUIRE_INT(0, atomic_load(&own.inside));
    REQUIRE_OK(harness_send_text(other, client, "pong"));
    event = harness_expect(own.net, SOCKEYE_EVENT_BYTES);
    REQUIRE(harness_is_text(&event, "pong"));

    /* Loaded again: what is told by the shutdown comes before that returns. */
    atomic_store(&own.unloaded, 0);
    REQUIRE_OK(sockeye_set_callback(own.net, 0, on_events, &own));
    REQUIRE_OK(sockeye_shutdown(own.net, 0));
    REQUIRE_INT(1, atomic_load(&own.closed));
    atomic_store(&own.unloaded, 1);
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_poll_events(own.net, &event, 1, 0));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(own.net));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(other));
}

int main(void)
{
    harness_watchdog();
    check_plugin(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    check_plugin(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 3);
    check_plugin(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_HOST, 1);
    check_plugin(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_HOST, 0);
    check_plugin(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_HOST, 0);
    return 0;
}
