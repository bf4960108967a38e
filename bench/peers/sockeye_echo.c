/* An echo server on Sockeye, to be measured: every message goes back where it came from.
   sockeye_echo [--drive pool|host|lend] [--workers N] [--model NAME] [--flush auto|manual]
                [--framing u32be|raw] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sockeye.h"

enum { EVENTS = 256 };

static const char *const DRIVES[] = {"pool", "lend", "host"};
static const char *const FLUSHES[] = {"auto", "manual"};

static void usage(const char *why)
{
    fprintf(stderr,
            "sockeye_echo: %s\n"
            "sockeye_echo [--drive pool|host|lend] [--workers N] [--model NAME]\n"
            "             [--flush auto|manual] [--framing u32be|raw]\n",
            why);
    exit(2);
}

static void demand(const char *what, sockeye_status status)
{
    if (status >= 0) return;
    fprintf(stderr, "sockeye_echo: %s: %s (%s)\n", what, sockeye_status_text(status),
            sockeye_last_error());
    exit(1);
}

/* The place of `word` in a list of `count`. */
static uint32_t one_of(const char *word, const char *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(word, list[i])) return i;
    usage(word);
    return 0;
}

static const char *options(int argc, char **argv, sockeye_config *config)
{
    const char *framing = "u32be";
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!value) usage("an option without its value");
        if (!strcmp(name, "--drive")) {
            config->drive = one_of(value, DRIVES, 3);
        } else if (!strcmp(name, "--flush")) {
            config->flush = one_of(value, FLUSHES, 2);
        } else if (!strcmp(name, "--workers")) {
            config->workers = (uint32_t)strtoul(value, NULL, 10);
        } else if (!strcmp(name, "--model")) {
            demand(value, sockeye_model_from_name(value, &config->model));
        } else if (!strcmp(name, "--framing")) {
            framing = value;
        } else {
            usage(name);
        }
    }
    return framing;
}

static void open_door(sockeye_net *net, const char *framing)
{
    char url[64];
    sockeye_listener door;
    sockeye_listener_info facts;
    sockeye_net_info info;
    snprintf(url, sizeof url, "tcp://127.0.0.1:0?frame=%s", framing);
    demand(url, sockeye_listen(net, url, NULL, &door));
    demand("port", sockeye_listener_get_info(net, door, &facts, sizeof facts));
    demand("info", sockeye_net_get_info(net, &info, sizeof info));
    printf("listening %u model=%s drive=%s workers=%u\n", (unsigned)facts.port,
           sockeye_model_name(info.model), info.drive < 3 ? DRIVES[info.drive] : "?",
           (unsigned)info.workers);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static sockeye_event events[EVENTS];
    sockeye_config config;
    sockeye_net *net;
    demand("defaults", sockeye_config_init(&config, sizeof config));
    const char *framing = options(argc, argv, &config);
    demand("start", sockeye_init(&config, &net));
    open_door(net, framing);
    for (;;) {
        int32_t count = sockeye_poll_events(net, events, EVENTS, -1);
        demand("poll", count);
        for (int32_t i = 0; i < count; i++) {
            const sockeye_event *event = &events[i];
            if (event->kind != SOCKEYE_EVENT_MESSAGE) continue;
            sockeye_status status = sockeye_send(net, event->conn, event->data, event->data_len);
            /* A peer that left does not want it; any other refusal would lose an echo. */
            if (status != SOCKEYE_ERR_CLOSED && status != SOCKEYE_ERR_STALE) demand("send", status);
        }
    }
}
