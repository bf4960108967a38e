/* Both ends of a connection with lanes in one process, whose packets somebody in between sees: it
   prints its server's port, reads the port to connect to, sends a message of each size in each
   lane, hears them back, and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sockeye.h"

enum { LANES = 3, SIZES = 3, CLIENT = 1, ATTEMPTS = 200 };

static const uint32_t sizes[SIZES] = {5, 700, 20000};

static sockeye_net *net;
static uint8_t data[20000];
static int back, over;

static void demand(const char *what, sockeye_status status)
{
    if (status >= 0) return;
    fprintf(stderr, "talk: %s: %s (%s)\n", what, sockeye_status_text(status), sockeye_last_error());
    exit(1);
}

static void say_all(sockeye_conn conn)
{
    for (uint32_t lane = 0; lane < LANES; lane++)
        for (int i = 0; i < SIZES; i++)
            demand("send", sockeye_send_lane(net, conn, lane, data, sizes[i]));
}

static void on_event(const sockeye_event *event)
{
    if (event->kind == SOCKEYE_EVENT_MESSAGE && event->user_data == CLIENT) {
        back++;
        if (memcmp(event->data, data, event->data_len) != 0) exit(2);
        if (back == LANES * SIZES)
            demand("close", sockeye_close(net, event->conn, SOCKEYE_CLOSE_GRACEFUL));
    } else if (event->kind == SOCKEYE_EVENT_MESSAGE) {
        demand("echo", sockeye_send_lane(net, event->conn, event->code, event->data,
                                         event->data_len));
    } else if (event->kind == SOCKEYE_EVENT_OPENED && event->user_data == CLIENT) {
        say_all(event->conn);
    } else if (event->kind == SOCKEYE_EVENT_CLOSED) {
        over++;
    }
}

int main(void)
{
    char url[64];
    unsigned port;
    sockeye_endpoint endpoint;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_conn conn;
    sockeye_event events[64];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7);
    demand("init", sockeye_init(NULL, &net));
    demand("defaults", sockeye_endpoint_init(&endpoint, sizeof endpoint));
    demand("listen", sockeye_listen(net, "game://127.0.0.1:0?token=open", &endpoint, &door));
    demand("port", sockeye_listener_get_info(net, door, &info, sizeof info));
    printf("%u\n", (unsigned)info.port);
    fflush(stdout);
    if (scanf("%u", &port) != 1) return 3;
    snprintf(url, sizeof url, "game://127.0.0.1:%u?token=open", port);
    endpoint.user_data = CLIENT;
    demand("connect", sockeye_connect(net, url, &endpoint, &conn));
    for (int i = 0; i < ATTEMPTS && over < 2; i++) {
        int32_t count = sockeye_poll_events(net, events, 64, 100);
        demand("poll", count);
        for (int32_t at = 0; at < count; at++) on_event(&events[at]);
    }
    demand("shutdown", sockeye_shutdown(net, 2000));
    demand("free", sockeye_free(net));
    return back == LANES * SIZES ? 0 : 4;
}
