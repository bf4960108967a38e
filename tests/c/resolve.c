/* Names: a host's addresses, the names of an address, one that is unknown, and questions that a
   shutdown ends; with worker threads and without. */
#include "harness.h"

static void check_addresses(sockeye_net *net)
{
    REQUIRE_OK(sockeye_resolve(net, 0, "localhost", "7777", 5));
    const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_RESOLVED);
    REQUIRE(event.cause == 0 && event.os_error == 0 && event.user_data == 5);
    REQUIRE(event.conn.id == 0 && event.listener.id == 0);
    const sockeye_address *found = (const sockeye_address *)(const void *)event.data;
    const size_t count = event.data_len / sizeof *found;
    REQUIRE(count > 0 && event.data_len % sizeof *found == 0);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        REQUIRE_OK(sockeye_address_format_ip(&found[i], text, sizeof text));
        REQUIRE(strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0);
        REQUIRE(found[i].port == 7777);
    }
}

static void check_names(sockeye_net *net)
{
    sockeye_address address;
    REQUIRE_OK(sockeye_address_parse("127.0.0.1:64999", &address));
    REQUIRE_OK(sockeye_resolve_address(net, 0, &address, 6));
    const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_RESOLVED);
    REQUIRE(event.cause == 0 && event.user_data == 6 && event.data_len > 2);
    const char *name = (const char *)event.data, *service = name + strlen(name) + 1;
    REQUIRE(name[0] != 0 && strcmp(service, "64999") == 0);
    REQUIRE_INT(event.data_len, strlen(name) + strlen(service) + 2);
}

/* A label is too long for a name server, so none is asked. */
static void check_unknown(sockeye_net *net)
{
    char name[] = "0123456789012345678901234567890123456789012345678901234567890123.invalid";
    REQUIRE_OK(sockeye_resolve(net, 0, name, NULL, 7));
    memset(name, 'x', sizeof name - 1); /* it was copied */
    const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_RESOLVED);
    REQUIRE_INT(SOCKEYE_CAUSE_RESOLVE, event.cause);
    REQUIRE(event.os_error != 0 && event.user_data == 7);
    REQUIRE(event.data == NULL && event.data_len == 0);
}

int main(void)
{
    harness_watchdog();
    for (uint32_t workers = 0; workers < 2; workers++) {
        const uint32_t drive = workers > 0 ? SOCKEYE_DRIVE_POOL : SOCKEYE_DRIVE_HOST;
        sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, drive, workers);
        check_addresses(net);
        check_names(net);
        check_unknown(net);
        REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_resolve(net, 0, NULL, NULL, 1));
        REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_resolve(net, 0, "localhost", "70000", 1));
        REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_resolve_address(net, 0, NULL, 1));
        for (uint64_t i = 0; i < 50; i++)
            REQUIRE_OK(sockeye_resolve(net, 0, "pending.invalid", NULL, i));
        REQUIRE_OK(sockeye_shutdown(net, 10000));
        REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_resolve(net, 0, "localhost", NULL, 1));
        harness_close(net);
    }
    return 0;
}
