/* A client of the C# server: several connections send many messages each, one behind the other,
   and want each of them back as it was.   client URL */
#include "harness.h"

enum { CONNECTIONS = 3, MESSAGES = 300, LARGEST = 70000 };

static uint8_t expected[LARGEST];

/* What the n-th message of a connection has: sizes go up and down, a few are large, some empty. */
static size_t fill(uint32_t connection, uint32_t n)
{
    const size_t size = n % 100 == 99 ? LARGEST - n : n % 7 * 31;
    for (size_t i = 0; i < size; i++) expected[i] = (uint8_t)(connection * 17 + n + i);
    return size;
}

int main(int argc, char **argv)
{
    harness_watchdog();
    REQUIRE(argc == 2);
    sockeye_net *net;
    sockeye_conn conns[CONNECTIONS];
    uint32_t answers[CONNECTIONS] = {0}, closed = 0;
    REQUIRE_OK(sockeye_init(NULL, &net));
    for (uint32_t c = 0; c < CONNECTIONS; c++) {
        sockeye_endpoint endpoint;
        REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
        endpoint.user_data = c;
        REQUIRE_OK(sockeye_connect(net, argv[1], &endpoint, &conns[c]));
        for (uint32_t n = 0; n < MESSAGES; n++) {
            const size_t size = fill(c, n);
            REQUIRE_OK(sockeye_send(net, conns[c], expected, size));
        }
    }
    while (closed < CONNECTIONS) {
        const sockeye_event event = harness_next(net, 0);
        const uint32_t c = (uint32_t)event.user_data;
        if (event.kind == SOCKEYE_EVENT_MESSAGE) {
            REQUIRE_INT(fill(c, answers[c]), event.data_len);
            REQUIRE(event.data_len == 0 || memcmp(expected, event.data, event.data_len) == 0);
            if (++answers[c] == MESSAGES) REQUIRE_OK(sockeye_close(net, event.conn, 0));
        } else if (event.kind == SOCKEYE_EVENT_CLOSED) {
            REQUIRE_INT(SOCKEYE_CAUSE_HOST, event.cause);
            REQUIRE_INT(MESSAGES, answers[c]);
            closed++;
        }
    }
    REQUIRE_OK(sockeye_free(net));
    return 0;
}
