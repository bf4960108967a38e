/* An echo server: each message goes back to where it came from, until the input ends (Ctrl-D).
   cc echo.c $(pkg-config --cflags --libs sockeye) -o echo; ./echo 'tcp://[::]:7777?frame=u32be' */
#include <sockeye.h>
#include <stdio.h>

static void on_event(sockeye_net *net, const sockeye_event *event)
{
    if (event->kind == SOCKEYE_EVENT_MESSAGE) {
        if (sockeye_send(net, event->conn, event->data, event->data_len) < 0)
            sockeye_close(net, event->conn, SOCKEYE_CLOSE_RESET); /* it sends and does not read */
    } else if (event->kind == SOCKEYE_EVENT_CLOSED) {
        printf("closed: %s\n", sockeye_cause_text(event->cause));
        fflush(stdout);
    }
}

static void on_events(void *user, sockeye_net *net, uint32_t queue, const sockeye_event *events,
                      uint32_t count)
{
    (void)user, (void)queue;
    for (uint32_t i = 0; i < count; i++) on_event(net, &events[i]);
}

int main(int argc, char **argv)
{
    sockeye_net *net;
    sockeye_listener door;
    sockeye_listener_info info;
    if (argc < 2 || sockeye_init(NULL, &net) < 0
        || sockeye_set_callback(net, 0, on_events, NULL) < 0
        || sockeye_listen(net, argv[1], NULL, &door) < 0
        || sockeye_listener_get_info(net, door, &info, sizeof info) < 0)
        return fprintf(stderr, "echo: %s\n", argc < 2 ? "no URL" : sockeye_last_error()), 1;
    printf("port %u\n", info.port);
    fflush(stdout);
    while (getchar() != EOF) continue;
    sockeye_shutdown(net, 2000); /* tells what is left */
    return sockeye_free(net) < 0;
}
