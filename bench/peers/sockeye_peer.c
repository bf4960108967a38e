/* Sockeye in a host with one game thread: the drives, models and bounds are options, so that one
   program is every contender.

   What makes it strong is what its manual says. An echo polls without a limit and sends from the
   batch, without a copy. A tick polls until nothing is left, and flushes once; its lease is
   longer than its period, so that under HOST nobody else touches the sockets between two ticks. A
   broadcast is one call for all connections. Reads are gated, so that a peer that does not read
   its echoes is not read either; one that overflows its outbox all the same is reset.

   --room N: a broadcast goes to rooms of so many, in the order of arrival, each by a call of its
   own; --groups: that is a send to a group, and counted as one target.

   --deny ADDRESS: the guard refuses all of its /16.

   --scheme: tls and ws have the same calls; ws frames by itself.

   --plain: the endpoint is as the library makes it; --idle-timeout-ms: with that deadline.

   --clocks: the game thread measures its own CPU in the library; `report` on stdin prints the
   sums since the last one, and forgets them. Each is for a whole batch, less what it costs to
   read the clock. A poll is measured that does not wait and hands something out, or that ends
   such a batch. */
#include "peer.h"
#include <inttypes.h>
#include <pthread.h>
#include "sockeye.h"

enum {
    EVENTS = 256,
    LEASE_LEAST_US = 20000,
    /* A mebibyte frame has to fit an echo's outbox with its header. */
    ECHO_OUTBOX = 4 * 1024 * 1024,
    CLOCK_READS = 10000
};

static const char *const DRIVES[] = {"pool", "lend", "host"};
static const char *const FLUSHES[] = {"auto", "manual"};
static const char *const FRAMINGS[] = {"u32be", "raw"};

/* What was measured since the last report. */
struct sums {
    uint64_t poll_ns, events, send_ns, sends, many_ns, targets;
};

static struct options options;
static sockeye_config config;
static sockeye_net *net;
/* raw: no framing. plain: nothing of the endpoint is set. polls_sockets: the drive that runs does
   its I/O in polls. */
static bool raw, web, plain, polls_sockets, groups;
static uint32_t idle_timeout_ms, room_size;
static sockeye_guard_rule denied;
/* What is below the messages: tcp, tls or ws. */
static const char *scheme = "tcp";
static sockeye_tls tls;

/* The connections, in no order; by sockeye_conn_index: their place, and the tick, counted from 1,
   in which they were last heard. */
static sockeye_conn *conns;
static sockeye_group *rooms;
static uint32_t arrived;
static sockeye_status *answers;
static uint32_t count, room;
static uint32_t *places;
static uint64_t *heard;
static uint64_t missed;

static bool clocks;
static uint64_t clock_cost;
static pthread_mutex_t sums_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sums sums;

/* --- options ------------------------------------------------------------------------------- */

static void explain(const char *why)
{
    fprintf(stderr,
            "sockeye_peer: %s\n"
            "sockeye_peer [--drive pool|lend|host] [--workers N] [--model NAME]\n"
            "    [--flush auto|manual] [--framing u32be|raw] [--gather-us N] [--spin-us N]\n"
            "    [--clocks] [--plain] [--idle-timeout-ms N] [--room N] [--groups]\n"
            "    [--deny ADDRESS] [--scheme tcp|tls|ws] [--cert FILE] [--key FILE]\n"
            "    [--job echo|tick|broadcast|udp]\n"
            "    [--period-ms N] [--size N] [--burst N]\n",
            why);
    exit(2);
}

static void demand(const char *what, sockeye_status status)
{
    if (status >= 0) return;
    fprintf(stderr, "sockeye_peer: %s: %s (%s)\n", what, sockeye_status_text(status),
            sockeye_last_error());
    exit(1);
}

/* The place of `word` in a list of `length`. */
static uint32_t one_of(const char *word, const char *const *list, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (!strcmp(word, list[i])) return i;
    explain(word);
    return 0;
}

static uint32_t number(const char *text)
{
    uint32_t value = 0;
    if (!option_number(text, 0, UINT32_MAX, &value)) explain(text);
    return value;
}

/* An option with a value that is Sockeye's own. */
static void own_option(const char *name, const char *value)
{
    if (!strcmp(name, "--drive")) {
        config.drive = one_of(value, DRIVES, 3);
    } else if (!strcmp(name, "--workers")) {
        config.workers = number(value);
    } else if (!strcmp(name, "--model")) {
        if (sockeye_model_from_name(value, &config.model) < 0) explain(value);
    } else if (!strcmp(name, "--flush")) {
        config.flush = one_of(value, FLUSHES, 2);
    } else if (!strcmp(name, "--framing")) {
        raw = one_of(value, FRAMINGS, 2) == 1;
    } else if (!strcmp(name, "--gather-us")) {
        config.gather_us = number(value);
    } else if (!strcmp(name, "--spin-us")) {
        config.spin_us = number(value);
    } else if (!strcmp(name, "--idle-timeout-ms")) {
        idle_timeout_ms = number(value);
    } else if (!strcmp(name, "--deny")) {
        if (sockeye_address_parse(value, &denied.address) < 0) explain(value);
        denied.prefix_bits = 16;
        denied.action = SOCKEYE_GUARD_DENY;
    } else if (!strcmp(name, "--scheme")) {
        scheme = value;
    } else if (!strcmp(name, "--cert")) {
        tls.cert_pem = value;
    } else if (!strcmp(name, "--key")) {
        tls.key_pem = value;
    } else if (!strcmp(name, "--room")) {
        room_size = number(value);
    } else {
        explain(name);
    }
}

static void read_options(int argc, char **argv)
{
    options_init(&options);
    for (int i = 1; i < argc;) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int words = option_take(&options, argv[i], value);
        if (!words && !strcmp(argv[i], "--clocks")) {
            clocks = true;
            words = 1;
        }
        if (!words && !strcmp(argv[i], "--plain")) {
            plain = true;
            words = 1;
        }
        if (!words && !strcmp(argv[i], "--groups")) {
            groups = true;
            words = 1;
        }
        if (!words) {
            if (!value) explain(argv[i]);
            own_option(argv[i], value);
            words = 2;
        }
        i += words;
    }
    web = !strcmp(scheme, "ws");
    if (options.gather) explain("--gather: broadcasts are gathered where --flush says so");
}

/* --- clocks -------------------------------------------------------------------------------- */

/* What this thread has used of a processor. */
static uint64_t used_ns(void)
{
    struct timespec used;
    if (!clocks) return 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void learn_clock_cost(void)
{
    uint64_t begun = used_ns();
    for (int i = 0; i < CLOCK_READS; i++) used_ns();
    clock_cost = (used_ns() - begun) / CLOCK_READS;
}

/* Adds what was used since `begun`, for so many. */
static void measured(uint64_t begun, uint64_t *sum, uint64_t *many, uint64_t by)
{
    if (!clocks) return;
    uint64_t spent = used_ns() - begun;
    pthread_mutex_lock(&sums_lock);
    *sum += spent > clock_cost ? spent - clock_cost : 0;
    *many += by;
    pthread_mutex_unlock(&sums_lock);
}

static void *take_orders(void *unused)
{
    char line[64];
    (void)unused;
    thread_name("orders");
    while (fgets(line, sizeof line, stdin)) {
        struct sums told;
        if (strcmp(line, "report\n") != 0) continue;
        pthread_mutex_lock(&sums_lock);
        told = sums;
        memset(&sums, 0, sizeof sums);
        pthread_mutex_unlock(&sums_lock);
        printf("report poll_ns=%" PRIu64 " events=%" PRIu64 " send_ns=%" PRIu64 " sends=%" PRIu64
               " many_ns=%" PRIu64 " targets=%" PRIu64 "\n",
               told.poll_ns, told.events, told.send_ns, told.sends, told.many_ns, told.targets);
        fflush(stdout);
    }
    return NULL;
}

static void start_clocks(void)
{
    pthread_t thread;
    if (!clocks) return;
    learn_clock_cost();
    errno = pthread_create(&thread, NULL, take_orders, NULL);
    if (errno) die("pthread_create");
}

/* --- jobs ---------------------------------------------------------------------------------- */

static sockeye_event events[EVENTS];

/* Polls, without a limit if `wait`. */
static int32_t poll_events(bool wait)
{
    static bool unfinished;
    if (!clocks) {
        int32_t told = sockeye_poll_events(net, events, EVENTS, wait ? -1 : 0);
        demand("poll", told);
        return told;
    }
    uint64_t begun = used_ns();
    int32_t told = sockeye_poll_events(net, events, EVENTS, 0);
    if (told > 0 || unfinished) measured(begun, &sums.poll_ns, &sums.events, told > 0 ? told : 0);
    unfinished = told > 0;
    if (!told && wait) told = sockeye_poll_events(net, events, EVENTS, -1);
    demand("poll", told);
    return told;
}

static void opened(sockeye_conn conn)
{
    if (count == room) {
        room = room ? room * 2 : 64;
        conns = need(realloc(conns, room * sizeof *conns));
        answers = need(realloc(answers, room * sizeof *answers));
    }
    places[sockeye_conn_index(conn)] = count;
    conns[count++] = conn;
    if (!groups) return;
    uint32_t at = arrived++ / room_size;
    if (!rooms[at].id) demand("room", sockeye_group_create(net, &rooms[at]));
    demand("enter", sockeye_group_add(net, rooms[at], conn));
}

static void closed(sockeye_conn conn)
{
    sockeye_conn last = conns[--count];
    uint32_t place = places[sockeye_conn_index(conn)];
    conns[place] = last;
    places[sockeye_conn_index(last)] = place;
}

/* Sends every message of the batch back, or the bytes where there is no framing. */
static void echo(int32_t told)
{
    const uint32_t wanted = raw ? SOCKEYE_EVENT_BYTES : SOCKEYE_EVENT_MESSAGE;
    uint64_t sends = 0, begun = used_ns();
    for (int32_t i = 0; i < told; i++) {
        const sockeye_event *event = &events[i];
        if (event->kind != wanted) continue;
        sockeye_status status = sockeye_send(net, event->conn, event->data, event->data_len);
        sends++;
        if (status >= 0 || status == SOCKEYE_ERR_CLOSED || status == SOCKEYE_ERR_STALE) continue;
        if (status != SOCKEYE_ERR_AGAIN && status != SOCKEYE_ERR_TOO_BIG) demand("send", status);
        /* It may have been closed meanwhile; then it is gone as well. */
        sockeye_close(net, event->conn, SOCKEYE_CLOSE_RESET);
    }
    if (sends) measured(begun, &sums.send_ns, &sums.sends, sends);
}

/* Sends every datagram of the batch back to its sender. What does not fit the outbox is lost, as
   datagrams may be. */
static void echo_datagrams(int32_t told)
{
    uint64_t sends = 0, begun = used_ns();
    for (int32_t i = 0; i < told; i++) {
        const sockeye_event *event = &events[i];
        if (event->kind != SOCKEYE_EVENT_DATAGRAM) continue;
        const sockeye_address *sender = sockeye_event_address(event);
        sockeye_status status =
            sockeye_send_to(net, event->listener, sender, event->data, event->data_len);
        sends++;
        if (status != SOCKEYE_ERR_AGAIN) demand("send_to", status);
    }
    if (sends) measured(begun, &sums.send_ns, &sums.sends, sends);
}

/* Whether the next poll may tell of somebody who had come before this one, and was not yet heard
   in this tick: not so when it told only of such as had been heard (a peer may answer an echo at
   once), for they are told in turn; nor when there was room for more, where a poll takes all from
   its queue (but an array may end behind an OPENED). */
static bool goes_on(int32_t told, uint64_t tick)
{
    bool fresh = false, ended = !polls_sockets && told < EVENTS;
    for (int32_t i = 0; i < told; i++) {
        uint64_t *last = &heard[sockeye_conn_index(events[i].conn)];
        fresh |= *last != tick;
        ended &= events[i].kind != SOCKEYE_EVENT_OPENED;
        *last = tick;
    }
    return fresh && !ended;
}

static void note(int32_t told)
{
    for (int32_t i = 0; i < told; i++) {
        if (events[i].kind == SOCKEYE_EVENT_OPENED) opened(events[i].conn);
        if (events[i].kind == SOCKEYE_EVENT_CLOSED) closed(events[i].conn);
    }
}

/* Takes what came until this tick. */
static void drain(uint64_t tick, void (*take)(int32_t told))
{
    int32_t told;
    do {
        told = poll_events(false);
        take(told);
    } while (goes_on(told, tick));
}

/* The same to so many, from one on. */
static void tell_many(uint32_t from, uint32_t how_many, const uint8_t *data, uint32_t size)
{
    sockeye_status taken =
        sockeye_send_many(net, conns + from, how_many, data, size, answers + from);
    demand("send_many", taken);
    for (uint32_t at = 0; (uint32_t)taken < how_many && at < how_many; at++)
        missed += answers[from + at] == SOCKEYE_ERR_AGAIN;
}

static void tell_group(sockeye_group group, const uint8_t *data, uint32_t size)
{
    const sockeye_conn nobody = {0};
    const sockeye_bytes part = {data, size};
    sockeye_message message;
    uint32_t skipped;
    sockeye_message_init(&message, sizeof message);
    message.parts = &part;
    message.parts_count = 1;
    demand("group_send", sockeye_group_send(net, group, nobody, &message, &skipped));
    missed += skipped;
}

static void broadcast(const uint8_t *burst)
{
    /* The length field is the framing's, unless there is none. */
    uint32_t skipped = raw || web ? 0 : HEADER_SIZE, size = options.size - skipped;
    for (uint32_t i = 0; i < options.burst && count > 0; i++) {
        const uint8_t *message = burst + (size_t)i * options.size + skipped;
        uint64_t begun = used_ns(), calls = 0;
        for (uint32_t at = 0; at < (groups ? arrived : count); at += room_size, calls++) {
            if (groups) tell_group(rooms[at / room_size], message, size);
            else tell_many(at, count - at < room_size ? count - at : room_size, message, size);
        }
        measured(begun, &sums.many_ns, &sums.targets, groups ? calls : count);
    }
}

/* --- start --------------------------------------------------------------------------------- */

static void open_door(void)
{
    char url[64], facts[128];
    sockeye_endpoint endpoint;
    sockeye_listener door;
    sockeye_listener_info at;
    sockeye_net_info info;
    demand("defaults", sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.idle_timeout_ms = idle_timeout_ms;
    if (!plain) {
        endpoint.backlog = PEER_BACKLOG;
        endpoint.gate_reads = options.job != JOB_BROADCAST;
        endpoint.outbox_max_bytes = ECHO_OUTBOX;
    }
    if (options.job == JOB_BROADCAST)
        endpoint.outbox_max_bytes = options.size > UNWRITTEN_MOST ? options.size : UNWRITTEN_MOST;
    if (tls.cert_pem) endpoint.tls = &tls;
    if (options.job == JOB_UDP) {
        snprintf(url, sizeof url, "udp://127.0.0.1:0");
    } else {
        /* WebSocket frames by itself. */
        const char *frame = web ? "" : FRAMINGS[raw];
        snprintf(url, sizeof url, "%s://127.0.0.1:0%s%s", scheme, web ? "" : "?frame=", frame);
    }
    demand(url, sockeye_listen(net, url, &endpoint, &door));
    demand("port", sockeye_listener_get_info(net, door, &at, sizeof at));
    demand("info", sockeye_net_get_info(net, &info, sizeof info));
    polls_sockets = info.drive == SOCKEYE_DRIVE_HOST;
    snprintf(facts, sizeof facts, "model=%s drive=%s workers=%u threads=%u",
             sockeye_model_name(info.model), info.drive < 3 ? DRIVES[info.drive] : "?",
             (unsigned)info.workers, (unsigned)info.threads);
    peer_listening(at.port, facts);
}

int main(int argc, char **argv)
{
    struct ticker ticker;
    demand("defaults", sockeye_config_init(&config, sizeof config));
    demand("defaults", sockeye_tls_init(&tls, sizeof tls));
    read_options(argc, argv);
    if (options.job != JOB_ECHO && options.period_ms * 2000 > LEASE_LEAST_US)
        config.lease_us = options.period_ms < 5000 ? options.period_ms * 2000 : 10000000;
    peer_start();
    thread_name("game");
    demand("start", sockeye_init(&config, &net));
    places = need(calloc(config.connections_max, sizeof *places));
    rooms = need(calloc(config.connections_max, sizeof *rooms));
    if (!room_size) room_size = config.connections_max;
    heard = need(calloc(config.connections_max, sizeof *heard));
    if (denied.prefix_bits) demand("guard", sockeye_guard_set(net, &denied, 1));
    start_clocks();
    open_door();
    while (options.job == JOB_ECHO) echo(poll_events(true));
    while (options.job == JOB_UDP) echo_datagrams(poll_events(true));
    uint8_t *burst = need(malloc((size_t)options.burst * options.size));
    ticker_start(&ticker, options.period_ms);
    for (;;) {
        uint64_t intended = ticker_sleep(&ticker);
        drain(ticker.number + 1, options.job == JOB_TICK ? echo : note);
        if (options.job == JOB_BROADCAST) {
            broadcast_burst(burst, &options, ticker.number, intended);
            broadcast(burst);
        }
        demand("flush", sockeye_flush(net));
    }
}
