/* A message in parts: a header of the host's own, a large body in a buffer of the library's and a
   tail, framed as one. It goes to all without a copy of the body, the buffer is released right
   after the send, and a newer one with the same key takes the place of one that waits. */
#include "harness.h"

#define PAIRS 3
#define BODY 100000
#define KEY 77

struct pairs {
    sockeye_conn clients[PAIRS], servers[PAIRS];
};

struct head {
    uint8_t kind, number;
};

static uint64_t memory_of(sockeye_net *net)
{
    sockeye_net_stats stats;
    REQUIRE_OK(sockeye_net_get_stats(net, &stats, sizeof stats));
    return stats.memory_bytes;
}

static sockeye_buffer body_of(sockeye_net *net, uint8_t fill)
{
    sockeye_buffer body;
    REQUIRE_OK(sockeye_buffer_acquire(net, BODY, &body));
    REQUIRE(body.capacity >= BODY && body.id != 0);
    memset(body.data, fill, BODY);
    return body;
}

/* Sends head, body and tail to everybody, and releases the body. */
static void send_all(sockeye_net *net, const struct pairs *pairs, uint8_t number, uint64_t key)
{
    const struct head head = {'h', number};
    sockeye_buffer body = body_of(net, number);
    const uint64_t before = memory_of(net);
    sockeye_bytes parts[3];
    sockeye_message message;
    sockeye_status each[PAIRS];
    REQUIRE_OK(sockeye_message_init(&message, sizeof message));
    parts[0].data = (const uint8_t *)&head;
    parts[0].len = sizeof head;
    parts[1].data = body.data;
    parts[1].len = BODY;
    parts[2].data = harness_bytes("tail");
    parts[2].len = 4;
    message.parts = parts;
    message.parts_count = 3;
    message.key = key;
    message.buffer_id = body.id;
    REQUIRE_INT(PAIRS, sockeye_send_message(net, pairs->servers, PAIRS, &message, each));
    for (int i = 0; i < PAIRS; i++) REQUIRE_STATUS(SOCKEYE_OK, each[i]);
    REQUIRE(memory_of(net) < before + BODY / 2); /* not copied */
    REQUIRE_OK(sockeye_buffer_release(&body));
}

static void expect_one_each(sockeye_net *net, const struct pairs *pairs, uint8_t number)
{
    int seen[PAIRS] = {0};
    for (int left = PAIRS; left > 0; left--) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
        int i = 0;
        while (i < PAIRS && pairs->clients[i].id != event.conn.id) i++;
        REQUIRE(i < PAIRS && ++seen[i] == 1);
        REQUIRE_INT(sizeof(struct head) + BODY + 4, event.data_len);
        REQUIRE(event.data[0] == 'h' && event.data[1] == number);
        for (size_t at = 0; at < BODY; at++) REQUIRE(event.data[2 + at] == number);
        REQUIRE(memcmp(event.data + 2 + BODY, "tail", 4) == 0);
    }
}

int main(void)
{
    struct pairs pairs;
    sockeye_config config;
    sockeye_net *net;
    sockeye_event event;
    char url[64];
    harness_watchdog();
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.flush = SOCKEYE_FLUSH_MANUAL; /* what is sent waits for the next poll */
    REQUIRE_OK(sockeye_init(&config, &net));
    harness_listen(net, "?frame=u32be", NULL, url);
    for (int i = 0; i < PAIRS; i++)
        harness_pair(net, url, NULL, &pairs.clients[i], &pairs.servers[i]);
    send_all(net, &pairs, 1, 0);
    expect_one_each(net, &pairs, 1);
    for (uint8_t number = 2; number < 10; number++) send_all(net, &pairs, number, KEY);
    expect_one_each(net, &pairs, 9);
    send_all(net, &pairs, 10, KEY); /* the one before has left: this one has its own place */
    expect_one_each(net, &pairs, 10);
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 0));
    harness_close_live(net, 2 * PAIRS);
    return 0;
}
