/* What the programs for lanes of datagrams share: the server and the load generator, over functions
   that each program writes for its library. Include it behind peer.h.

   --role server: echoes every message as it came, reliable or not; one that begins with FETCH is
   answered with so many bytes in reliable messages of PART bytes.

   --role load: has so many peers connect, for at most --patience seconds, prints
   "ready connected=N", and takes orders:
       run MS KIND     each peer sends --rate messages a second, and the echoes are verified; KIND
                       is "reliable" or "unreliable"
       fetch BYTES     the first peer has the server send it so many bytes
   --burst: all peers send at the same time, else their messages are spread evenly.
   Each is answered with a line "report name=value…". It ends with its standard input. */
#ifndef BENCH_LANES_H
#define BENCH_LANES_H

#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>

enum {
    FETCH = 0xFE,
    PART = 64 * 1024,
    /* Number, time, peer, and filler. */
    MESSAGE_LEAST = 24,
    MESSAGE_MOST = 1024,
    SAMPLES_MOST = 4 * 1024 * 1024,
    /* So many connect at a time. */
    CONNECTING = 200,
    FETCH_S = 120,
    /* How long echoes are waited for behind the last message. */
    LATE_MS = 1000
};

struct lanes_options {
    bool server, burst;
    uint32_t port, peers, rate, size, patience_s;
};

static struct lanes_options lanes = {.peers = 1, .rate = 30, .size = 64, .patience_s = 20};

/* --- what a program writes for its library ------------------------------------------------- */

/* Takes an option of its own; how many words it was. */
static int host_option(const char *name, const char *value);
/* Opens the server's port on loopback and gives it; `facts` has room for 128 bytes. */
static unsigned host_listen(char *facts);
/* Answers the peer whose message is handled. */
static void host_reply(bool reliable, const uint8_t *data, size_t size);
static void host_start_load(void);
/* Peer `n` begins to connect. */
static void host_connect(uint32_t n);
static void host_send(uint32_t n, bool reliable, const uint8_t *data, size_t size);
/* Sends what is due, waits so long for something to come, and hands it over. */
static void host_turn(int wait_ms);

/* --- the server ---------------------------------------------------------------------------- */

static uint8_t part[PART];

static void server_message(bool reliable, const uint8_t *data, size_t size)
{
    if (size != 5 || data[0] != FETCH) {
        host_reply(reliable, data, size);
        return;
    }
    for (uint32_t left = get_u32(data + 1); left > 0;) {
        uint32_t now = left < PART ? left : PART;
        host_reply(true, part, now);
        left -= now;
    }
}

/* --- the load generator -------------------------------------------------------------------- */

static uint32_t *samples, samples_count;
/* Those that got in, and how many; those that were closed. */
static uint32_t *present, opened, lost;
static uint64_t sent, back, fetched, number;
/* Messages of an earlier run are verified and not counted. */
static uint64_t counts_from;

static void load_opened(uint32_t peer)
{
    present[opened++] = peer;
}

static void load_closed(void)
{
    lost++;
}

static void fill(uint8_t *message, uint64_t of, uint32_t peer)
{
    uint64_t seed = of;
    put_u64(message, of);
    put_u32(message + 16, peer);
    for (uint32_t at = 20; at < lanes.size; at += 8) {
        uint8_t word[8];
        put_u64(word, splitmix64(&seed));
        memcpy(message + at, word, lanes.size - at < 8 ? lanes.size - at : 8);
    }
}

static void load_message(uint32_t peer, const uint8_t *data, size_t size)
{
    uint8_t expected[MESSAGE_MOST];
    if (fetched > 0) {
        if (memcmp(data, part, size) != 0) die("a part came back changed");
        fetched -= size < fetched ? size : fetched;
        return;
    }
    uint64_t of = (uint64_t)get_u32(data) << 32 | get_u32(data + 4);
    uint64_t at = (uint64_t)get_u32(data + 8) << 32 | get_u32(data + 12);
    fill(expected, of, peer);
    if (size != lanes.size || memcmp(data, expected, 8) != 0 ||
        memcmp(data + 16, expected + 16, size - 16) != 0)
        die("a message came back changed");
    if (of < counts_from) return;
    back++;
    if (samples_count < SAMPLES_MOST)
        samples[samples_count++] = (uint32_t)((monotonic_ns() - at) / 1000);
}

static void load_send(uint32_t peer, bool reliable)
{
    uint8_t message[MESSAGE_MOST];
    fill(message, number++, peer);
    put_u64(message + 8, monotonic_ns());
    host_send(peer, reliable, message, lanes.size);
    sent++;
}

static int by_size(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* In nanoseconds. */
static uint64_t quantile(uint32_t thousandths)
{
    if (!samples_count) return 0;
    return 1000ull * samples[(uint64_t)(samples_count - 1) * thousandths / 1000];
}

static void run(uint32_t ms, bool reliable)
{
    uint64_t begun = monotonic_ns(), ends = begun + ms * 1000000ull, now = begun;
    samples_count = 0;
    counts_from = number;
    sent = back = 0;
    while (now < ends) {
        uint64_t due = (now - begun) / 1000 * opened / 1000 * lanes.rate / 1000;
        if (lanes.burst) due -= due % opened;
        while (sent < due) load_send(present[number % opened], reliable);
        host_turn(1);
        now = monotonic_ns();
    }
    while (back < sent && monotonic_ns() < ends + LATE_MS * 1000000ull) host_turn(1);
    qsort(samples, samples_count, sizeof *samples, by_size);
    printf("report sent=%" PRIu64 " count=%" PRIu64 " closed=%u p50=%" PRIu64 " p99=%" PRIu64
           " p999=%" PRIu64 "\n",
           sent, back, lost, quantile(500), quantile(990), quantile(999));
}

static void fetch(uint32_t bytes)
{
    uint8_t order[5] = {FETCH};
    uint64_t begun = monotonic_ns(), now = begun;
    put_u32(order + 1, bytes);
    fetched = bytes;
    host_send(0, true, order, sizeof order);
    while (fetched > 0 && now < begun + FETCH_S * 1000000000ull) {
        host_turn(1);
        now = monotonic_ns();
    }
    printf("report ns=%" PRIu64 " missing=%" PRIu64 "\n", now - begun, fetched);
    fetched = 0;
}

static void connect_all(void)
{
    uint32_t begun = 0;
    uint64_t ends = monotonic_ns() + lanes.patience_s * 1000000000ull;
    while (opened < lanes.peers && lost < lanes.peers && monotonic_ns() < ends) {
        while (begun < lanes.peers && begun < opened + lost + CONNECTING) host_connect(begun++);
        host_turn(1);
    }
    printf("ready connected=%u\n", opened);
    fflush(stdout);
}

static void load(void)
{
    char line[64], kind[16];
    unsigned amount;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    present = need(calloc(lanes.peers, sizeof *present));
    samples = need(malloc(SAMPLES_MOST * sizeof *samples));
    host_start_load();
    connect_all();
    for (;;) {
        host_turn(5);
        if (poll(&input, 1, 0) <= 0) continue;
        if (!fgets(line, sizeof line, stdin)) return;
        if (!opened) printf("report\n");
        else if (sscanf(line, "run %u %15s", &amount, kind) == 2)
            run(amount, !strcmp(kind, "reliable"));
        else if (sscanf(line, "fetch %u", &amount) == 1) fetch(amount);
        else printf("report\n");
        fflush(stdout);
    }
}

/* --- start --------------------------------------------------------------------------------- */

static void lanes_usage(const char *why)
{
    fprintf(stderr,
            "%s: %s\n--role server|load [--port N] [--peers N] [--rate N] [--size N]\n"
            "    [--patience SECONDS] [--burst]\n"
            "    and, as far as the library has it, [--drive pool|lend|host] [--workers N]\n",
            program_invocation_short_name, why);
    exit(2);
}

static void lanes_read(int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = false;
        if (!strcmp(argv[i], "--burst")) {
            lanes.burst = true;
            i++;
            continue;
        }
        if (!value) lanes_usage(argv[i]);
        if (!strcmp(argv[i], "--role")) {
            lanes.server = !strcmp(value, "server");
            good = lanes.server || !strcmp(value, "load");
        } else if (!strcmp(argv[i], "--port")) {
            good = option_number(value, 1, UINT16_MAX, &lanes.port);
        } else if (!strcmp(argv[i], "--peers")) {
            good = option_number(value, 1, 100000, &lanes.peers);
        } else if (!strcmp(argv[i], "--rate")) {
            good = option_number(value, 1, 1000, &lanes.rate);
        } else if (!strcmp(argv[i], "--patience")) {
            good = option_number(value, 1, 600, &lanes.patience_s);
        } else if (!strcmp(argv[i], "--size")) {
            good = option_number(value, MESSAGE_LEAST, MESSAGE_MOST, &lanes.size);
        } else {
            good = host_option(argv[i], value) == 2;
        }
        if (!good) lanes_usage(argv[i]);
        i += 2;
    }
}

static int lanes_main(int argc, char **argv)
{
    char facts[128] = "";
    lanes_read(argc, argv);
    peer_start();
    thread_name("game");
    uint64_t seed = 1;
    for (size_t at = 0; at < sizeof part; at += 8) put_u64(part + at, splitmix64(&seed));
    if (!lanes.server) {
        load();
        return 0;
    }
    unsigned port = host_listen(facts);
    peer_listening(port, facts);
    for (;;) host_turn(-1);
}

#endif
