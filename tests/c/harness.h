/* What the test programs here and in ../cpp share: a watchdog, requirements that end the program
   with a sentence, and waiting for events with a deadline. C99 and C++17.

   Each program is compiled alone, linked with the shared library and run; 0 means passed. The path
   of the library is argv[1]. Include this file first: it asks the system for POSIX. */
#ifndef SOCKEYE_TESTS_HARNESS_H
#define SOCKEYE_TESTS_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef _WIN32
#include <windows.h>

#include <tlhelp32.h>
#else
#include <dirent.h>
#endif

#include "sockeye.h"

/* Longer than anything here takes on a loaded machine; a test that waits longer has failed. */
#define HARNESS_DEADLINE_MS 10000
#define HARNESS_WATCHDOG_S 30

#define REQUIRE(condition)                                                                        \
    ((condition) ? (void)0 : harness_fail(__FILE__, __LINE__, "not true: " #condition))

#define REQUIRE_INT(expected, actual)                                                             \
    harness_require_int(__FILE__, __LINE__, #actual, (int64_t)(expected), (int64_t)(actual))

/* `call` is done: it answers no error. */
#define REQUIRE_OK(call) harness_require_ok(__FILE__, __LINE__, #call, (call))

/* `call` answers this very status. */
#define REQUIRE_STATUS(expected, call)                                                            \
    harness_require_status(__FILE__, __LINE__, #call, (expected), (call))

static inline void harness_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    _exit(1);
}

static inline void harness_require_int(const char *file, int line, const char *what,
                                       int64_t expected, int64_t actual)
{
    if (expected == actual) return;
    fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, actual,
            expected);
    _exit(1);
}

static inline int32_t harness_require_ok(const char *file, int line, const char *what,
                                         int32_t status)
{
    if (status >= 0) return status;
    fprintf(stderr, "%s:%d: %s answers %s (%s)\n", file, line, what, sockeye_status_text(status),
            sockeye_last_error());
    _exit(1);
}

static inline void harness_require_status(const char *file, int line, const char *what,
                                          int32_t expected, int32_t actual)
{
    if (expected == actual) return;
    fprintf(stderr, "%s:%d: %s answers %" PRId32 " (%s), not %" PRId32 " (%s)\n", file, line, what,
            actual, sockeye_status_text(actual), expected, sockeye_status_text(expected));
    _exit(1);
}

/* First line of every main: a program that hangs is killed by SIGALRM, and has failed. Windows has
   no such signal; there whoever runs the program ends it. */
static inline void harness_watchdog(void)
{
#ifndef _WIN32
    alarm(HARNESS_WATCHDOG_S);
#endif
}

static inline int64_t harness_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t harness_deadline(void)
{
    return harness_now_ms() + HARNESS_DEADLINE_MS;
}

/* A breath between two looks at a condition. Fails when the deadline has passed. */
static inline void harness_breathe(int64_t deadline)
{
    const struct timespec breath = {0, 1000000};
    REQUIRE(harness_now_ms() < deadline);
    nanosleep(&breath, NULL); /* tidy: pause, between two looks at a condition */
}

/* The next event of a queue. Taken one by one, so each poll ends the batch of the one before. */
static inline sockeye_event harness_next(sockeye_net *net, uint32_t queue)
{
    sockeye_event event;
    memset(&event, 0, sizeof event);
    const int32_t count = sockeye_queue_poll_events(net, queue, &event, 1, HARNESS_DEADLINE_MS);
    REQUIRE_INT(1, count);
    return event;
}

/* The next event, which has to be of this kind. */
static inline sockeye_event harness_expect(sockeye_net *net, uint32_t kind)
{
    const sockeye_event event = harness_next(net, 0);
    REQUIRE_INT(kind, event.kind);
    return event;
}

static inline const uint8_t *harness_bytes(const char *text)
{
    return (const uint8_t *)text;
}

static inline sockeye_status harness_send_text(sockeye_net *net, sockeye_conn conn,
                                               const char *text)
{
    return sockeye_send(net, conn, harness_bytes(text), strlen(text));
}

static inline int harness_is_text(const sockeye_event *event, const char *text)
{
    return event->data_len == strlen(text) && memcmp(event->data, text, event->data_len) == 0;
}

/* Opens a door on a port that the system chooses, and writes the URL to connect to it. */
static inline sockeye_listener harness_listen(sockeye_net *net, const char *query,
                                              const sockeye_endpoint *endpoint, char url[64])
{
    sockeye_listener door;
    sockeye_listener_info info;
    snprintf(url, 64, "tcp://127.0.0.1:0%s", query);
    REQUIRE_OK(sockeye_listen(net, url, endpoint, &door));
    REQUIRE_OK(sockeye_listener_get_info(net, door, &info, sizeof info));
    REQUIRE(info.port > 0 && info.port < 65536);
    snprintf(url, 64, "tcp://127.0.0.1:%" PRIu32 "%s", info.port, query);
    return door;
}

/* Two ends of one connection in one net: `client` connected, `server` accepted. Both are told as
   OPENED, in either order; nothing else may come before. */
static inline void harness_pair(sockeye_net *net, const char *url,
                                const sockeye_endpoint *endpoint, sockeye_conn *client,
                                sockeye_conn *server)
{
    int clients = 0, servers = 0;
    REQUIRE_OK(sockeye_connect(net, url, endpoint, client));
    while (clients + servers < 2) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_OPENED);
        if (event.conn.id == client->id) {
            clients++;
            REQUIRE(event.listener.id == 0);
        } else {
            servers++;
            REQUIRE(event.listener.id != 0);
            *server = event.conn;
        }
    }
    REQUIRE(clients == 1 && servers == 1);
}

/* A net with the defaults but for these. */
static inline sockeye_net *harness_open(uint32_t model, uint32_t drive, uint32_t workers)
{
    sockeye_config config;
    sockeye_net *net = NULL;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    config.drive = drive;
    config.workers = workers;
    REQUIRE_OK(sockeye_init(&config, &net));
    REQUIRE(net != NULL);
    return net;
}

/* Ends a net that owes no more events. */
static inline void harness_close(sockeye_net *net)
{
    sockeye_event event;
    REQUIRE_OK(sockeye_shutdown(net, 2000));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_poll_events(net, &event, 1, 0));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(net));
}

/* Ends a net whatever it still has to tell: each open connection's CLOSED and no more. */
static inline void harness_close_live(sockeye_net *net, int connections)
{
    sockeye_event event;
    int32_t count;
    REQUIRE_OK(sockeye_shutdown(net, 0));
    while ((count = sockeye_poll_events(net, &event, 1, 0)) > 0)
        connections -= event.kind == SOCKEYE_EVENT_CLOSED;
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, count);
    REQUIRE_INT(0, connections);
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(net));
}

#ifdef _WIN32

/* Threads of this process. */
static inline int harness_threads(void)
{
    int count = 0;
    const HANDLE list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    REQUIRE(list != INVALID_HANDLE_VALUE);
    THREADENTRY32 entry;
    memset(&entry, 0, sizeof entry);
    entry.dwSize = sizeof entry;
    for (BOOL more = Thread32First(list, &entry); more; more = Thread32Next(list, &entry))
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(list);
    return count;
}

/* Open handles of this process: multiples of four, and no test has so many. */
static inline int harness_descriptors(void)
{
    int count = 0;
    for (uintptr_t at = 4; at < 4 * 16384; at += 4) {
        DWORD flags;
        count += GetHandleInformation((HANDLE)at, &flags) != 0;
    }
    return count;
}

#else

static inline int harness_count_entries(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    REQUIRE(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Threads of this process. */
static inline int harness_threads(void)
{
    return harness_count_entries("/proc/self/task");
}

/* Open descriptors of this process. */
static inline int harness_descriptors(void)
{
    return harness_count_entries("/proc/self/fd");
}

#endif

#endif
