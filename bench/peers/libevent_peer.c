/* A server on libevent 2.1, to be measured:   libevent_peer [--form F] [--job J] ... (see peer.h)

   loop:    one thread, bufferevents. What comes is written out of the input buffer at once, by
            evbuffer_write; a bufferevent that is left alone writes in its next turn, with two
            epoll_ctl and one more event for each echo (a quarter more CPU). It reads 4096 bytes
            at a time, for which there is no option.
   raw:     one thread, plain events with own recv and send: the floor of libevent.
   typical: bufferevents on the loop thread, which write as they like; each reply is announced by
            event_active, under libevent's own locks and with its own wake-up.
   expert:  plain events with own recv and send. The loop receives straight into the batch, hands it
            over at the end of each turn (EVLOOP_ONCE), and then writes what replies there are, one
            gathered write for each connection. The game rings an eventfd, and only for a loop that
            sleeps: so no other thread touches the base, which needs no locks. event_active under
            libevent's locks costs the same or 1-2 % more.

   Plain events are edge-triggered, which spares the kernel a second look at each socket (2-5 %);
   EV_CLOSED tells of an end that no further edge would tell. They lie in the connection: no
   allocation, no further cache line. The base does not ask for the time in each turn. */
#include "game.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* libevent asks epoll for so many events at first, and for twice as many after each full
       answer, up to the second number. */
    EVENTS_FIRST = 32,
    EVENTS_MOST = 4096,
    /* So often a tick looks at the loop at most: who sends without end does not stop the game. */
    LOOKS_MOST = 64,
    /* And a connection is received from so often in one turn. */
    RECEIVES_MOST = 8
};

static const char *const FORMS[] = {"loop", "raw", "typical", "expert", NULL};

static struct options options;
static struct event_base *base;
static struct evconnlistener *door;
static bool door_shut;
/* Makes a connection of a descriptor. */
static void (*come)(int fd);
/* All connections; a struct stream or a struct plain each. */
static struct table table;
static struct game game;
/* Broadcasts that a connection did not get, for having too much unwritten. */
static uint64_t missed;
/* What is received where nothing is kept, and the messages of a tick. */
static uint8_t received[RECEIVE_SIZE];
static uint8_t *burst;

/* --- the base ------------------------------------------------------------------------------- */

static void make_base(int flags)
{
    struct event_config *config = event_config_new();
    flags |= EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NO_CACHE_TIME;
    if (!config || event_config_set_flag(config, flags) < 0) die("event_config");
    base = event_base_new_with_config(config);
    if (!base) die("event_base");
    event_config_free(config);
}

/* Out of descriptors: those who want to come wait in the queue until somebody leaves. */
static void on_refused(struct evconnlistener *listener, void *unused)
{
    (void)unused;
    evconnlistener_disable(listener);
    door_shut = true;
}

static void left(void)
{
    if (!door_shut) return;
    door_shut = false;
    evconnlistener_enable(door);
}

static void on_accept(struct evconnlistener *listener, int fd, struct sockaddr *from, int size,
                      void *context)
{
    (void)listener;
    (void)from;
    (void)size;
    (void)context;
    int one = 1;
    /* It can fail for a peer that has gone already, which is found out soon. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    come(fd);
}

static void open_door(void (*on_come)(int fd))
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    char facts[100];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    come = on_come;
    door = evconnlistener_new_bind(base, on_accept, NULL,
                                   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, PEER_BACKLOG,
                                   (struct sockaddr *)&address, sizeof address);
    if (!door) die("listen");
    evconnlistener_set_error_cb(door, on_refused);
    if (getsockname(evconnlistener_get_fd(door), (struct sockaddr *)&address, &size) < 0)
        die("getsockname");
    const char *method = event_base_get_method(base);
    snprintf(facts, sizeof facts, "library=libevent-%s method=%.*s form=%s", event_get_version(),
             (int)strcspn(method, " "), method, options.form);
    peer_listening(ntohs(address.sin_port), facts);
}

/* Looks at the loop once, without waiting; how many events there were. */
static uint32_t look(void)
{
    if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) die("loop");
    return (uint32_t)event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 1);
}

/* --- bufferevents --------------------------------------------------------------------------- */

struct stream {
    struct bufferevent *events;
    uint64_t id;
    struct splitter splitter;
    /* The peer does not take what we write: nothing more is read from it. */
    bool paused;
    /* loop, tick: it is in `dirty`. */
    bool is_dirty;
};

/* loop, tick: who has sent something. */
static uint64_t *dirty;
static size_t dirty_count, dirty_room;
/* loop, broadcast: what is to be written. */
static struct evbuffer *scratch;

static void stream_callbacks(struct stream *stream);

static void stream_free(struct stream *stream)
{
    table_remove(&table, stream->id);
    splitter_free(&stream->splitter);
    bufferevent_free(stream->events);
    free(stream);
    left();
}

static void on_gone(struct bufferevent *events, short what, void *context)
{
    struct stream *stream = context;
    (void)events;
    (void)what;
    if (game.options) typical_tell(&game, stream->id, false);
    stream_free(stream);
}

static void on_written(struct bufferevent *events, void *context)
{
    struct stream *stream = context;
    stream->paused = false;
    stream_callbacks(stream);
    bufferevent_enable(events, EV_READ);
}

static size_t stream_unwritten(const struct stream *stream)
{
    return evbuffer_get_length(bufferevent_get_output(stream->events));
}

/* After each addition to the output buffer. */
static void stream_pause_if_slow(struct stream *stream)
{
    if (stream->paused || options.job == JOB_BROADCAST) return;
    if (stream_unwritten(stream) <= UNWRITTEN_MOST) return;
    stream->paused = true;
    stream_callbacks(stream);
    bufferevent_disable(stream->events, EV_READ);
}

/* loop: writes now, unless something waits already; the rest waits in the output buffer. An error
   is left to libevent, which will meet it again. */
static void stream_write_now(struct stream *stream, struct evbuffer *bytes)
{
    if (!stream_unwritten(stream)) evbuffer_write(bytes, bufferevent_getfd(stream->events));
    if (!evbuffer_get_length(bytes)) return;
    bufferevent_write_buffer(stream->events, bytes);
    stream_pause_if_slow(stream);
}

static void stream_mark(struct stream *stream)
{
    if (stream->is_dirty) return;
    stream->is_dirty = true;
    if (dirty_count == dirty_room) {
        dirty_room = dirty_room ? dirty_room * 2 : 256;
        dirty = need(realloc(dirty, dirty_room * sizeof *dirty));
    }
    dirty[dirty_count++] = stream->id;
}

static void on_read_loop(struct bufferevent *events, void *context)
{
    struct evbuffer *input = bufferevent_get_input(events);
    if (options.job == JOB_TICK) {
        stream_mark(context);
    } else if (options.job == JOB_BROADCAST) {
        evbuffer_drain(input, evbuffer_get_length(input));
    } else {
        stream_write_now(context, input);
    }
}

static void on_read_typical(struct bufferevent *events, void *context)
{
    struct evbuffer *input = bufferevent_get_input(events);
    struct stream *stream = context;
    size_t size;
    while ((size = evbuffer_get_contiguous_space(input)) > 0) {
        const uint8_t *data = evbuffer_pullup(input, (ssize_t)size);
        if (!typical_received(&game, stream->id, &stream->splitter, data, size)) {
            on_gone(events, BEV_EVENT_ERROR, stream);
            return;
        }
        evbuffer_drain(input, size);
    }
}

static void stream_callbacks(struct stream *stream)
{
    bufferevent_setcb(stream->events, game.options ? on_read_typical : on_read_loop,
                      stream->paused ? on_written : NULL, on_gone, stream);
}

static void stream_open(int fd)
{
    struct stream *stream = need(calloc(1, sizeof *stream));
    stream->events = need(bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE));
    stream->id = table_add(&table, stream);
    stream_callbacks(stream);
    if (bufferevent_enable(stream->events, EV_READ) < 0) {
        stream_free(stream);
        return;
    }
    if (game.options) typical_tell(&game, stream->id, true);
}

/* --- loop ----------------------------------------------------------------------------------- */

static void loop_broadcast(void)
{
    size_t all = (size_t)options.size * options.burst, step = options.gather ? all : options.size;
    for (uint32_t i = 0; i < table.count; i++) {
        if (!table.slots[i].item) continue;
        for (size_t at = 0; at < all; at += step) {
            if (stream_unwritten(table.slots[i].item) > UNWRITTEN_MOST) {
                missed++;
                continue;
            }
            evbuffer_add(scratch, burst + at, step);
            stream_write_now(table.slots[i].item, scratch);
        }
    }
}

static void loop_echo_dirty(void)
{
    for (size_t i = 0; i < dirty_count; i++) {
        struct stream *stream = table_find(&table, dirty[i]);
        if (!stream) continue;
        stream->is_dirty = false;
        stream_write_now(stream, bufferevent_get_input(stream->events));
    }
    dirty_count = 0;
}

/* One tick: all that came is read (a turn of the loop reads 4096 bytes of a connection), then
   answered. */
static void loop_tick(struct ticker *ticker)
{
    uint64_t intended = ticker_sleep(ticker);
    for (int looks = 0; looks < LOOKS_MOST && look(); looks++) {
    }
    if (options.job == JOB_BROADCAST) {
        broadcast_burst(burst, &options, ticker->number, intended);
        loop_broadcast();
    } else {
        loop_echo_dirty();
    }
}

/* --- plain events --------------------------------------------------------------------------- */

/* expert: the game knows that it need not wake us. */
static bool awake;

struct plain {
    struct event read, write;
    uint64_t id;
    struct splitter splitter;
    /* What the socket had no room for. */
    uint8_t *rest;
    size_t rest_size, rest_sent, rest_room;
    /* It has too large a rest, and is not read. */
    bool paused;
};

static void plain_close(struct plain *conn)
{
    int fd = event_get_fd(&conn->read);
    event_del(&conn->read);
    event_del(&conn->write);
    if (game.options) expert_tell(&game, conn->id, false);
    table_remove(&table, conn->id);
    splitter_free(&conn->splitter);
    free(conn->rest);
    free(conn);
    close(fd);
    left();
}

/* Keeps what is behind the first `taken` bytes of the pieces. */
static void plain_keep(struct plain *conn, const struct iovec *pieces, int count, size_t taken,
                       size_t size)
{
    size_t have = conn->rest_size - conn->rest_sent;
    if (conn->rest_room - conn->rest_size < size - taken) {
        while (conn->rest_room < have + size - taken)
            conn->rest_room = conn->rest_room ? conn->rest_room * 2 : RECEIVE_SIZE;
        uint8_t *rest = need(malloc(conn->rest_room));
        if (have) memcpy(rest, conn->rest + conn->rest_sent, have);
        free(conn->rest);
        conn->rest = rest;
        conn->rest_size = have;
        conn->rest_sent = 0;
    }
    for (int i = 0; i < count; i++) {
        size_t length = pieces[i].iov_len, skip = taken < length ? taken : length;
        const uint8_t *from = pieces[i].iov_base;
        taken -= skip;
        memcpy(conn->rest + conn->rest_size, from + skip, length - skip);
        conn->rest_size += length - skip;
    }
    if (!have) event_add(&conn->write, NULL);
    bool few = conn->rest_size - conn->rest_sent <= UNWRITTEN_MOST;
    if (few || conn->paused || options.job == JOB_BROADCAST) return;
    conn->paused = true;
    event_del(&conn->read);
}

/* Sends the pieces, and keeps what the socket has no room for. false: the connection is gone. */
static bool plain_write(void *item, const struct iovec *pieces, int count, size_t size)
{
    struct plain *conn = item;
    ssize_t sent = 0;
    if (conn->rest) {
        if (options.job == JOB_BROADCAST && conn->rest_size - conn->rest_sent > UNWRITTEN_MOST) {
            missed++;
            return true;
        }
    } else if (count == 1) {
        sent = send(event_get_fd(&conn->read), pieces->iov_base, size, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                                 .msg_iovlen = (size_t)count};
        sent = sendmsg(event_get_fd(&conn->read), &message, MSG_NOSIGNAL);
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        plain_close(conn);
        return false;
    }
    if (sent < 0) sent = 0;
    if ((size_t)sent < size) plain_keep(conn, pieces, count, (size_t)sent, size);
    return true;
}

static void on_room(int fd, short what, void *context)
{
    struct plain *conn = context;
    (void)what;
    ssize_t sent = send(fd, conn->rest + conn->rest_sent, conn->rest_size - conn->rest_sent,
                        MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) plain_close(conn);
        return;
    }
    conn->rest_sent += (size_t)sent;
    if (conn->rest_sent < conn->rest_size) return;
    free(conn->rest);
    conn->rest = NULL;
    conn->rest_size = conn->rest_sent = conn->rest_room = 0;
    event_del(&conn->write);
    if (conn->paused) event_add(&conn->read, NULL);
    conn->paused = false;
}

/* `size` bytes have been received. false: the connection is gone. */
static bool plain_take(struct plain *conn, size_t size)
{
    if (!game.options) {
        struct iovec piece = {.iov_base = received, .iov_len = size};
        return options.job == JOB_BROADCAST || plain_write(conn, &piece, 1, size);
    }
    if (expert_received(&game, conn->id, &conn->splitter, size)) return true;
    plain_close(conn);
    return false;
}

/* Edge-triggered: until a short receive has emptied the socket, or its end has been seen. */
static void plain_receive(struct plain *conn, int fd, short what)
{
    for (int n = 0; n < RECEIVES_MOST; n++) {
        ssize_t got = recv(fd, game.options ? expert_room(&game) : received, RECEIVE_SIZE, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) {
            plain_close(conn);
            return;
        }
        if (!plain_take(conn, (size_t)got) || conn->paused) return;
        if (got < RECEIVE_SIZE && !(what & EV_CLOSED)) return;
    }
    /* The others' turn; this brings a new edge. */
    event_del(&conn->read);
    event_add(&conn->read, NULL);
}

static void on_readable(int fd, short what, void *context)
{
    if (game.options && !awake) expert_awake(&game);
    awake = true;
    plain_receive(context, fd, what);
    /* This may close any connection. */
    if (game.options) expert_ahead(&game, &table, plain_write);
}

static void plain_open(int fd)
{
    struct plain *conn = need(calloc(1, sizeof *conn));
    event_assign(&conn->read, base, fd, EV_READ | EV_CLOSED | EV_PERSIST | EV_ET, on_readable,
                 conn);
    event_assign(&conn->write, base, fd, EV_WRITE | EV_PERSIST | EV_ET, on_room, conn);
    conn->id = table_add(&table, conn);
    if (game.options) expert_tell(&game, conn->id, true);
    if (event_add(&conn->read, NULL) < 0) plain_close(conn);
}

/* --- raw ------------------------------------------------------------------------------------ */

/* Looks until epoll has given all that there was. */
static void raw_look(void)
{
    static uint32_t most = EVENTS_FIRST;
    while (look() >= most)
        if (most < EVENTS_MOST) most *= 2;
}

static void raw_broadcast(void)
{
    for (uint32_t i = 0; i < table.count; i++) {
        if (!table.slots[i].item) continue;
        for (uint32_t n = 0; n < options.burst; n++) {
            struct iovec piece = {.iov_base = burst + (size_t)n * options.size,
                                  .iov_len = options.size};
            if (!plain_write(table.slots[i].item, &piece, 1, options.size)) break;
        }
    }
}

static void raw_tick(struct ticker *ticker)
{
    uint64_t intended = ticker_sleep(ticker);
    raw_look();
    if (options.job == JOB_TICK) return;
    broadcast_burst(burst, &options, ticker->number, intended);
    raw_broadcast();
}

/* loop and raw. */
static void run_alone(void (*on_come)(int fd), void (*tick)(struct ticker *ticker))
{
    struct ticker ticker;
    make_base(EVENT_BASE_FLAG_NOLOCK);
    scratch = need(evbuffer_new());
    open_door(on_come);
    thread_name("game");
    ticker_start(&ticker, options.period_ms);
    while (options.job != JOB_ECHO) tick(&ticker);
    event_base_dispatch(base);
    die("loop");
}

/* --- typical -------------------------------------------------------------------------------- */

static struct mailbox replies;
static struct event *replied;

/* On the game thread: one reply. libevent wakes its loop if it sleeps. */
static void typical_post(void *context, struct message *reply)
{
    (void)context;
    mailbox_put(&replies, reply);
    event_active(replied, EV_READ, 0);
}

static void on_replied(int fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
    struct message *reply = mailbox_take_all(&replies), *next;
    for (; reply; reply = next) {
        struct stream *stream = table_find(&table, reply->conn);
        next = reply->next;
        if (stream && options.job == JOB_BROADCAST && stream_unwritten(stream) > UNWRITTEN_MOST) {
            missed++;
        } else if (stream) {
            bufferevent_write(stream->events, message_data(reply), reply->size);
            stream_pause_if_slow(stream);
        }
        typical_taken(&game);
        free(reply);
    }
}

static void run_typical(void)
{
    if (evthread_use_pthreads() < 0) die("evthread");
    /* Spares a system call when a write is done and the next one begins in the same turn. */
    make_base(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    game_init(&game, &options, NULL);
    game.post = typical_post;
    mailbox_init(&replies);
    replied = event_new(base, -1, EV_PERSIST, on_replied, NULL);
    if (!replied) die("event");
    open_door(stream_open);
    game_start(&game, typical_thread);
    thread_name("loop");
    event_base_dispatch(base);
    die("loop");
}

/* --- expert --------------------------------------------------------------------------------- */

static int bell;

static void expert_wake(void *context)
{
    uint64_t one = 1;
    (void)context;
    /* It cannot fail: nobody rings 2^64 times. */
    if (write(bell, &one, sizeof one) < 0) die("eventfd");
}

/* Nothing to do, and no need to read it: each ring is an edge of its own. */
static void on_bell(int fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

static void run_expert(void)
{
    make_base(EVENT_BASE_FLAG_NOLOCK);
    game_init(&game, &options, NULL);
    game.wake = expert_wake;
    bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell < 0) die("eventfd");
    struct event *rung = event_new(base, bell, EV_READ | EV_PERSIST | EV_ET, on_bell, NULL);
    if (!rung || event_add(rung, NULL) < 0) die("event");
    open_door(plain_open);
    game_start(&game, expert_thread);
    thread_name("loop");
    while (event_base_loop(base, EVLOOP_ONCE) >= 0) {
        expert_awake(&game);
        expert_publish(&game);
        expert_write(&game, &table, plain_write);
        awake = false;
    }
    die("loop");
}

int main(int argc, char **argv)
{
    options_read(&options, argc, argv, FORMS);
    peer_start();
    burst = need(malloc((size_t)options.size * options.burst));
    if (!strcmp(options.form, "loop")) run_alone(stream_open, loop_tick);
    if (!strcmp(options.form, "raw")) run_alone(plain_open, raw_tick);
    if (!strcmp(options.form, "typical")) run_typical();
    run_expert();
}
