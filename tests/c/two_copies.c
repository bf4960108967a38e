/* Two copies of the library in one process, as when two plugins bring their own: each has its own
   nets, threads and words, a handle of one means nothing to the other, they talk to each other over
   a socket like any two programs, and the end of one leaves the other alone. */
#include "harness.h"

#include <dlfcn.h>

struct copy {
    sockeye_status (*init)(const sockeye_config *, sockeye_net **);
    sockeye_status (*connect)(sockeye_net *, const char *, const sockeye_endpoint *,
                              sockeye_conn *);
    sockeye_status (*send)(sockeye_net *, sockeye_conn, const uint8_t *, size_t);
    int32_t (*poll_events)(sockeye_net *, sockeye_event *, int32_t, int32_t);
    sockeye_status (*free)(sockeye_net *);
    const char *(*last_error)(void);
};

/* A function pointer out of dlsym: C knows no cast for it, its bytes are copied. */
static void find(void *library, const char *name, void *out_function)
{
    void *address = dlsym(library, name);
    REQUIRE(address != NULL);
    memcpy(out_function, &address, sizeof address);
}

static struct copy load(const char *path)
{
    char name[] = "/tmp/sockeye-test-XXXXXX", buffer[65536];
    struct copy copy;
    size_t got;
    const int to = mkstemp(name);
    FILE *from = fopen(path, "rb");
    REQUIRE(to >= 0 && from != NULL);
    while ((got = fread(buffer, 1, sizeof buffer, from)) > 0)
        REQUIRE(write(to, buffer, got) == (ssize_t)got);
    fclose(from);
    close(to);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    unlink(name);
    REQUIRE(library != NULL);
    find(library, "sockeye_init", &copy.init);
    find(library, "sockeye_connect", &copy.connect);
    find(library, "sockeye_send", &copy.send);
    find(library, "sockeye_poll_events", &copy.poll_events);
    find(library, "sockeye_free", &copy.free);
    find(library, "sockeye_last_error", &copy.last_error);
    REQUIRE(copy.init != sockeye_init); /* not the one we are linked with */
    return copy;
}

static sockeye_event next_of(const struct copy *copy, sockeye_net *net, uint32_t kind)
{
    sockeye_event event;
    REQUIRE_INT(1, copy->poll_events(net, &event, 1, HARNESS_DEADLINE_MS));
    REQUIRE_INT(kind, event.kind);
    return event;
}

int main(int argc, char **argv)
{
    sockeye_net *theirs = NULL;
    sockeye_conn client;
    sockeye_event event;
    char url[64];
    harness_watchdog();
    REQUIRE_INT(2, argc);
    const struct copy other = load(argv[1]);
    sockeye_net *ours = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    REQUIRE(other.init(NULL, &theirs) == SOCKEYE_OK);

    /* Words are each one's own. */
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_connect(ours, "nonsense", NULL, &client));
    REQUIRE(sockeye_last_error()[0] != 0 && other.last_error()[0] == 0);

    harness_listen(ours, "?frame=u32be", NULL, url);
    REQUIRE(other.connect(theirs, url, NULL, &client) == SOCKEYE_OK);
    next_of(&other, theirs, SOCKEYE_EVENT_OPENED);
    const sockeye_conn server = harness_expect(ours, SOCKEYE_EVENT_OPENED).conn;
    for (int i = 0; i < 100; i++) {
        REQUIRE(other.send(theirs, client, harness_bytes("hello"), 5) == SOCKEYE_OK);
        event = harness_expect(ours, SOCKEYE_EVENT_MESSAGE);
        REQUIRE_OK(sockeye_send(ours, server, event.data, event.data_len));
        event = next_of(&other, theirs, SOCKEYE_EVENT_MESSAGE);
        REQUIRE(harness_is_text(&event, "hello"));
    }

    /* One of them goes; the other is told of it by the network alone, and goes on. */
    REQUIRE(other.free(theirs) == SOCKEYE_OK);
    event = harness_expect(ours, SOCKEYE_EVENT_CLOSED);
    REQUIRE(event.cause == SOCKEYE_CAUSE_RESET || event.cause == SOCKEYE_CAUSE_PEER);
    sockeye_conn own_client, own_server;
    harness_pair(ours, url, NULL, &own_client, &own_server);
    harness_close_live(ours, 2);
    return 0;
}
