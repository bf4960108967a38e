/* What all peers share: options, ends, names, the tick clock and the broadcast message. For gnu99
   and C++17; include it first (it asks for the GNU parts of the C library). */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

enum {
    /* As long as the listener's queue of connections may get. */
    PEER_BACKLOG = 4096,
    /* A connection with more bytes than this not yet written misses broadcasts. */
    UNWRITTEN_MOST = 256 * 1024,
    /* Largest payload that is accepted; a longer one ends the connection. */
    PAYLOAD_MOST = 1024 * 1024,
    /* The length field before each payload. */
    HEADER_SIZE = 4,
    /* Smallest broadcast: length, sequence, time, and some filler. */
    BROADCAST_LEAST = 24
};

/* JOB_UDP, the echo of datagrams, is not for the peers that have forms. */
enum job { JOB_ECHO, JOB_TICK, JOB_BROADCAST, JOB_UDP };

struct options {
    const char *form;
    enum job job;
    uint32_t period_ms;
    /* Of a broadcast: bytes of one message with its header, and messages for each tick. */
    uint32_t size, burst;
    /* One write for a connection's whole burst. */
    bool gather;
};

/* Ends the program; for failures of the start and of memory only, never because of a connection. */
static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

/* `forms` ends with NULL. */
static inline void usage(const char *why, const char *const *forms)
{
    fprintf(stderr, "%s: %s\n%s [--form", program_invocation_short_name, why,
            program_invocation_short_name);
    for (const char *const *form = forms; *form; form++)
        fprintf(stderr, "%c%s", form == forms ? ' ' : '|', *form);
    fprintf(stderr, "] [--job echo|tick|broadcast]\n"
                    "    [--period-ms N] [--size N] [--burst N] [--gather]\n");
    exit(2);
}

static inline void options_init(struct options *options)
{
    memset(options, 0, sizeof *options);
    options->form = "loop";
    options->job = JOB_ECHO;
    options->period_ms = 33;
    options->size = 200;
    options->burst = 1;
}

static inline bool option_number(const char *text, uint32_t least, uint32_t most, uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < least || value > most) return false;
    *number = (uint32_t)value;
    return true;
}

static inline bool option_job(const char *text, enum job *job)
{
    if (!strcmp(text, "echo")) {
        *job = JOB_ECHO;
    } else if (!strcmp(text, "tick")) {
        *job = JOB_TICK;
    } else if (!strcmp(text, "broadcast")) {
        *job = JOB_BROADCAST;
    } else if (!strcmp(text, "udp")) {
        *job = JOB_UDP;
    } else {
        return false;
    }
    return true;
}

/* Takes an option that all peers have, except --form. How many words it was; 0: not one of them,
   or its value is not good. `value` may be NULL: there was no further word. */
static inline int option_take(struct options *options, const char *name, const char *value)
{
    bool good = false;
    if (!strcmp(name, "--gather")) {
        options->gather = true;
        return 1;
    }
    if (!value) return 0;
    if (!strcmp(name, "--job")) good = option_job(value, &options->job);
    if (!strcmp(name, "--period-ms")) good = option_number(value, 1, 60000, &options->period_ms);
    if (!strcmp(name, "--burst")) good = option_number(value, 1, 1000, &options->burst);
    if (!strcmp(name, "--size"))
        good = option_number(value, BROADCAST_LEAST, PAYLOAD_MOST, &options->size);
    return good ? 2 : 0;
}

/* Reads the command line of a peer that has forms (`forms` ends with NULL). */
static inline void options_read(struct options *options, int argc, char **argv,
                                const char *const *forms)
{
    options_init(options);
    for (int i = 1; i < argc;) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int words = option_take(options, argv[i], value);
        if (!words && value && !strcmp(argv[i], "--form")) {
            options->form = value;
            words = 2;
        }
        if (!words) usage(argv[i], forms);
        i += words;
    }
    const char *const *form = forms;
    while (*form && strcmp(*form, options->form) != 0) form++;
    if (!*form) usage(options->form, forms);
    if (options->job == JOB_UDP) usage("--job udp is for servers of datagrams", forms);
    if (options->gather && (strcmp(options->form, "loop") != 0 || options->job != JOB_BROADCAST))
        usage("--gather is for broadcasts of the loop form", forms);
}

/* What every peer does before anything else: a peer that left is no signal, and as many descriptors
   as may be. */
static inline void peer_start(void)
{
    struct rlimit limit;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) die("signal");
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("setrlimit");
}

/* The first line; `facts` are free words name=value, or "". */
static inline void peer_listening(unsigned port, const char *facts)
{
    printf("listening %u%s%s\n", port, *facts ? " " : "", facts);
    fflush(stdout);
}

/* "game" or "loop". */
static inline void thread_name(const char *name)
{
    if (prctl(PR_SET_NAME, name, 0, 0, 0) < 0) die("prctl");
}

/* malloc, calloc and realloc that end the program for want of memory. */
static inline void *need(void *memory)
{
    if (!memory) die("memory");
    return memory;
}

static inline void put_u32(uint8_t *to, uint32_t value)
{
    uint32_t big = htobe32(value);
    memcpy(to, &big, sizeof big);
}

static inline void put_u64(uint8_t *to, uint64_t value)
{
    uint64_t big = htobe64(value);
    memcpy(to, &big, sizeof big);
}

static inline uint32_t get_u32(const uint8_t *from)
{
    uint32_t big;
    memcpy(&big, from, sizeof big);
    return be32toh(big);
}

static inline uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The absolute schedule of the ticks. */
struct ticker {
    uint64_t period, next;
    /* Of the tick that ticker_sleep gave last; the first one is 0. */
    uint64_t number;
    bool begun;
};

static inline void ticker_start(struct ticker *ticker, uint32_t period_ms)
{
    memset(ticker, 0, sizeof *ticker);
    ticker->period = (uint64_t)period_ms * 1000000u;
    ticker->next = monotonic_ns();
}

/* Sleeps until the next tick and gives its intended time. Who is more than a period late does not
   catch up: the schedule starts anew from now. */
static inline uint64_t ticker_sleep(struct ticker *ticker)
{
    if (ticker->begun) ticker->number++;
    ticker->begun = true;
    ticker->next += ticker->period;
    uint64_t now = monotonic_ns();
    if (now > ticker->next + ticker->period) ticker->next = now;
    struct timespec until;
    until.tv_sec = (time_t)(ticker->next / 1000000000u);
    until.tv_nsec = (long)(ticker->next % 1000000000u);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    return ticker->next;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t splitmix64(uint64_t *seed)
{
    uint64_t word = *seed += 0x9E3779B97F4A7C15u;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

/* One broadcast message: length, sequence, intended time, filler; all big-endian. */
static inline void broadcast_message(uint8_t *message, uint32_t size, uint64_t sequence,
                                     uint64_t intended)
{
    uint64_t seed = sequence;
    put_u32(message, size - HEADER_SIZE);
    put_u64(message + 4, sequence);
    put_u64(message + 12, intended);
    for (uint32_t at = 20; at < size; at += 8) {
        uint8_t word[8];
        put_u64(word, splitmix64(&seed));
        memcpy(message + at, word, size - at < 8 ? size - at : 8);
    }
}

/* All messages of a tick, one after the other: options->burst times options->size bytes. */
static inline void broadcast_burst(uint8_t *bytes, const struct options *options, uint64_t tick,
                                   uint64_t intended)
{
    for (uint32_t i = 0; i < options->burst; i++)
        broadcast_message(bytes + (size_t)i * options->size, options->size,
                          tick * options->burst + i, intended);
}

#endif
