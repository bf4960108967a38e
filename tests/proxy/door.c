/* A server behind proxies: says to each peer that has sent something who it is and which proxy it
   came by, and closes.   door DENIED
   It believes 127.0.0.1 and lets in all but the address DENIED. Its first line is its port; then it
   has a line for each connection that opens. */
#include <stdio.h>
#include <string.h>
#include "sockeye.h"

static int fail(const char *what, sockeye_status status)
{
    fprintf(stderr, "door: %s: %s (%s)\n", what, sockeye_last_error(), sockeye_status_text(status));
    return 1;
}

static int describe(sockeye_net *net, sockeye_conn conn, char *line, size_t size)
{
    char peer[80], proxy[80] = "none";
    sockeye_conn_info info;
    if (sockeye_conn_get_info(net, conn, &info, sizeof info) < 0) return 0;
    sockeye_address_format(&info.peer, peer, sizeof peer);
    if (info.proxy.family != 0) sockeye_address_format(&info.proxy, proxy, sizeof proxy);
    return snprintf(line, size, "peer %s proxy %s\n", peer, proxy);
}

int main(int argc, char **argv)
{
    sockeye_net *net;
    sockeye_status status = sockeye_init(NULL, &net);
    if (status < 0) return fail("init", status);
    sockeye_guard_rule rule;
    memset(&rule, 0, sizeof rule);
    if (argc != 2 || (status = sockeye_address_parse(argv[1], &rule.address)) < 0) return 2;
    rule.prefix_bits = 32;
    rule.action = SOCKEYE_GUARD_DENY;
    if ((status = sockeye_guard_set(net, &rule, 1)) < 0) return fail("rule", status);

    sockeye_prefix proxies;
    memset(&proxies, 0, sizeof proxies);
    sockeye_address_parse("127.0.0.1", &proxies.address);
    proxies.prefix_bits = 32;
    sockeye_guard guard;
    sockeye_guard_init(&guard, sizeof guard);
    guard.proxy_from = &proxies;
    guard.proxy_from_count = 1;
    sockeye_endpoint endpoint;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.guard = &guard;
    sockeye_listener door;
    status = sockeye_listen(net, "tcp://127.0.0.1:0", &endpoint, &door);
    if (status < 0) return fail("listen", status);
    sockeye_listener_info info;
    sockeye_listener_get_info(net, door, &info, sizeof info);
    printf("%u\n", info.port);
    fflush(stdout);

    for (;;) {
        sockeye_event events[64];
        const int32_t count = sockeye_poll_events(net, events, 64, -1);
        if (count < 0) return fail("poll", count);
        for (int32_t i = 0; i < count; i++) {
            char line[200];
            const int len = describe(net, events[i].conn, line, sizeof line);
            if (events[i].kind == SOCKEYE_EVENT_OPENED) {
                fputs(line, stdout);
                fflush(stdout);
            } else if (events[i].kind == SOCKEYE_EVENT_BYTES) {
                sockeye_close_with(net, events[i].conn, SOCKEYE_CLOSE_GRACEFUL, line, (size_t)len);
            }
        }
    }
}
