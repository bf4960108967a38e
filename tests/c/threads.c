/* The hook for threads: each of the library's starts and ends in it, on itself, with its name; it
   is set while no net lives. */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h> /* C11, which every compiler here has */

static atomic_int starts, ends, workers, receivers;
static int user;
static pthread_t host;
static __thread int here;

static void on_thread(void *given, uint32_t moment, const char *name)
{
    REQUIRE(given == &user && !pthread_equal(pthread_self(), host));
    if (moment == SOCKEYE_THREAD_STARTS) {
        REQUIRE_INT(0, here);
        here = 1;
        atomic_fetch_add(&starts, 1);
        if (strcmp(name, "sockeye-0") == 0) atomic_fetch_add(&workers, 1);
        if (strcmp(name, "sockeye-recv") == 0) atomic_fetch_add(&receivers, 1);
    } else {
        REQUIRE_INT(SOCKEYE_THREAD_ENDS, moment);
        REQUIRE_INT(1, here);
        here = 0;
        atomic_fetch_add(&ends, 1);
    }
}

static void play(uint32_t model)
{
    sockeye_config config;
    sockeye_net *net;
    sockeye_conn client, server;
    char url[64];
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    REQUIRE_OK(sockeye_init(&config, &net));
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_set_thread_hook(NULL, NULL));
    harness_listen(net, "?frame=u32be", NULL, url);
    harness_pair(net, url, NULL, &client, &server);
    REQUIRE_OK(harness_send_text(net, client, "hello"));
    harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE_OK(sockeye_free(net));
}

int main(void)
{
    harness_watchdog();
    host = pthread_self();
    REQUIRE_OK(sockeye_set_thread_hook(on_thread, &user));
    play(SOCKEYE_MODEL_EPOLL);
    REQUIRE(atomic_load(&workers) == 1 && atomic_load(&receivers) == 0);
    play(SOCKEYE_MODEL_BLOCKING);
    REQUIRE(atomic_load(&workers) == 2 && atomic_load(&receivers) >= 3);
    /* A free joins them all. */
    REQUIRE_INT(atomic_load(&starts), atomic_load(&ends));
    const int before = atomic_load(&starts);
    REQUIRE_OK(sockeye_set_thread_hook(NULL, NULL));
    play(SOCKEYE_MODEL_EPOLL);
    REQUIRE_INT(before, atomic_load(&starts));
    return 0;
}
