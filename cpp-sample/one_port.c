/* One port for people and programs: the first byte decides.   one_port [URL]

   telnet or nc   types lines. "play NAME" goes on in frames, "quit" ends; another line comes back.
   a program      sends the byte 1, then frames: two bytes of length, the low one first, and the
                  payload. Each comes back as a frame.

   No byte behind the one that decides, or behind "play NAME", is cut before the server has said
   how: `step` in the endpoint. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "sockeye.h"

enum { FRAMES_FOLLOW = 1, NAME_MAX_BYTES = 32 };

typedef struct {
    sockeye_net *net;
    sockeye_endpoint first, lines, frames; /* what a connection is, one after the other */
} server;

/* What is not sent is lost, and the client with it: it does not read. */
static void say(const server *to, sockeye_conn conn, const void *data, size_t len)
{
    sockeye_status status = sockeye_send(to->net, conn, data, len);
    if (status < 0 && status != SOCKEYE_ERR_CLOSED)
        sockeye_close(to->net, conn, SOCKEYE_CLOSE_RESET);
}

/* From here on the stream is cut as `with` says; `unread` comes in front of what is to come. */
static void goes_on(const server *of, sockeye_conn conn, const sockeye_endpoint *with,
                    const void *unread, size_t len)
{
    if (with == &of->frames) sockeye_conn_set_user_data(of->net, conn, FRAMES_FOLLOW);
    if (sockeye_conn_configure(of->net, conn, with, unread, len) >= 0) return;
    fprintf(stderr, "one_port: %s\n", sockeye_last_error());
    sockeye_close(of->net, conn, SOCKEYE_CLOSE_RESET);
}

/* All that has arrived so far. What is not used up goes back. */
static void first_bytes(const server *of, const sockeye_event *event)
{
    if (event->data[0] == FRAMES_FOLLOW)
        goes_on(of, event->conn, &of->frames, event->data + 1, event->data_len - 1);
    else
        goes_on(of, event->conn, &of->lines, event->data, event->data_len);
}

static int begins(const sockeye_event *line, const char *word)
{
    return line->data_len >= strlen(word) && memcmp(line->data, word, strlen(word)) == 0;
}

static void line(const server *of, const sockeye_event *event)
{
    if (begins(event, "play ") && event->data_len <= 5 + NAME_MAX_BYTES) {
        say(of, event->conn, "welcome", 7); /* still a line: it was sent before */
        goes_on(of, event->conn, &of->frames, NULL, 0);
    } else if (begins(event, "quit")) {
        sockeye_close_with(of->net, event->conn, SOCKEYE_CLOSE_GRACEFUL, "bye", 3);
    } else {
        say(of, event->conn, event->data, event->data_len);
        sockeye_conn_resume(of->net, event->conn); /* the next line, please */
    }
}

/* A message is a frame where `user_data` says so, and else a line. */
static void on_event(const server *of, const sockeye_event *event)
{
    switch (event->kind) {
    case SOCKEYE_EVENT_OPENED: sockeye_conn_resume(of->net, event->conn); break;
    case SOCKEYE_EVENT_BYTES: first_bytes(of, event); break;
    case SOCKEYE_EVENT_MESSAGE:
        if (sockeye_conn_is_open(of->net, event->conn) != 1) break; /* closed in this very batch */
        if (event->user_data == FRAMES_FOLLOW)
            say(of, event->conn, event->data, event->data_len);
        else
            line(of, event);
        break;
    default: break;
    }
}

/* One poll. Returns: how many events there were, or a status below 0. */
static int32_t turn(const server *of, int32_t timeout_ms)
{
    sockeye_event events[64];
    int32_t count = sockeye_poll_events(of->net, events, 64, timeout_ms);
    for (int32_t i = 0; i < count; i++) on_event(of, &events[i]);
    return count;
}

static sockeye_status open_server(server *made, const char *url, uint32_t *port)
{
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_endpoint_init(&made->first, sizeof made->first);
    made->first.first_byte_timeout_ms = 10000;
    made->first.step = 1; /* RAW: the first bytes, and then it is paused */
    made->first.idle_timeout_ms = 600000;
    made->lines = made->frames = made->first;
    made->lines.framing.kind = SOCKEYE_FRAMING_DELIMITER; /* the end of a line, however typed */
    made->lines.framing.append_delimiter = 1;
    made->lines.framing.frame_max_bytes = 256;
    made->frames.framing.kind = SOCKEYE_FRAMING_LENGTH;
    made->frames.framing.length_bytes = 2;
    made->frames.framing.little_endian = 1;
    made->frames.step = 0; /* from here on it is a stream of messages like any other */
    sockeye_status status = sockeye_init(NULL, &made->net);
    if (status < 0) return status;
    if ((status = sockeye_listen(made->net, url, &made->first, &door)) < 0) return status;
    status = sockeye_listener_get_info(made->net, door, &info, sizeof info);
    *port = info.port;
    return status;
}

static volatile sig_atomic_t running = 1;
static void on_signal(int number)
{
    running = number == 0;
}

int main(int argc, char **argv)
{
    server own = {0};
    uint32_t port = 0;
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7777";
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (open_server(&own, url, &port) < 0)
        return fprintf(stderr, "one_port: %s: %s\n", url, sockeye_last_error()), 1;
    fprintf(stderr, "one_port: listening on port %u\n", port);
    while (running && turn(&own, 250) >= 0) continue;
    sockeye_shutdown(own.net, 2000);
    return sockeye_free(own.net) < 0;
}
