/* A player changes zones: each queue is a zone. On the old queue MOVED comes last, on the new one
   first, and only when the old batch is over; then everything later comes there, CLOSED too. */
#include "harness.h"

/* Nothing comes on a queue for a while. */
static void require_nothing(sockeye_net *net, uint32_t queue)
{
    sockeye_event event;
    REQUIRE_INT(0, sockeye_queue_poll_events(net, queue, &event, 1, 30));
}

static sockeye_event expect_on(sockeye_net *net, uint32_t queue, uint32_t kind)
{
    const sockeye_event event = harness_next(net, queue);
    REQUIRE_INT(kind, event.kind);
    return event;
}

static void check_zones(uint32_t model, uint32_t drive)
{
    sockeye_config config;
    sockeye_net *zones, *other;
    sockeye_conn player, client;
    sockeye_event event;
    sockeye_conn_info info;
    char url[64];
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    config.drive = drive;
    config.workers = config.queues = 2;
    REQUIRE_OK(sockeye_init(&config, &zones));
    other = harness_open(model, SOCKEYE_DRIVE_POOL, 1);
    harness_listen(zones, "?frame=u16le", NULL, url);
    REQUIRE_OK(sockeye_connect(other, url, NULL, &client));
    harness_expect(other, SOCKEYE_EVENT_OPENED);
    player = expect_on(zones, 0, SOCKEYE_EVENT_OPENED).conn;
    REQUIRE_OK(sockeye_conn_set_user_data(zones, player, 42));

    REQUIRE_OK(harness_send_text(other, client, "north"));
    event = expect_on(zones, 0, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(harness_is_text(&event, "north"));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_conn_set_queue(zones, player, 2));
    REQUIRE_OK(sockeye_conn_set_queue(zones, player, 1));
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_conn_set_queue(zones, player, 0));
    event = expect_on(zones, 0, SOCKEYE_EVENT_MOVED);
    REQUIRE_INT(1, event.detail);
    REQUIRE_INT(player.id, event.conn.id);

    /* This batch is not over: the other zone has nothing of the player, who stays readable. */
    REQUIRE_OK(harness_send_text(other, client, "south"));
    require_nothing(zones, 1);
    REQUIRE_OK(sockeye_conn_get_info(zones, player, &info, sizeof info));
    REQUIRE_INT(0, info.queue);
    REQUIRE_OK(harness_send_text(zones, player, "on your way"));
    event = harness_expect(other, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(harness_is_text(&event, "on your way"));

    require_nothing(zones, 0);
    event = expect_on(zones, 1, SOCKEYE_EVENT_MOVED);
    REQUIRE_INT(0, event.detail);
    REQUIRE_INT(42, event.user_data);
    event = expect_on(zones, 1, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(harness_is_text(&event, "south"));
    REQUIRE_OK(harness_send_text(zones, player, "welcome"));
    event = harness_expect(other, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(harness_is_text(&event, "welcome"));

    REQUIRE_OK(sockeye_close(other, client, SOCKEYE_CLOSE_GRACEFUL));
    event = expect_on(zones, 1, SOCKEYE_EVENT_CLOSED);
    REQUIRE_INT(SOCKEYE_CAUSE_PEER, event.cause);
    require_nothing(zones, 0);
    harness_expect(other, SOCKEYE_EVENT_CLOSED);
    REQUIRE_OK(sockeye_free(other));
    REQUIRE_OK(sockeye_free(zones));
}

int main(void)
{
    harness_watchdog();
    check_zones(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL);
    check_zones(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND);
    check_zones(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_HOST);
    return 0;
}
