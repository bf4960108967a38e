/* An echo server on the model that is named, for `cargo xtask windows --rates`: says its port, and
   serves until its standard input ends. Without a name: says the models there are. */
#include "sockeye.h"

#include <stdio.h>
#include <windows.h>

static volatile LONG running = 1;

static DWORD WINAPI wait_for_the_end(void *unused)
{
    (void)unused;
    while (getchar() != EOF) {
    }
    InterlockedExchange(&running, 0);
    return 0;
}

static void name_models(void)
{
    for (uint32_t model = SOCKEYE_MODEL_BLOCKING; model <= SOCKEYE_MODEL_IOCP; model++) {
        sockeye_model_info info;
        if (sockeye_model_probe(model, &info, sizeof info) >= 0 && info.available)
            puts((const char *)info.name);
    }
}

static int serve(uint32_t model)
{
    sockeye_config config;
    sockeye_net *net;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_event events[256];
    int32_t count;
    sockeye_config_init(&config, sizeof config);
    config.model = model;
    if (sockeye_init(&config, &net) < 0
        || sockeye_listen(net, "tcp://127.0.0.1:0", NULL, &door) < 0
        || sockeye_listener_get_info(net, door, &info, sizeof info) < 0) {
        fprintf(stderr, "%s\n", sockeye_last_error());
        return 1;
    }
    printf("%u\n", info.port);
    fflush(stdout);
    CloseHandle(CreateThread(NULL, 0, wait_for_the_end, NULL, 0, NULL));
    while (running && (count = sockeye_poll_events(net, events, 256, 100)) >= 0) {
        for (int32_t i = 0; i < count; i++)
            if (events[i].kind == SOCKEYE_EVENT_BYTES
                && sockeye_send(net, events[i].conn, events[i].data, events[i].data_len) < 0)
                sockeye_close(net, events[i].conn, SOCKEYE_CLOSE_RESET);
    }
    sockeye_shutdown(net, 0);
    return sockeye_free(net) < 0;
}

int main(int argc, char **argv)
{
    uint32_t model;
    if (argc < 2) {
        name_models();
        return 0;
    }
    if (sockeye_model_from_name(argv[1], &model) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], sockeye_last_error());
        return 1;
    }
    return serve(model);
}
