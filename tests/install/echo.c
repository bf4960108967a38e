/* A host of an installed Sockeye: a door, a connection to it, and a message there and back over
   loopback. What is asked of it is that it was found, compiled, linked and started. */
#include <sockeye.h>
#include <stdio.h>
#include <string.h>

static const uint8_t WORDS[] = "there and back";

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sockeye_last_error());
    return 1;
}

/* The server's end sends the message back; the client's end has it again: 1. */
static int took(sockeye_net *net, const sockeye_event *event, sockeye_conn client)
{
    if (event->kind != SOCKEYE_EVENT_MESSAGE) return 0;
    if (event->conn.id == client.id)
        return event->data_len == sizeof WORDS && memcmp(event->data, WORDS, sizeof WORDS) == 0;
    return sockeye_send(net, event->conn, event->data, event->data_len) < 0 ? -1 : 0;
}

static int converse(sockeye_net *net)
{
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_conn client;
    sockeye_event events[16];
    char url[64];
    if (sockeye_listen(net, "tcp://127.0.0.1:0?frame=u32be", NULL, &door) < 0 ||
        sockeye_listener_get_info(net, door, &info, sizeof info) < 0)
        return fail("listen");
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u?frame=u32be", (unsigned)info.port);
    if (sockeye_connect(net, url, NULL, &client) < 0 ||
        sockeye_send(net, client, WORDS, sizeof WORDS) < 0)
        return fail("connect");
    for (int polls = 0; polls < 200; polls++) { /* of 100 ms: 20 s */
        int32_t count = sockeye_poll_events(net, events, 16, 100);
        if (count < 0) return fail("poll");
        for (int32_t i = 0; i < count; i++) {
            int done = took(net, &events[i], client);
            if (done != 0) return done < 0 ? fail("send") : 0;
        }
    }
    return fail("no echo");
}

int main(void)
{
    sockeye_net *net;
    if (sockeye_abi_version() != SOCKEYE_ABI_VERSION) return fail("another library");
    if (sockeye_init(NULL, &net) < 0) return fail("init");
    int failed = converse(net);
    return sockeye_free(net) < 0 || failed;
}
