/* An echo over WebSockets for other people's tests: text comes back as text, all else as bytes.
     echo serve URL           says its port, and echoes to whoever comes, until it is killed
     echo autobahn URL NAME   a client of Autobahn's fuzzing server at URL: asks how many cases
                              there are, echoes in each, and asks for the report */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sockeye.h"

enum { PATIENCE_MS = 30000, FRAME_MAX = 17 << 20 };

static int fail(const char *what, sockeye_status status)
{
    fprintf(stderr, "echo: %s: %s (%s)\n", what, sockeye_last_error(), sockeye_status_text(status));
    return 1;
}

static void endpoint_of_echo(sockeye_endpoint *endpoint)
{
    sockeye_endpoint_init(endpoint, sizeof *endpoint);
    endpoint->framing.frame_max_bytes = FRAME_MAX;
    endpoint->outbox_max_bytes = 4 * FRAME_MAX;
}

static void echo(sockeye_net *net, const sockeye_event *event)
{
    sockeye_bytes whole;
    sockeye_message message;
    sockeye_status status;
    whole.data = event->data;
    whole.len = event->data_len;
    sockeye_message_init(&message, sizeof message);
    message.flags = event->flags & SOCKEYE_FLAG_TEXT ? SOCKEYE_MESSAGE_TEXT : 0;
    message.parts = &whole;
    message.parts_count = 1;
    if (sockeye_send_message(net, &event->conn, 1, &message, &status) < 0) abort();
    if (status < 0 && status != SOCKEYE_ERR_CLOSED) fail("send", status);
}

static int serve(sockeye_net *net, const char *url)
{
    sockeye_endpoint endpoint;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_event events[64];
    endpoint_of_echo(&endpoint);
    const sockeye_status status = sockeye_listen(net, url, &endpoint, &door);
    if (status < 0) return fail(url, status);
    sockeye_listener_get_info(net, door, &info, sizeof info);
    printf("%u\n", info.port);
    fflush(stdout);
    for (;;) {
        const int32_t count = sockeye_poll_events(net, events, 64, -1);
        if (count < 0) return fail("poll", count);
        for (int32_t i = 0; i < count; i++)
            if (events[i].kind == SOCKEYE_EVENT_MESSAGE) echo(net, &events[i]);
    }
}

/* Connects to a path of the fuzzing server and stays until the end of the connection. Its messages
   are echoed, or, with `number`, the first one is read as a number. */
static int visit(sockeye_net *net, const char *url, const char *path, unsigned long *number)
{
    sockeye_http http;
    sockeye_endpoint endpoint;
    sockeye_conn conn;
    sockeye_event events[64];
    sockeye_http_init(&http, sizeof http);
    http.path = path;
    endpoint_of_echo(&endpoint);
    endpoint.http = &http;
    const sockeye_status status = sockeye_connect(net, url, &endpoint, &conn);
    if (status < 0) return fail(path, status);
    for (;;) {
        const int32_t count = sockeye_poll_events(net, events, 64, PATIENCE_MS);
        if (count < 0) return fail("poll", count);
        if (count == 0) return fprintf(stderr, "echo: %s takes too long\n", path), 1;
        for (int32_t i = 0; i < count; i++) {
            if (events[i].conn.id != conn.id) continue;
            if (events[i].kind == SOCKEYE_EVENT_CLOSED) return 0;
            if (events[i].kind != SOCKEYE_EVENT_MESSAGE) continue;
            if (number == NULL) {
                echo(net, &events[i]);
            } else {
                char digits[16] = "";
                if (events[i].data_len < sizeof digits)
                    memcpy(digits, events[i].data, events[i].data_len);
                *number = strtoul(digits, NULL, 10);
            }
        }
    }
}

static int autobahn(sockeye_net *net, const char *url, const char *name)
{
    char path[256];
    unsigned long cases = 0;
    if (visit(net, url, "/getCaseCount", &cases) != 0) return 1;
    if (cases == 0) return fprintf(stderr, "echo: the server has no cases\n"), 1;
    for (unsigned long i = 1; i <= cases; i++) {
        snprintf(path, sizeof path, "/runCase?case=%lu&agent=%s", i, name);
        if (visit(net, url, path, NULL) != 0) return 1;
    }
    snprintf(path, sizeof path, "/updateReports?agent=%s", name);
    return visit(net, url, path, NULL);
}

int main(int argc, char **argv)
{
    sockeye_config config;
    sockeye_net *net;
    sockeye_config_init(&config, sizeof config);
    config.queue_max_bytes = 4 * FRAME_MAX;
    config.memory_max_bytes = (uint64_t)1 << 30;
    const sockeye_status status = sockeye_init(&config, &net);
    if (status < 0) return fail("init", status);
    int result = 2;
    if (argc == 3 && strcmp(argv[1], "serve") == 0) result = serve(net, argv[2]);
    if (argc == 4 && strcmp(argv[1], "autobahn") == 0) result = autobahn(net, argv[2], argv[3]);
    sockeye_shutdown(net, 2000);
    sockeye_free(net);
    return result;
}
