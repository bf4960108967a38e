/* One message to many: everybody who is well gets it, each answer is that connection's own (taken,
   full, closed, stale), a full one is skipped and hurts nobody else, and a later send of the same
   thread comes behind it. */
#include "harness.h"

#define PAIRS 20
#define FULL 3
#define GONE 7
#define OUTBOX 4096

struct pairs {
    sockeye_conn clients[PAIRS], servers[PAIRS];
};

static int index_of(const sockeye_conn *conns, sockeye_conn conn)
{
    for (int i = 0; i < PAIRS; i++)
        if (conns[i].id == conn.id) return i;
    harness_fail(__FILE__, __LINE__, "an event of a stranger");
    return -1;
}

static void to_all(sockeye_net *net, const struct pairs *pairs)
{
    const char *texts[2] = {"to everybody", "to each"};
    sockeye_status each[PAIRS];
    int got[PAIRS] = {0};
    REQUIRE_INT(PAIRS, sockeye_send_many(net, pairs->servers, PAIRS, harness_bytes(texts[0]),
                                         strlen(texts[0]), each));
    for (int i = 0; i < PAIRS; i++) {
        REQUIRE_STATUS(SOCKEYE_OK, each[i]);
        REQUIRE_OK(harness_send_text(net, pairs->servers[i], texts[1]));
    }
    for (int left = 2 * PAIRS; left > 0; left--) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
        const int i = index_of(pairs->clients, event.conn);
        REQUIRE(got[i] < 2 && harness_is_text(&event, texts[got[i]]));
        got[i]++;
    }
    for (int i = 0; i < PAIRS; i++) REQUIRE_INT(2, got[i]);
    REQUIRE_INT(0, sockeye_send_many(net, NULL, 0, harness_bytes("x"), 1, NULL));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID,
                   sockeye_send_many(net, NULL, 1, harness_bytes("x"), 1, NULL));
}

/* Nothing leaves before a flush or a poll, so one outbox can be filled to the brim. */
static void to_all_but_the_full(sockeye_net *net, const struct pairs *pairs)
{
    static const uint8_t filler[500] = {'f'}, news[500] = {'n'};
    sockeye_status each[PAIRS], status;
    int fillers = 0, got_news = 0, got_fillers = 0, writable = 0;
    while ((status = sockeye_send(net, pairs->servers[FULL], filler, sizeof filler)) >= 0)
        REQUIRE(++fillers <= OUTBOX / (int)sizeof filler);
    REQUIRE_STATUS(SOCKEYE_ERR_AGAIN, status);
    REQUIRE(fillers >= OUTBOX / (int)sizeof filler - 1);
    REQUIRE_INT(PAIRS - 1,
                sockeye_send_many(net, pairs->servers, PAIRS, news, sizeof news, each));
    for (int i = 0; i < PAIRS; i++)
        REQUIRE_STATUS(i == FULL ? SOCKEYE_ERR_AGAIN : SOCKEYE_OK, each[i]);

    while (got_news < PAIRS - 1 || got_fillers < fillers || writable < 1) {
        const sockeye_event event = harness_next(net, 0);
        if (event.kind == SOCKEYE_EVENT_WRITABLE) {
            REQUIRE_INT(pairs->servers[FULL].id, event.conn.id);
            REQUIRE_INT(2, event.detail); /* the send and the send_many */
            REQUIRE_INT(1, ++writable);
            continue;
        }
        REQUIRE_INT(SOCKEYE_EVENT_MESSAGE, event.kind);
        const int i = index_of(pairs->clients, event.conn);
        REQUIRE_INT(500, event.data_len);
        REQUIRE_INT(i == FULL ? 'f' : 'n', event.data[0]);
        if (i == FULL)
            got_fillers++;
        else
            got_news++;
    }
    REQUIRE(got_news == PAIRS - 1 && got_fillers == fillers);
}

static void to_some_that_are_gone(sockeye_net *net, struct pairs *pairs)
{
    sockeye_status each[PAIRS];
    const sockeye_conn real = pairs->servers[0];
    int got = 0, closed = 0;
    REQUIRE_OK(sockeye_close(net, pairs->servers[GONE], SOCKEYE_CLOSE_RESET));
    pairs->servers[0].id ^= UINT64_C(1) << 40; /* another generation: made up */
    REQUIRE_INT(PAIRS - 2, sockeye_send_many(net, pairs->servers, PAIRS,
                                             harness_bytes("still here"), 10, each));
    for (int i = 0; i < PAIRS; i++)
        REQUIRE_STATUS(i == 0      ? SOCKEYE_ERR_STALE
                       : i == GONE ? SOCKEYE_ERR_CLOSED
                                   : SOCKEYE_OK,
                       each[i]);
    pairs->servers[0] = real;
    while (got < PAIRS - 2 || closed < 2) {
        const sockeye_event event = harness_next(net, 0);
        if (event.kind == SOCKEYE_EVENT_CLOSED) {
            REQUIRE(event.conn.id == pairs->servers[GONE].id ||
                    event.conn.id == pairs->clients[GONE].id);
            closed++;
            continue;
        }
        const int i = index_of(pairs->clients, event.conn);
        REQUIRE(i != 0 && i != GONE && harness_is_text(&event, "still here"));
        got++;
    }
    REQUIRE(got == PAIRS - 2 && closed == 2);
}

int main(void)
{
    struct pairs pairs;
    sockeye_config config;
    sockeye_endpoint endpoint;
    sockeye_net *net;
    char url[64];
    harness_watchdog();
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.flush = SOCKEYE_FLUSH_MANUAL;
    REQUIRE_OK(sockeye_init(&config, &net));
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.outbox_max_bytes = OUTBOX;
    harness_listen(net, "?frame=u32le", &endpoint, url);
    for (int i = 0; i < PAIRS; i++)
        harness_pair(net, url, NULL, &pairs.clients[i], &pairs.servers[i]);
    to_all(net, &pairs);
    to_all_but_the_full(net, &pairs);
    to_some_that_are_gone(net, &pairs);
    harness_close_live(net, 2 * (PAIRS - 1));
    return 0;
}
