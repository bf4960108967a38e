/* A host with a loop of its own and no thread at all: poll(2) over the wait handle and a pipe of
   the host's. It answers real clients, which know nothing of the library, and hears of its timer;
   while nothing happens it sleeps. */
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { CLIENTS = 8, ROUNDS = 50 };

struct world {
    uint16_t port;
    int done; /* the pipe's end for writing: a byte for each client that has ended */
};

/* Sends lines and reads each one back. */
static void *be_client(void *user)
{
    const struct world *world = (const struct world *)user;
    struct sockaddr_in address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(world->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(fd >= 0);
    REQUIRE_INT(0, connect(fd, (const struct sockaddr *)&address, sizeof address));
    for (int round = 0; round < ROUNDS; round++) {
        char sent[64], got[64];
        const int len = snprintf(sent, sizeof sent, "round %d", round);
        REQUIRE_INT(len, send(fd, sent, (size_t)len, 0));
        REQUIRE_INT(len, recv(fd, got, (size_t)len, MSG_WAITALL));
        REQUIRE_INT(0, memcmp(sent, got, (size_t)len));
    }
    close(fd);
    REQUIRE_INT(1, write(world->done, "x", 1));
    return NULL;
}

struct counts {
    int opened, closed, timers;
};

/* All that there is to do, until a poll answers 0. */
static void drain(sockeye_net *net, struct counts *counts)
{
    sockeye_event events[16];
    int32_t count;
    while ((count = sockeye_poll_events(net, events, 16, 0)) > 0) {
        for (int32_t i = 0; i < count; i++) {
            counts->opened += events[i].kind == SOCKEYE_EVENT_OPENED;
            counts->closed += events[i].kind == SOCKEYE_EVENT_CLOSED;
            counts->timers += events[i].kind == SOCKEYE_EVENT_TIMER;
            if (events[i].kind == SOCKEYE_EVENT_BYTES)
                REQUIRE_OK(
                    sockeye_send(net, events[i].conn, events[i].data, events[i].data_len));
        }
    }
    REQUIRE_INT(0, count);
}

/* How often poll(2) returned, until the host's pipe has so many bytes and so many timers came. */
static int serve(sockeye_net *net, int handle, int host, int bytes, int timers,
                 struct counts *counts)
{
    const int64_t deadline = harness_deadline();
    int wakes = 0;
    while (bytes > 0 || counts->timers < timers || counts->closed < counts->opened) {
        struct pollfd waits[2] = {{handle, POLLIN, 0}, {host, POLLIN, 0}};
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE(poll(waits, 2, HARNESS_DEADLINE_MS) > 0);
        wakes++;
        if (waits[0].revents != 0) {
            REQUIRE_INT(POLLIN, waits[0].revents);
            drain(net, counts);
        }
        if (waits[1].revents != 0) {
            char byte;
            REQUIRE_INT(1, read(host, &byte, 1));
            bytes--;
        }
    }
    return wakes;
}

static void run(uint32_t model)
{
    sockeye_net *net = harness_open(model, SOCKEYE_DRIVE_HOST, 0);
    sockeye_listener_info info;
    struct counts counts = {0, 0, 0};
    struct world world;
    sockeye_timer far, near;
    pthread_t clients[CLIENTS];
    char url[64];
    int ends[2];
    intptr_t handle;
    REQUIRE_OK(sockeye_wait_handle(net, 0, &handle));
    REQUIRE_INT(0, pipe(ends));
    REQUIRE_OK(sockeye_listener_get_info(net, harness_listen(net, "", NULL, url), &info,
                                         sizeof info));
    world.port = (uint16_t)info.port;
    world.done = ends[1];
    for (int i = 0; i < CLIENTS; i++)
        REQUIRE_INT(0, pthread_create(&clients[i], NULL, be_client, &world));
    serve(net, (int)handle, ends[0], CLIENTS, 0, &counts);
    REQUIRE_INT(CLIENTS, counts.opened);
    for (int i = 0; i < CLIENTS; i++) REQUIRE_INT(0, pthread_join(clients[i], NULL));

    /* One timer is due, the other far away: poll(2) returns for the first, not again and again. */
    REQUIRE_OK(sockeye_timer_start(net, 0, 3600000, 0, 1, &far));
    const int64_t begun = harness_now_ms();
    REQUIRE_OK(sockeye_timer_start(net, 0, 200, 0, 2, &near));
    const int wakes = serve(net, (int)handle, ends[0], 0, 1, &counts);
    REQUIRE(harness_now_ms() - begun >= 199); /* whose clock counts whole milliseconds */
    REQUIRE(wakes <= 6);
    harness_close_live(net, 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    static const uint32_t models[] = {SOCKEYE_MODEL_EPOLL, SOCKEYE_MODEL_IO_URING};
    intptr_t handle;
    harness_watchdog();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sockeye_model_info info;
        REQUIRE_OK(sockeye_model_probe(models[i], &info, sizeof info));
        if (info.available) run(models[i]);
    }
    sockeye_net *net = harness_open(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_HOST, 0);
    REQUIRE_STATUS(SOCKEYE_ERR_UNSUPPORTED, sockeye_wait_handle(net, 0, &handle));
    REQUIRE(strstr(sockeye_last_error(), "poll") != NULL);
    harness_close(net);
    return 0;
}
