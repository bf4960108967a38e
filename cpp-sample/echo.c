/* An echo server: each message goes back to where it came from.   echo [URL] */
#include <signal.h>
#include <stdio.h>
#include "sockeye.h"

static volatile sig_atomic_t running = 1;
static void on_signal(int number)
{
    running = number == 0;
}

static int fail(const char *what, sockeye_status status)
{
    fprintf(stderr, "echo: %s: %s (%s)\n", what, sockeye_last_error(), sockeye_status_text(status));
    return 1;
}

/* A peer that sends and does not read is not read either (gate_reads). What was read before is a
   queue full at most, and the outbox has room for it: ERR_AGAIN here means that memory is short. */
static void echo(sockeye_net *net, const sockeye_event *event)
{
    sockeye_status status = sockeye_send(net, event->conn, event->data, event->data_len);
    if (status < 0 && status != SOCKEYE_ERR_CLOSED) {
        fprintf(stderr, "echo: send: %s\n", sockeye_status_text(status));
        sockeye_close(net, event->conn, SOCKEYE_CLOSE_RESET);
    }
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7777?frame=u32be";
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    sockeye_config config;
    sockeye_config_init(&config, sizeof config);
    config.queue_max_bytes = 1 << 20;
    sockeye_net *net;
    sockeye_status status = sockeye_init(&config, &net);
    if (status < 0) return fail("init", status);
    sockeye_endpoint endpoint;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.gate_reads = 1;
    endpoint.outbox_low_bytes = 32 << 10;
    endpoint.outbox_max_bytes = 4 << 20;
    sockeye_listener door;
    if ((status = sockeye_listen(net, url, &endpoint, &door)) < 0) return fail(url, status);
    sockeye_listener_info info;
    sockeye_listener_get_info(net, door, &info, sizeof info);
    fprintf(stderr, "echo: listening on port %u\n", info.port);
    sockeye_event events[256];
    while (running) { /* a signal does not end a poll, so the poll ends by itself now and then */
        int32_t count = sockeye_poll_events(net, events, 256, 250);
        if (count < 0) return fail("poll", count);
        for (int32_t i = 0; i < count; i++)
            if (events[i].kind == SOCKEYE_EVENT_MESSAGE) echo(net, &events[i]);
    }
    sockeye_shutdown(net, 2000);
    return sockeye_free(net) < 0;
}
