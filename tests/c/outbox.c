/* What a host relies on when a peer does not read: sends are taken whole or refused with AGAIN,
   never half; the outbox stays within its bounds; WRITABLE comes once, at the low mark, with the
   number of refusals; what was taken arrives whole and in order; what could never be taken is
   TOO_BIG. */
#include "harness.h"

#define OUTBOX (256 * 1024)
#define LOW (32 * 1024)
#define PIECE 10000

static void fill(uint8_t *piece, uint32_t number)
{
    memset(piece, (int)(number & 0xFF), PIECE);
    memcpy(piece, &number, sizeof number);
}

static uint32_t number_of(const sockeye_event *event)
{
    uint32_t number;
    REQUIRE_INT(PIECE, event->data_len);
    memcpy(&number, event->data, sizeof number);
    for (size_t i = sizeof number; i < PIECE; i++)
        REQUIRE_INT(number & 0xFF, event->data[i]);
    return number;
}

/* Sends until refused; the kernel's buffers take some first, so this waits for a refusal that
   stays. Answers how many were taken. */
static uint32_t send_until_full(sockeye_net *net, sockeye_conn conn, uint32_t *refused)
{
    static uint8_t piece[PIECE];
    const int64_t deadline = harness_deadline();
    uint32_t taken = 0;
    int refused_in_row = 0;
    while (refused_in_row < 50) {
        fill(piece, taken);
        const sockeye_status status = sockeye_send(net, conn, piece, PIECE);
        if (status >= 0) {
            taken++;
            refused_in_row = 0;
            continue;
        }
        REQUIRE_STATUS(SOCKEYE_ERR_AGAIN, status);
        ++*refused;
        refused_in_row++;
        harness_breathe(deadline);
    }
    return taken;
}

static void check_refusals(uint32_t model, uint32_t drive)
{
    static uint8_t huge[OUTBOX + 1];
    sockeye_endpoint endpoint;
    sockeye_conn client, server;
    sockeye_conn_stats stats;
    sockeye_event event;
    char url[64];
    uint32_t refused = 0, received = 0, told = 0;
    sockeye_net *net = harness_open(model, drive, 1);
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.outbox_max_bytes = OUTBOX;
    endpoint.outbox_low_bytes = LOW;
    endpoint.send_buffer_bytes = 64 * 1024;
    endpoint.recv_buffer_bytes = 64 * 1024;
    harness_listen(net, "?frame=u32le", &endpoint, url);
    harness_pair(net, url, NULL, &client, &server);

    REQUIRE_STATUS(SOCKEYE_ERR_TOO_BIG, sockeye_send(net, server, huge, sizeof huge));
    REQUIRE_OK(sockeye_conn_pause(net, client)); /* a peer that does not read */
    const uint32_t taken = send_until_full(net, server, &refused);
    REQUIRE_OK(sockeye_conn_get_stats(net, server, &stats, sizeof stats));
    REQUIRE(stats.outbox_bytes <= OUTBOX && stats.outbox_bytes > OUTBOX - 2 * PIECE);
    REQUIRE(stats.outbox_messages >= OUTBOX / PIECE - 2);

    /* Events that came before the pause may still be there; then the rest follows. */
    REQUIRE_OK(sockeye_conn_resume(net, client));
    while (received < taken || told == 0) {
        event = harness_next(net, 0);
        if (event.kind == SOCKEYE_EVENT_WRITABLE) {
            REQUIRE_INT(server.id, event.conn.id);
            told += (uint32_t)event.detail;
            continue;
        }
        REQUIRE_INT(SOCKEYE_EVENT_MESSAGE, event.kind);
        REQUIRE_INT(client.id, event.conn.id);
        REQUIRE_INT(received, number_of(&event));
        received++;
    }
    REQUIRE_INT(refused, told); /* nothing refused arrived, each refusal was counted */
    REQUIRE_OK(sockeye_conn_get_stats(net, server, &stats, sizeof stats));
    REQUIRE(stats.outbox_bytes == 0 && stats.outbox_messages == 0);
    harness_close_live(net, 2);
}

/* DROP_OLDEST: every send is taken, what arrives is in order, and the newest always arrives. */
static void check_drop_oldest(void)
{
    static uint8_t piece[PIECE];
    sockeye_endpoint endpoint;
    sockeye_conn client, server;
    sockeye_conn_stats stats;
    char url[64];
    uint32_t received = 0, next = 0;
    const uint32_t sent = 2000; /* 20 MB, far more than the kernel and the outbox hold */
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.outbox_max_bytes = OUTBOX;
    endpoint.overflow = SOCKEYE_OVERFLOW_DROP_OLDEST;
    harness_listen(net, "?frame=u32le", &endpoint, url);
    harness_pair(net, url, NULL, &client, &server);
    REQUIRE_OK(sockeye_conn_pause(net, client));
    for (uint32_t i = 0; i < sent; i++) {
        fill(piece, i);
        REQUIRE_OK(sockeye_send(net, server, piece, PIECE));
    }
    REQUIRE_OK(sockeye_conn_get_stats(net, server, &stats, sizeof stats));
    REQUIRE(stats.outbox_bytes <= OUTBOX);
    REQUIRE_OK(sockeye_conn_resume(net, client));
    while (next < sent) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
        const uint32_t number = number_of(&event);
        REQUIRE(number >= next);
        next = number + 1;
        received++;
    }
    REQUIRE_OK(sockeye_conn_get_stats(net, server, &stats, sizeof stats));
    REQUIRE(stats.dropped_messages > 0);
    REQUIRE_INT(sent, received + stats.dropped_messages);
    harness_close_live(net, 2);
}

/* CLOSE: the send that does not fit ends the connection, and says why. */
static void check_close(void)
{
    static const uint8_t piece[PIECE];
    sockeye_endpoint endpoint;
    sockeye_conn client, server;
    char url[64];
    sockeye_status status;
    int closed = 0;
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.outbox_max_bytes = OUTBOX;
    endpoint.overflow = SOCKEYE_OVERFLOW_CLOSE;
    harness_listen(net, "?frame=u32le", &endpoint, url);
    harness_pair(net, url, NULL, &client, &server);
    REQUIRE_OK(sockeye_conn_pause(net, client));
    for (int i = 0; (status = sockeye_send(net, server, piece, PIECE)) >= 0; i++)
        REQUIRE(i < 100000);
    REQUIRE(status == SOCKEYE_ERR_CLOSED || status == SOCKEYE_ERR_AGAIN);
    while (!closed) {
        const sockeye_event event = harness_next(net, 0);
        if (event.kind != SOCKEYE_EVENT_CLOSED || event.conn.id != server.id) continue;
        REQUIRE_INT(SOCKEYE_CAUSE_LIMIT_OUTBOX, event.cause);
        REQUIRE(event.detail > 0); /* taken, but never handed to the system */
        closed = 1;
    }
    harness_close_live(net, 1);
}

int main(void)
{
    harness_watchdog();
    check_refusals(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL);
    check_refusals(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_HOST);
    check_refusals(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_POOL);
    check_drop_oldest();
    check_close();
    return 0;
}
