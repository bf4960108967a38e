/* A hot restart under traffic: the sample mud.c becomes itself by exec, again and again, while its
   players go on writing lines that are cut anywhere. No connect is refused, no line is lost,
   doubled or out of order.

     restart LIBRARY [PLAYERS [RESTARTS [MODEL]]]     restart libsockeye.so 1000 20 select */
#include "harness.h"

#ifdef __linux__

#define main mud_main
#include "../../cpp-sample/mud.c"
#undef main

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Lines that one player has asked and not been answered. The first few ask more, and in every other
   round they do not read: what the server has for them is more than the system takes. */
enum { WINDOW = 8, SLOW = 5, SLOW_WINDOW = 1500, MOST = 1000, NEWCOMERS = 3 };

static struct client {
    int fd;
    uint32_t number, asked, answered;
    size_t at, len; /* of `out`, what has left and what is to leave */
    size_t got;
    char out[160], in[4096];
} clients[MOST];

static struct sockaddr_in server_address = {.sin_family = AF_INET};
static uint64_t answers;
static uint32_t seed = 7;
static int slow_reads = 1;

static uint32_t dice(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static int connected(int room)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(fd >= 0);
    if (room) REQUIRE_INT(0, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    REQUIRE_INT(0, connect(fd, (struct sockaddr *)&server_address, sizeof server_address));
    return fd;
}

/* What is asked as number `index`: its length differs, so that its pieces do. */
static int question(const struct client *client, uint32_t index, char text[128])
{
    return snprintf(text, 128, "%u.%u %.*s", client->number, index, (int)(index * 7 % 60),
                    "................................................................");
}

static void next_line(struct client *client)
{
    char text[128];
    if (client->at < client->len) return;
    question(client, client->asked++, text);
    client->len = (size_t)snprintf(client->out, sizeof client->out, "think %s\n", text);
    client->at = 0;
}

/* Writes a part of a line, which may end anywhere. */
static int write_some(struct client *client)
{
    size_t part = 1 + dice((uint32_t)(client->len - client->at));
    ssize_t done = send(client->fd, client->out + client->at, part, MSG_NOSIGNAL);
    REQUIRE(done > 0 || errno == EAGAIN);
    if (done > 0) client->at += (size_t)done;
    return done > 0;
}

/* Writes lines until it has asked for a window full of them, or the system takes no more. */
static void write_many(struct client *client)
{
    do {
        while (client->at < client->len)
            if (!write_some(client)) return;
        if (client->asked - client->answered < SLOW_WINDOW) next_line(client);
    } while (client->at < client->len);
}

static void look_at(struct client *client, const char *line)
{
    char text[128], expected[160];
    if (strncmp(line, "By what ", 8) == 0 || strncmp(line, "Welcome", 7) == 0) return;
    question(client, client->answered, text);
    snprintf(expected, sizeof expected, "You think: %s", text);
    if (strcmp(line, expected) != 0) {
        fprintf(stderr, "player %u has \"%s\", not \"%s\"\n", client->number, line, expected);
        REQUIRE(!"an answer is lost, doubled or out of order");
    }
    client->answered++;
    answers++;
}

static void read_some(struct client *client)
{
    ssize_t got = recv(client->fd, client->in + client->got, sizeof client->in - client->got, 0);
    if (got < 0 && errno == EAGAIN) return;
    REQUIRE(got > 0);
    client->got += (size_t)got;
    char *line = client->in, *end;
    while ((end = memchr(line, '\n', client->got - (size_t)(line - client->in))) != NULL) {
        REQUIRE(end > line && end[-1] == '\r');
        end[-1] = '\0';
        look_at(client, line);
        line = end + 1;
    }
    client->got -= (size_t)(line - client->in);
    memmove(client->in, line, client->got);
}

/* One look at every player. `asks`: they go on asking. */
static void traffic(uint32_t count, int asks)
{
    static struct pollfd polled[MOST];
    for (uint32_t i = 0; i < count; i++) {
        struct client *client = &clients[i];
        if (asks && i < SLOW) write_many(client);
        else if (asks && client->asked - client->answered < WINDOW) next_line(client);
        polled[i].fd = i < SLOW && !slow_reads ? -1 : client->fd;
        polled[i].events = (short)(POLLIN | (client->at < client->len ? POLLOUT : 0));
    }
    REQUIRE(poll(polled, count, 20) >= 0);
    for (uint32_t i = 0; i < count; i++) {
        if (polled[i].revents & POLLOUT) write_some(&clients[i]);
        if (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) read_some(&clients[i]);
    }
}

/* Somebody who comes while the server restarts is let in, served, and leaves. */
static void serve_newcomer(int fd)
{
    char in[512];
    size_t got = 0;
    const char *all = "new\nthink here\nquit\n";
    const char *expected =
        "By what name are you known?\r\nWelcome, new.\r\nYou think: here\r\nFarewell.\r\n";
    REQUIRE_INT((int64_t)strlen(all), send(fd, all, strlen(all), MSG_NOSIGNAL));
    for (ssize_t some = 1; some > 0; got += (size_t)some) {
        some = recv(fd, in + got, sizeof in - got, 0);
        REQUIRE(some >= 0);
    }
    REQUIRE(got == strlen(expected) && memcmp(in, expected, got) == 0);
    close(fd);
}

static pid_t start(const char *self, const char *model, int *told)
{
    int ends[2];
    REQUIRE_INT(0, pipe(ends));
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(self, self, "tcp://127.0.0.1:0", model, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *told = ends[0];
    return child;
}

/* The next line of the server's; empty where there is none as yet. */
static int heard(FILE *from, int waits, unsigned *port, unsigned *restart)
{
    struct pollfd polled = {fileno(from), POLLIN, 0};
    if (poll(&polled, 1, waits ? HARNESS_DEADLINE_MS : 0) == 0) return 0;
    REQUIRE_INT(2, fscanf(from, " mud: port %u, restart %u", port, restart));
    return 1;
}

static void drive(const char *self, uint32_t count, unsigned times, const char *model)
{
    unsigned port = 0, restart = 0;
    int told, late[NEWCOMERS];
    pid_t server = start(self, model, &told);
    FILE *from = fdopen(told, "r");
    REQUIRE(from && setvbuf(from, NULL, _IONBF, 0) == 0);
    REQUIRE(heard(from, 1, &port, &restart) && restart == 0);
    server_address.sin_port = htons((uint16_t)port);
    server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (uint32_t i = 0; i < count; i++) {
        struct client *client = &clients[i];
        client->fd = connected(i < SLOW ? 4096 : 0);
        client->number = i;
        client->len = (size_t)snprintf(client->out, sizeof client->out, "p%u\n", i);
        REQUIRE_INT(0, fcntl(client->fd, F_SETFL, O_NONBLOCK));
    }
    for (unsigned round = 1; round <= times; round++) {
        slow_reads = round % 2 == 0;
        for (uint64_t goal = answers + count; answers < goal;) traffic(count, 1);
        REQUIRE_INT(0, kill(server, SIGUSR1));
        for (int at = 0; at < NEWCOMERS || !heard(from, 0, &port, &restart); at++) {
            if (at < NEWCOMERS) late[at] = connected(0);
            traffic(count, 1);
        }
        REQUIRE_INT(round, restart);
        for (int at = 0; at < NEWCOMERS; at++) serve_newcomer(late[at]);
    }
    slow_reads = 1;
    for (int waits = 1; waits;) {
        waits = 0;
        traffic(count, 0);
        for (uint32_t i = 0; i < count; i++) waits |= clients[i].answered != clients[i].asked;
    }
    int status;
    REQUIRE_INT(0, kill(server, SIGTERM));
    REQUIRE_INT(server, waitpid(server, &status, 0));
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fclose(from);
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strncmp(argv[1], "tcp:", 4) == 0 || strcmp(argv[1], "--restored") == 0))
        return mud_main(argc, argv);
    struct rlimit most;
    char self[4096] = {0};
    int64_t begun = harness_now_ms();
    unsigned long many = argc > 2 ? strtoul(argv[2], NULL, 10) : MOST;
    unsigned long times = argc > 3 ? strtoul(argv[3], NULL, 10) : 20;
    if (argc > 2) alarm(600);
    else harness_watchdog();
    REQUIRE(many > 0 && many <= MOST && times > 0);
    REQUIRE_INT(0, getrlimit(RLIMIT_NOFILE, &most));
    most.rlim_cur = most.rlim_max;
    REQUIRE_INT(0, setrlimit(RLIMIT_NOFILE, &most));
    REQUIRE(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    drive(self, (uint32_t)many, (unsigned)times, argc > 4 ? argv[4] : "select");
    printf("%lu players, %lu restarts, %" PRIu64 " answers in %" PRId64 " ms\n", many, times,
           answers, harness_now_ms() - begun);
    return 0;
}

#else

/* What a descriptor is, and what exec does, is asked where the programs run. */
int main(void) { return 0; }

#endif
