/* The log hook: lines come with their level, inside the host's function calls are answered and a
   shutdown is not a deadlock, and once NULL is set nothing is told any more. */
#include "harness.h"

#include <stdatomic.h> /* C11, which every compiler here has */

typedef struct record {
    sockeye_net *net;
    atomic_int warnings;
    atomic_int lines;
    atomic_int leave; /* the next line takes the function away from inside */
} record;

static void on_line(void *user, uint32_t level, const char *text)
{
    record *seen = (record *)user;
    sockeye_net_stats stats;
    atomic_fetch_add(&seen->lines, 1);
    REQUIRE(level >= SOCKEYE_LOG_ERROR && level <= SOCKEYE_LOG_INFO);
    REQUIRE(text && *text && !strchr(text, '\n'));
    if (level == SOCKEYE_LOG_WARNING && strstr(text, "connections_max"))
        atomic_fetch_add(&seen->warnings, 1);
    REQUIRE_OK(sockeye_net_get_stats(seen->net, &stats, sizeof stats));
    REQUIRE_STATUS(SOCKEYE_ERR_WOULD_DEADLOCK, sockeye_shutdown(seen->net, 0));
    REQUIRE_STATUS(SOCKEYE_ERR_WOULD_DEADLOCK, sockeye_free(seen->net));
    if (atomic_load(&seen->leave))
        REQUIRE_OK(sockeye_set_log(seen->net, NULL, NULL, SOCKEYE_LOG_NONE));
}

/* A net with room for one listener and two connections; `url` is its door. */
static void open_small(record *seen, char url[64])
{
    sockeye_config config;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.connections_max = 3;
    REQUIRE_OK(sockeye_init(&config, &seen->net));
    REQUIRE_OK(sockeye_set_log(seen->net, on_line, seen, SOCKEYE_LOG_INFO));
    harness_listen(seen->net, "", NULL, url);
}

/* A client of another net, refused because the table is full, makes a warning. */
static void check_warning(void)
{
    static record seen;
    char url[64];
    sockeye_conn conn, client, server;
    sockeye_net *other;
    const int64_t deadline = harness_deadline();
    open_small(&seen, url);
    REQUIRE_INT(1, atomic_load(&seen.lines)); /* listening on … */
    harness_pair(seen.net, url, NULL, &client, &server);
    REQUIRE_OK(sockeye_init(NULL, &other));
    while (!atomic_load(&seen.warnings)) {
        REQUIRE_OK(sockeye_connect(other, url, NULL, &conn));
        harness_breathe(deadline);
    }
    REQUIRE_OK(sockeye_free(other));
    REQUIRE_OK(sockeye_set_log(seen.net, NULL, NULL, SOCKEYE_LOG_NONE));
    const int lines = atomic_load(&seen.lines);
    REQUIRE_OK(sockeye_shutdown(seen.net, 0)); /* would be a line */
    REQUIRE_INT(lines, atomic_load(&seen.lines));
    REQUIRE_OK(sockeye_free(seen.net));
}

/* Taken away from inside: that line is the last. */
static void check_leave(void)
{
    static record seen;
    char url[64];
    atomic_store(&seen.leave, 1);
    open_small(&seen, url);
    REQUIRE_INT(1, atomic_load(&seen.lines));
    harness_listen(seen.net, "", NULL, url);
    REQUIRE_OK(sockeye_shutdown(seen.net, 0));
    REQUIRE_INT(1, atomic_load(&seen.lines));
    REQUIRE_OK(sockeye_free(seen.net));
}

static void check_arguments(void)
{
    sockeye_net *net;
    REQUIRE_OK(sockeye_init(NULL, &net));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_set_log(NULL, on_line, NULL, SOCKEYE_LOG_INFO));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_set_log(net, on_line, NULL, 4));
    REQUIRE_OK(sockeye_free(net));
}

int main(void)
{
    harness_watchdog();
    check_arguments();
    check_warning();
    check_leave();
    return 0;
}
