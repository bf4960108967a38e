/* Memory that outlives its batch: a held message keeps its bytes through later polls, through the
   close of its connection, through shutdown and free, and is given back without a net. Small and
   large messages, held once and twice; acquired buffers are the host's to write; both are counted
   in memory_bytes and bounded by memory_max_bytes. */
#include "harness.h"

#define SMALL 100
#define LARGE 50000

static uint8_t payload[LARGE];

static int is_payload(const uint8_t *data, size_t len)
{
    return memcmp(data, payload, len) == 0;
}

/* Sends `len` bytes and holds what arrives, twice. */
static void hold_one(sockeye_net *net, sockeye_conn from, size_t len, sockeye_buffer out[2])
{
    sockeye_buffer none;
    REQUIRE_OK(sockeye_send(net, from, payload, len));
    sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE_INT(len, event.data_len);
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(sockeye_event_hold(net, &event, &out[i]));
        REQUIRE(out[i].id != 0 && out[i].data_len == len && out[i].capacity >= len);
    }
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 0)); /* the batch ends */
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_event_hold(net, NULL, &none));
}

static void hold_and_release(void)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn client, server;
    sockeye_buffer small[2], large[2], own, stale;
    sockeye_event event, old;
    char url[64];
    harness_listen(net, "?frame=u32be", NULL, url);
    harness_pair(net, url, NULL, &client, &server);
    hold_one(net, client, SMALL, small);
    hold_one(net, client, LARGE, large);

    /* An event of a batch that has ended cannot be held, an event without payload neither. */
    REQUIRE_OK(sockeye_send(net, client, payload, SMALL));
    old = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE_OK(sockeye_post(net, 0, 0, 0));
    event = harness_expect(net, SOCKEYE_EVENT_POSTED);
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_event_hold(net, &old, &stale));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_event_hold(net, &event, &stale));

    /* One of each goes back while the net lives, the other is untouched by that. */
    REQUIRE_OK(sockeye_buffer_release(&small[0]));
    REQUIRE_OK(sockeye_buffer_release(&large[0]));
    REQUIRE_OK(sockeye_buffer_acquire(net, SMALL, &own));
    REQUIRE(own.data_len == 0 && own.capacity >= SMALL && own.id != 0);
    memset(own.data, 0xEE, own.capacity);

    /* A good deal of traffic would now use memory that was given back too early. */
    for (int i = 0; i < 200; i++) {
        REQUIRE_OK(sockeye_send(net, server, own.data, own.capacity < 99 ? own.capacity : 99));
        event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
        REQUIRE(event.data_len == 99 && event.data[0] == 0xEE && event.data[98] == 0xEE);
    }
    REQUIRE(is_payload(small[1].data, SMALL) && is_payload(large[1].data, LARGE));
    REQUIRE_OK(sockeye_close(net, server, SOCKEYE_CLOSE_RESET));
    harness_close_live(net, 2);

    REQUIRE(is_payload(small[1].data, SMALL) && is_payload(large[1].data, LARGE));
    memset(own.data, 0x11, own.capacity);
    sockeye_buffer copy = small[1];
    REQUIRE_OK(sockeye_buffer_release(&small[1]));
    REQUIRE(small[1].data == NULL && small[1].id == 0 && small[1].data_len == 0);
    REQUIRE_OK(sockeye_buffer_release(&small[1])); /* cleared: of nothing */
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_buffer_release(&copy));
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_buffer_release(&copy));
    REQUIRE_OK(sockeye_buffer_release(&large[1]));
    REQUIRE_OK(sockeye_buffer_release(&own));
    sockeye_buffer none = {NULL, 0, 0, 0};
    REQUIRE_OK(sockeye_buffer_release(&none));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_buffer_release(NULL));
}

static void bounded(void)
{
    enum { PIECE = 64 * 1024, MAX = 1024 * 1024 };
    sockeye_config config;
    sockeye_net *net;
    sockeye_net_stats stats;
    sockeye_buffer pieces[64], more;
    int taken = 0;
    sockeye_status status = SOCKEYE_OK;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.memory_max_bytes = MAX;
    REQUIRE_OK(sockeye_init(&config, &net));
    while (taken < 64 && (status = sockeye_buffer_acquire(net, PIECE, &pieces[taken])) >= 0)
        taken++;
    REQUIRE_STATUS(SOCKEYE_ERR_NO_MEMORY, status);
    REQUIRE(taken >= 4 && taken <= MAX / PIECE);
    REQUIRE_OK(sockeye_net_get_stats(net, &stats, sizeof stats));
    REQUIRE(stats.memory_bytes >= (uint64_t)taken * PIECE && stats.memory_bytes <= MAX);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_buffer_acquire(net, 0, &more));
    REQUIRE_STATUS(SOCKEYE_ERR_TOO_BIG, sockeye_buffer_acquire(net, (size_t)3 << 30, &more));
    REQUIRE_OK(sockeye_buffer_release(&pieces[0]));
    REQUIRE_OK(sockeye_buffer_acquire(net, PIECE, &pieces[0])); /* there is room again */
    for (int i = 0; i < taken; i++) REQUIRE_OK(sockeye_buffer_release(&pieces[i]));
    harness_close(net);
}

int main(void)
{
    harness_watchdog();
    for (size_t i = 0; i < LARGE; i++) payload[i] = (uint8_t)(i * 31 + (i >> 8));
    hold_and_release();
    bounded();
    return 0;
}
