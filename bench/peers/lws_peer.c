/* WebSocket by libwebsockets with its own loop, which is of poll(2), in one thread and without
   extensions. Its rule is that a program writes when it is told that it may: an echo waits in its
   connection until then. The receive buffer takes the largest message of the load in one piece, and
   the memory of an answer stays with its connection. */
#include "peer.h"
#include <libwebsockets.h>

enum { RECEIVED = 32768 };

/* Of a connection: the answer that waits; of broadcasts, the next one that it is to get. */
struct session {
    uint8_t *data;
    size_t size, room;
    uint64_t next;
    bool joined;
};

static struct options options;
/* The messages of the last tick, each with room in front of it for the library. */
static uint8_t *messages;
static size_t stride;
/* Of the first of them, and of the one behind the last. */
static uint64_t first, end;
static uint64_t missed;

static int received(struct lws *conn, struct session *session, const void *data, size_t size)
{
    if (session->room < session->size + size) {
        session->room = session->size + size;
        session->data = need(realloc(session->data, LWS_PRE + session->room));
    }
    memcpy(session->data + LWS_PRE + session->size, data, size);
    session->size += size;
    if (lws_is_final_fragment(conn) && !lws_remaining_packet_payload(conn))
        lws_callback_on_writable(conn);
    return 0;
}

static int writable(struct lws *conn, struct session *session)
{
    if (options.job == JOB_ECHO) {
        size_t size = session->size;
        /* The library asks too when it has written what a socket had no room for. */
        if (!size) return 0;
        session->size = 0;
        return lws_write(conn, session->data + LWS_PRE, size, LWS_WRITE_BINARY) < (int)size;
    }
    if (session->next < first) {
        missed += first - session->next;
        session->next = first;
    }
    if (session->next >= end) return 0;
    uint8_t *message = messages + (session->next - first) * stride + LWS_PRE;
    if (lws_write(conn, message, options.size, LWS_WRITE_BINARY) < (int)options.size) return -1;
    if (++session->next < end) lws_callback_on_writable(conn);
    return 0;
}

static int on_event(struct lws *conn, enum lws_callback_reasons why, void *user, void *data,
                    size_t size)
{
    struct session *session = user;
    switch (why) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(session, 0, sizeof *session);
        session->next = end;
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return options.job == JOB_ECHO ? received(conn, session, data, size) : 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return writable(conn, session);
    case LWS_CALLBACK_CLOSED:
        free(session->data);
        return 0;
    default:
        return lws_callback_http_dummy(conn, why, user, data, size);
    }
}

static const struct lws_protocols PROTOCOLS[] = {
    {.name = "bench",
     .callback = on_event,
     .per_session_data_size = sizeof(struct session),
     .rx_buffer_size = RECEIVED},
    {.name = NULL},
};

static void broadcast(struct lws_context *context, uint64_t tick, uint64_t intended)
{
    first = tick * options.burst;
    end = first + options.burst;
    for (uint32_t i = 0; i < options.burst; i++)
        broadcast_message(messages + i * stride + LWS_PRE, options.size, first + i, intended);
    lws_callback_on_writable_all_protocol(context, &PROTOCOLS[0]);
}

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", NULL};
    struct lws_context_creation_info how;
    struct ticker ticker;
    char facts[64];
    options_read(&options, argc, argv, FORMS);
    if (options.job == JOB_TICK) usage("it has no --job tick", FORMS);
    peer_start();
    thread_name("game");
    lws_set_log_level(LLL_ERR, NULL);
    memset(&how, 0, sizeof how);
    how.iface = "127.0.0.1";
    how.port = 0;
    how.protocols = PROTOCOLS;
    how.pt_serv_buf_size = RECEIVED;
    how.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    struct lws_context *context = lws_create_context(&how);
    if (!context) die("context");
    struct lws_vhost *host = lws_create_vhost(context, &how);
    if (!host) die("listen");
    snprintf(facts, sizeof facts, "libwebsockets=%s", LWS_LIBRARY_VERSION);
    peer_listening((unsigned)lws_get_vhost_listen_port(host), facts);
    while (options.job == JOB_ECHO) lws_service(context, 0);
    stride = LWS_PRE + options.size;
    messages = need(calloc(options.burst, stride));
    ticker_start(&ticker, options.period_ms);
    for (;;) {
        uint64_t intended = ticker_sleep(&ticker);
        /* With a negative time it does not wait. Once for those that come, once to write. */
        lws_service(context, -1);
        broadcast(context, ticker.number, intended);
        for (uint32_t i = 0; i < options.burst; i++) lws_service(context, -1);
    }
}
