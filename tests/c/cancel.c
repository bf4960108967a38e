/* pthread_cancel of a thread inside a call of the library waits until that call returns: nothing of
   the library is unwound, the process lives, and so does the net. */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h> /* C11, which every compiler here has */

#ifndef __linux__
int main(void) { return 0; }
#else

typedef struct caller {
    sockeye_net *net;
    sockeye_conn conn;
    atomic_int calls;
    int how;
} caller;

/* Polls that wait and polls that look, flushes and sends, until it is cancelled. */
static void *call(void *given)
{
    caller *self = (caller *)given;
    sockeye_event events[16];
    for (;;) {
        if (self->how == 2) {
            (void)!sockeye_send(self->net, self->conn, (const uint8_t *)"x", 1);
            (void)!sockeye_flush(self->net);
        } else {
            const int32_t timeout = self->how ? 0 : 20;
            const int32_t count = sockeye_poll_events(self->net, events, 16, timeout);
            REQUIRE(count >= 0);
        }
        atomic_fetch_add(&self->calls, 1);
        pthread_testcancel();
    }
    return NULL;
}

static void check(uint32_t model, uint32_t drive, uint32_t workers)
{
    sockeye_config config;
    sockeye_net *net;
    char url[64];
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    config.drive = drive;
    config.workers = workers;
    if (sockeye_init(&config, &net) != SOCKEYE_OK) return; /* not to be had here */
    sockeye_conn client, server;
    harness_listen(net, "", NULL, url);
    /* A model that is bound to a thread belongs to the one that polls first. */
    const int bound = model == SOCKEYE_MODEL_IO_URING && workers == 0;
    if (!bound) harness_pair(net, url, NULL, &client, &server);
    for (int how = 0; how < (bound ? 1 : 3); how++) {
        for (int round = 0; round < 10; round++) {
            caller self = {.net = net, .how = how};
            pthread_t thread;
            void *answer = NULL;
            if (!bound) self.conn = client;
            const int64_t deadline = harness_deadline();
            REQUIRE_INT(0, pthread_create(&thread, NULL, call, &self));
            while (atomic_load(&self.calls) < 1 + round % 3) harness_breathe(deadline);
            REQUIRE_INT(0, pthread_cancel(thread));
            REQUIRE_INT(0, pthread_join(thread, &answer));
            REQUIRE(answer == PTHREAD_CANCELED);
            if (bound) break;
        }
    }
    if (!bound) {
        sockeye_event events[16];
        REQUIRE_OK(sockeye_post(net, 0, 7, 7));
        const int64_t deadline = harness_deadline();
        for (int told = 0; !told;) {
            const int32_t count = sockeye_poll_events(net, events, 16, 100);
            REQUIRE(count >= 0);
            for (int32_t at = 0; at < count; at++) told |= events[at].detail == 7;
            harness_breathe(deadline);
        }
    }
    REQUIRE_OK(sockeye_shutdown(net, 0));
    REQUIRE_OK(sockeye_free(net));
}

int main(void)
{
    static const uint32_t models[] = {SOCKEYE_MODEL_EPOLL, SOCKEYE_MODEL_POLL,
        SOCKEYE_MODEL_SELECT, SOCKEYE_MODEL_TOKIO, SOCKEYE_MODEL_BLOCKING, SOCKEYE_MODEL_IO_URING,
        SOCKEYE_MODEL_KQUEUE};
    for (size_t at = 0; at < sizeof models / sizeof *models; at++) {
        check(models[at], SOCKEYE_DRIVE_POOL, 1);
        check(models[at], SOCKEYE_DRIVE_LEND, 1);
        check(models[at], SOCKEYE_DRIVE_HOST, 1);
        check(models[at], SOCKEYE_DRIVE_HOST, 0);
    }
    return 0;
}
#endif
