/* The sample one_port, spoken to by lines, by frames, and by lines and then frames, in one write
   and byte by byte. */
#include "harness.h"

#define main one_port_main
#include "../../cpp-sample/one_port.c"
#undef main

enum { ANSWER_MAX = 256 };

/* Bytes that a client sends, and what it receives for them. */
typedef struct {
    const char *what, *sent;
    size_t sent_len;
    const char *answer;
    size_t answer_len;
    int ends; /* the server closes behind it */
} talk;

#define TALK(what, sent, answer, ends)                                                            \
    {what, sent, sizeof(sent) - 1, answer, sizeof(answer) - 1, ends}

static const talk talks[] = {
    TALK("lines", "look\r\nnorth\nsay a b\r\n", "look\r\nnorth\r\nsay a b\r\n", 0),
    TALK("an end", "look\nquit\nlook\n", "look\r\nbye\r\n", 1),
    TALK("frames", "\1\2\0hi\0\0\3\0\r\n\1", "\2\0hi\0\0\3\0\r\n\1", 0),
    TALK("lines, then frames", "who\r\nplay anna\r\n\2\0hi\1\0!",
         "who\r\nwelcome\r\n\2\0hi\1\0!", 0),
    TALK("a long line", "play 0123456789012345678901234567890123456789\n",
         "play 0123456789012345678901234567890123456789\r\n", 0),
};

/* Polls both ends until the client has all of its answer, and its end where there is one. */
static void hears(server *own, sockeye_net *client, sockeye_conn conn, const talk *heard)
{
    char got[ANSWER_MAX];
    size_t len = 0;
    int ended = 0;
    const int64_t deadline = harness_deadline();
    while (len < heard->answer_len || ended < heard->ends) {
        sockeye_event event;
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE(turn(own, 0) >= 0);
        const int32_t count = sockeye_poll_events(client, &event, 1, 1);
        REQUIRE(count >= 0);
        if (count == 0 || event.conn.id != conn.id) continue;
        if (event.kind == SOCKEYE_EVENT_CLOSED) ended++;
        if (event.kind != SOCKEYE_EVENT_BYTES) continue;
        REQUIRE(len + event.data_len <= heard->answer_len);
        memcpy(got + len, event.data, event.data_len);
        len += event.data_len;
    }
    if (len != heard->answer_len || memcmp(got, heard->answer, len) != 0)
        harness_fail(__FILE__, __LINE__, heard->what);
}

static void check(server *own, sockeye_net *client, const char *url, const talk *one, size_t piece)
{
    sockeye_conn conn;
    REQUIRE_OK(sockeye_connect(client, url, NULL, &conn));
    for (size_t at = 0; at < one->sent_len; at += piece) {
        const size_t len = one->sent_len - at < piece ? one->sent_len - at : piece;
        const sockeye_status sent = sockeye_send(client, conn, one->sent + at, len);
        REQUIRE(sent == SOCKEYE_OK || one->ends);
        REQUIRE(turn(own, 1) >= 0);
    }
    hears(own, client, conn, one);
    if (!one->ends) REQUIRE_OK(sockeye_close(client, conn, SOCKEYE_CLOSE_RESET));
}

int main(void)
{
    server own;
    uint32_t port = 0;
    char url[64];
    harness_watchdog();
    memset(&own, 0, sizeof own);
    REQUIRE_OK(open_server(&own, "tcp://127.0.0.1:0", &port));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%" PRIu32, port);
    sockeye_net *client = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    for (size_t at = 0; at < sizeof talks / sizeof *talks; at++) {
        check(&own, client, url, &talks[at], talks[at].sent_len);
        check(&own, client, url, &talks[at], 1);
    }
    REQUIRE_OK(sockeye_free(client));
    REQUIRE_OK(sockeye_shutdown(own.net, 0));
    REQUIRE_OK(sockeye_free(own.net));
    (void)one_port_main;
    return 0;
}
