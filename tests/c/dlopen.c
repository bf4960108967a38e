/* A plugin's life: the library is opened while the program runs, used, and closed, ten times over.
   A thread of the host that has called into it lives on and ends after the dlclose: whatever the
   library keeps for a thread must still be there when the thread tidies up.

   It opens a copy of the library, for the one this program is linked with is loaded anyway. */
#include "harness.h"

#include <dlfcn.h>
#include <pthread.h>

static char copy_path[] = "/tmp/sockeye-test-XXXXXX";

struct api {
    sockeye_status (*init)(const sockeye_config *, sockeye_net **);
    sockeye_status (*listen)(sockeye_net *, const char *, const sockeye_endpoint *,
                             sockeye_listener *);
    sockeye_status (*listener_get_info)(sockeye_net *, sockeye_listener, sockeye_listener_info *,
                                        size_t);
    sockeye_status (*connect)(sockeye_net *, const char *, const sockeye_endpoint *,
                              sockeye_conn *);
    int32_t (*poll_events)(sockeye_net *, sockeye_event *, int32_t, int32_t);
    sockeye_status (*shutdown)(sockeye_net *, int32_t);
    sockeye_status (*free)(sockeye_net *);
    const char *(*last_error)(void);
};

static void copy_library(const char *from)
{
    char buffer[65536];
    size_t got;
    const int to = mkstemp(copy_path);
    FILE *file = fopen(from, "rb");
    REQUIRE(to >= 0 && file != NULL);
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        REQUIRE(write(to, buffer, got) == (ssize_t)got);
    fclose(file);
    close(to);
}

/* A function pointer out of dlsym: C knows no cast for it, its bytes are copied. */
static void find(void *library, const char *name, void *out_function)
{
    void *address = dlsym(library, name);
    REQUIRE(address != NULL);
    memcpy(out_function, &address, sizeof address);
}

static struct api load(void *library)
{
    struct api api;
    find(library, "sockeye_init", &api.init);
    find(library, "sockeye_listen", &api.listen);
    find(library, "sockeye_listener_get_info", &api.listener_get_info);
    find(library, "sockeye_connect", &api.connect);
    find(library, "sockeye_poll_events", &api.poll_events);
    find(library, "sockeye_shutdown", &api.shutdown);
    find(library, "sockeye_free", &api.free);
    find(library, "sockeye_last_error", &api.last_error);
    return api;
}

/* Both ends of a connection open, then everything ends at once. */
static void run_net(const struct api *api)
{
    sockeye_net *net = NULL;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_conn conn;
    sockeye_event event;
    char url[64];
    int32_t opened = 0, closed = 0, count;
    REQUIRE(api->init(NULL, &net) == SOCKEYE_OK);
    REQUIRE(api->listen(net, "tcp://127.0.0.1:0", NULL, &door) == SOCKEYE_OK);
    REQUIRE(api->listener_get_info(net, door, &info, sizeof info) == SOCKEYE_OK);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%" PRIu32, info.port);
    REQUIRE(api->connect(net, url, NULL, &conn) == SOCKEYE_OK);
    while (opened < 2) {
        REQUIRE(api->poll_events(net, &event, 1, HARNESS_DEADLINE_MS) == 1);
        opened += event.kind == SOCKEYE_EVENT_OPENED;
    }
    REQUIRE(api->shutdown(net, 1000) == SOCKEYE_OK);
    while ((count = api->poll_events(net, &event, 1, 0)) == 1)
        closed += event.kind == SOCKEYE_EVENT_CLOSED;
    REQUIRE(count == SOCKEYE_ERR_SHUTDOWN && closed == 2);
    REQUIRE(api->free(net) == SOCKEYE_OK);
}

struct guest {
    const struct api *api;
    pthread_barrier_t called, unloaded;
};

/* A thread of the host: calls in so that the library keeps something for it, and outlives it. */
static void *visit(void *argument)
{
    struct guest *guest = (struct guest *)argument;
    sockeye_conn conn;
    REQUIRE(guest->api->connect(NULL, "tcp://127.0.0.1:1", NULL, &conn) == SOCKEYE_ERR_INVALID);
    REQUIRE(guest->api->init(NULL, NULL) == SOCKEYE_ERR_INVALID);
    REQUIRE(guest->api->last_error()[0] != 0);
    run_net(guest->api);
    pthread_barrier_wait(&guest->called);
    pthread_barrier_wait(&guest->unloaded);
    return NULL;
}

int main(int argc, char **argv)
{
    harness_watchdog();
    REQUIRE_INT(2, argc);
    copy_library(argv[1]);
    for (int round = 0; round < 10; round++) {
        void *library = dlopen(copy_path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) fprintf(stderr, "%s\n", dlerror());
        REQUIRE(library != NULL);
        const struct api api = load(library);
        struct guest guest;
        pthread_t thread;
        guest.api = &api;
        pthread_barrier_init(&guest.called, NULL, 2);
        pthread_barrier_init(&guest.unloaded, NULL, 2);
        REQUIRE_INT(0, pthread_create(&thread, NULL, visit, &guest));
        run_net(&api);
        pthread_barrier_wait(&guest.called);
        REQUIRE_INT(0, dlclose(library));
        pthread_barrier_wait(&guest.unloaded);
        REQUIRE_INT(0, pthread_join(thread, NULL)); /* it has tidied up, or crashed */
        pthread_barrier_destroy(&guest.called);
        pthread_barrier_destroy(&guest.unloaded);
    }
    unlink(copy_path);
    return 0;
}
