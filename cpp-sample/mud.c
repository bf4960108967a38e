/* A MUD as they were written around select(): lines, one poll a pulse, no thread but this one. It
   keeps its players over exec(2), which a MUD calls a copyover: SIGUSR1, or the command "copyover".

     mud [URL [MODEL]]        mud tcp://0.0.0.0:4000 select

   A new program of the same name is what runs afterwards. The state is in a file of its own. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sockeye.h"

enum { PLAYERS = 4096, LINE = 512, PULSE_MS = 50 };
#define STATE "mud-%ld.state"
#define MAGIC "mud 1\n"

/* What a connection is in the state: its bytes follow, first those that came, then those that did
   not leave. */
struct record {
    int32_t fd;
    uint32_t unread, unsent;
    char name[24];
};

static struct player {
    sockeye_conn conn;
    char name[24]; /* empty: it has not said one */
} players[PLAYERS]; /* by sockeye_conn_index */

static sockeye_net *net;
static sockeye_listener door;
static sockeye_endpoint lines;
static char **arguments;
static int restarts;
static volatile sig_atomic_t running = 1, copyover;

static void on_signal(int number)
{
    copyover |= number == SIGUSR1;
    running &= number == SIGUSR1;
}

static struct player *player_of(sockeye_conn conn) { return &players[sockeye_conn_index(conn)]; }

/* A player who does not read is not waited for: who is too far behind misses what is said. */
static void tell(sockeye_conn conn, const char *format, ...)
{
    char text[LINE * 2];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (len > (int)sizeof text - 1) len = (int)sizeof text - 1;
    if (sockeye_send(net, conn, text, (size_t)len) == SOCKEYE_ERR_AGAIN)
        fprintf(stderr, "mud: a player is behind\n");
}

static void tell_all(const char *who, const char *what)
{
    for (int i = 0; i < PLAYERS; i++)
        if (players[i].name[0]) tell(players[i].conn, "%s %s\r\n", who, what);
}

static void obey(struct player *player, const char *line)
{
    if (!player->name[0]) {
        if (!line[0]) return;
        snprintf(player->name, sizeof player->name, "%.23s", line);
        tell(player->conn, "Welcome, %s.\r\n", player->name);
    } else if (strncmp(line, "say ", 4) == 0) {
        char what[LINE + 8];
        snprintf(what, sizeof what, "says: %s", line + 4);
        tell_all(player->name, what);
    } else if (strncmp(line, "think ", 6) == 0) {
        tell(player->conn, "You think: %s\r\n", line + 6);
    } else if (strcmp(line, "copyover") == 0) {
        copyover = 1;
    } else if (strcmp(line, "quit") == 0) {
        sockeye_close_with(net, player->conn, SOCKEYE_CLOSE_GRACEFUL, "Farewell.\r\n", 11);
    } else if (line[0]) {
        tell(player->conn, "Huh?\r\n");
    }
}

/* One poll. Returns how many events there were. */
static int32_t poll_once(int32_t timeout_ms)
{
    static sockeye_event events[256];
    int32_t count = sockeye_poll_events(net, events, 256, timeout_ms);
    for (int32_t i = 0; i < count; i++) {
        const sockeye_event *event = &events[i];
        char line[LINE + 1];
        if (event->kind == SOCKEYE_EVENT_OPENED) {
            player_of(event->conn)->conn = event->conn;
            if (event->listener.id) tell(event->conn, "By what name are you known?\r\n");
        } else if (event->kind == SOCKEYE_EVENT_CLOSED) {
            memset(player_of(event->conn), 0, sizeof(struct player));
        } else if (event->kind == SOCKEYE_EVENT_MESSAGE &&
                   sockeye_conn_is_open(net, event->conn) == 1) {
            memcpy(line, event->data, event->data_len); /* at most LINE: frame_max_bytes */
            line[event->data_len] = '\0';
            obey(player_of(event->conn), line);
        }
    }
    return count;
}

static int fail(const char *what, sockeye_status status)
{
    fprintf(stderr, "mud: %s: %s (%s)\n", what, sockeye_last_error(), sockeye_status_text(status));
    return 1;
}

/* The descriptor stays open over exec. */
static int keep(intptr_t handle) { return fcntl((int)handle, F_SETFD, 0) < 0 ? -1 : (int)handle; }

/* Takes one connection out of the net and writes it down. Who is about to leave stays behind. */
static int save_player(FILE *state, struct player *player)
{
    intptr_t handle;
    sockeye_buffer unread, unsent;
    sockeye_status status;
    while ((status = sockeye_conn_release(net, player->conn, &handle, &unread, &unsent)) ==
           SOCKEYE_ERR_BUSY)
        poll_once(1); /* something of it was still to be polled */
    if (status < 0) return status == SOCKEYE_ERR_CLOSED || status == SOCKEYE_ERR_STALE;
    struct record record = {keep(handle), unread.data_len, unsent.data_len, {0}};
    memcpy(record.name, player->name, sizeof record.name);
    fwrite(&record, sizeof record, 1, state);
    fwrite(unread.data, 1, unread.data_len, state);
    fwrite(unsent.data, 1, unsent.data_len, state);
    sockeye_buffer_release(&unread);
    sockeye_buffer_release(&unsent);
    return !ferror(state);
}

/* First the door, so that nobody comes in meanwhile: the system has them in its backlog. Then every
   player is paused and what they had said is obeyed; what follows is the new program's. */
static int save(FILE *state)
{
    intptr_t listening;
    sockeye_status status = sockeye_listener_release(net, door, &listening);
    if (status < 0) return fail("release the door", status), 0;
    struct record record = {keep(listening), 0, 0, {0}};
    fwrite(MAGIC, sizeof MAGIC, 1, state);
    fwrite(&record, sizeof record, 1, state);
    for (int i = 0; i < PLAYERS; i++)
        if (players[i].conn.id) sockeye_conn_pause(net, players[i].conn);
    while (poll_once(0) > 0) {}
    int well = !ferror(state);
    for (int i = 0; i < PLAYERS && well; i++)
        if (players[i].conn.id) well = save_player(state, &players[i]);
    return well;
}

static int restore(const char *path)
{
    char magic[sizeof MAGIC];
    struct record record;
    FILE *state = fopen(path, "rb");
    sockeye_status status = SOCKEYE_ERR_INVALID;
    if (state && fread(magic, sizeof magic, 1, state) && memcmp(magic, MAGIC, sizeof magic) == 0 &&
        fread(&record, sizeof record, 1, state))
        status = sockeye_listen_adopt(net, record.fd, &lines, &door);
    if (status < 0) return fail(path, status), 0;
    while (fread(&record, sizeof record, 1, state)) {
        uint32_t len = record.unread + record.unsent;
        char *bytes = malloc(len + 1);
        struct player player = {{0}, {0}};
        status = SOCKEYE_ERR_INVALID;
        if (bytes && fread(bytes, 1, len, state) == len)
            status = sockeye_conn_adopt(net, record.fd, &lines, bytes, record.unread, &player.conn);
        if (status < 0) {
            fail("a player is lost", status);
            close(record.fd);
        } else {
            memcpy(player.name, record.name, sizeof player.name);
            *player_of(player.conn) = player;
            if (record.unsent) /* before anything else is sent */
                status = sockeye_send(net, player.conn, bytes + record.unread, record.unsent);
            if (status < 0) sockeye_close(net, player.conn, SOCKEYE_CLOSE_RESET);
        }
        free(bytes);
    }
    fclose(state);
    remove(path);
    return 1;
}

/* Becomes the new program; where that fails, goes on as the old one. */
static int become(const char *path)
{
    char count[16];
    char *next[] = {arguments[0], "--restored", (char *)path, count, arguments[1], NULL};
    snprintf(count, sizeof count, "%d", restarts + 1);
    copyover = 0;
    FILE *state = fopen(path, "wb");
    if (!state) return perror(path), 1;
    int well = save(state);
    if (fclose(state) == 0 && well) execv(arguments[0], next);
    perror("mud: copyover");
    well = restore(path);
    for (int i = 0; i < PLAYERS; i++)
        if (players[i].conn.id) sockeye_conn_resume(net, players[i].conn);
    return well;
}

int main(int argc, char **argv)
{
    int restored = argc > 4 && strcmp(argv[1], "--restored") == 0;
    char path[64], *names[] = {argv[0], restored ? argv[4] : argc > 2 ? argv[2] : "select"};
    const char *url = argc > 1 && !restored ? argv[1] : "tcp://127.0.0.1:4000";
    arguments = names;
    restarts = restored ? atoi(argv[3]) : 0;
    snprintf(path, sizeof path, STATE, (long)getpid());
    struct sigaction action = {.sa_handler = on_signal};
    for (int at = 0; at < 3; at++) sigaction((int[]){SIGUSR1, SIGINT, SIGTERM}[at], &action, NULL);
    sockeye_config config;
    sockeye_config_init(&config, sizeof config);
    config.drive = SOCKEYE_DRIVE_HOST;
    config.workers = 0;
    config.connections_max = PLAYERS;
    if (sockeye_model_from_name(names[1], &config.model) < 0) return fail(names[1], -1);
    sockeye_status status = sockeye_init(&config, &net);
    if (status < 0) return fail("init", status);
    sockeye_endpoint_init(&lines, sizeof lines);
    lines.framing.kind = SOCKEYE_FRAMING_DELIMITER; /* of 0 bytes: lines */
    lines.framing.frame_max_bytes = LINE;
    lines.outbox_max_bytes = 256 << 10;
    lines.send_buffer_bytes = 16 << 10; /* who does not read holds little of the system's memory */
    if (!restored) status = sockeye_listen(net, url, &lines, &door);
    if (status < 0) return fail(url, status);
    if (restored && !restore(argv[2])) return 1;
    sockeye_listener_info info;
    sockeye_listener_get_info(net, door, &info, sizeof info);
    printf("mud: port %u, restart %d\n", info.port, restarts);
    fflush(stdout);
    while (running) {
        if (poll_once(PULSE_MS) < 0) break;
        if (copyover && !become(path)) return 1;
    }
    sockeye_shutdown(net, 1000);
    return sockeye_free(net) < 0;
}
