/* A server on libuv, to be measured:   libuv_peer [--form F] [--job J] ... (see peer.h)

   loop:    one thread; what a read brings is written back with uv_try_write, unseen.
   typical: the loop on its own thread, the game on another; a malloc for each message and each
            reply, uv_async_send and one uv_write for each reply.
   expert:  the loop reads straight into the batch (alloc_cb gives room in its arena), hands it over
            in uv_check with one lock, and looks for replies in uv_prepare, the last moment before
            it sleeps: so the game needs uv_async_send only for a loop that does sleep. All replies
            of a connection go with one uv_try_write; what the socket does not take is copied, and
            later rests join it, so that one uv_write carries them all.
   eventfd: as expert, but the game wakes the loop by an eventfd watched with uv_poll.
   inline:  no second thread: the game itself calls uv_run, plays, and writes gathered replies. */
#include "game.h"
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

enum form { LOOP, TYPICAL, EXPERT, EVENTFD, INLINE };

static const char *const FORMS[] = {"loop", "typical", "expert", "eventfd", "inline", NULL};

struct bytes {
    uint8_t *data;
    size_t used, room;
};

struct conn {
    uv_tcp_t tcp;
    uint64_t id;
    struct splitter splitter;
    /* The one uv_write that carries what uv_try_write could not, and what will be the next one. */
    uv_write_t request;
    struct bytes flying, waiting;
    bool writing;
    /* It is not read while too much is unwritten. */
    bool paused;
};

/* A write of the typical form. */
struct request {
    uv_write_t write;
    struct message *message;
};

static struct {
    struct options options;
    enum form form;
    uv_loop_t *loop;
    uv_tcp_t door;
    struct table table;
    struct game game;
    uv_async_t async;
    uv_poll_t bell;
    int bell_fd;
    uv_prepare_t prepare;
    uv_check_t check;
    struct mailbox outbox;
    uint64_t missed;
    char received[RECEIVE_SIZE];
} peer;

static void demand(const char *what, int status)
{
    if (status >= 0) return;
    fprintf(stderr, "libuv_peer: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static uv_stream_t *stream(struct conn *conn)
{
    return (uv_stream_t *)&conn->tcp;
}

static size_t unwritten(const struct conn *conn)
{
    return conn->tcp.write_queue_size + conn->waiting.used;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    splitter_free(&conn->splitter);
    free(conn->flying.data);
    free(conn->waiting.data);
    free(conn);
}

static void tell(uint64_t id, bool joined)
{
    if (peer.form == LOOP) return;
    if (peer.form == TYPICAL) {
        typical_tell(&peer.game, id, joined);
    } else {
        expert_tell(&peer.game, id, joined);
    }
}

static void leave(struct conn *conn)
{
    if (uv_is_closing((uv_handle_t *)&conn->tcp)) return;
    table_remove(&peer.table, conn->id);
    tell(conn->id, false);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t wish, uv_buf_t *buffer)
{
    (void)handle;
    (void)wish;
    bool plain = peer.form == LOOP || peer.form == TYPICAL;
    buffer->base = plain ? peer.received : (char *)expert_room(&peer.game);
    buffer->len = RECEIVE_SIZE;
}

static void on_read(uv_stream_t *from, ssize_t size, const uv_buf_t *buffer);

static void on_connection(uv_stream_t *door, int status)
{
    if (status < 0) return;
    struct conn *conn = need(calloc(1, sizeof *conn));
    demand("tcp", uv_tcp_init(peer.loop, &conn->tcp));
    conn->tcp.data = conn;
    if (uv_accept(door, stream(conn)) < 0 || uv_tcp_nodelay(&conn->tcp, 1) < 0 ||
        uv_read_start(stream(conn), on_alloc, on_read) < 0) {
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
        return;
    }
    conn->id = table_add(&peer.table, conn);
    tell(conn->id, true);
}

/* --- writing --------------------------------------------------------------------------------- */

/* A peer that does not read what it asked for is not read either; a broadcast skips it instead. */
static void pause_if_slow(struct conn *conn)
{
    size_t most = peer.form == LOOP ? 0 : UNWRITTEN_MOST;
    if (conn->paused || peer.options.job == JOB_BROADCAST || unwritten(conn) <= most) return;
    uv_read_stop(stream(conn));
    conn->paused = true;
}

static void go_on_reading(struct conn *conn)
{
    if (!conn->paused) return;
    conn->paused = false;
    if (uv_read_start(stream(conn), on_alloc, on_read) < 0) leave(conn);
}

static void bytes_add(struct bytes *bytes, const uint8_t *data, size_t size)
{
    if (bytes->room - bytes->used < size) {
        while (bytes->room - bytes->used < size) bytes->room = bytes->room ? bytes->room * 2 : 4096;
        bytes->data = need(realloc(bytes->data, bytes->room));
    }
    memcpy(bytes->data + bytes->used, data, size);
    bytes->used += size;
}

static void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

static void on_written(uv_write_t *request, int status);

/* Gives the bytes that wait to libuv. false: the connection is gone. */
static bool fly(struct conn *conn)
{
    struct bytes empty = conn->flying;
    conn->flying = conn->waiting;
    conn->waiting = empty;
    conn->waiting.used = 0;
    conn->writing = true;
    uv_buf_t buffer = {.base = (char *)conn->flying.data, .len = conn->flying.used};
    if (!uv_write(&conn->request, stream(conn), &buffer, 1, on_written)) return true;
    leave(conn);
    return false;
}

static void on_written(uv_write_t *request, int status)
{
    struct conn *conn = request->handle->data;
    conn->writing = false;
    if (status < 0) {
        leave(conn);
    } else if (conn->waiting.used) {
        fly(conn);
    } else {
        bytes_free(&conn->flying);
        bytes_free(&conn->waiting);
        go_on_reading(conn);
    }
}

/* Copies all but the first `sent` bytes, to be written when the socket has room. */
static bool keep(struct conn *conn, const struct iovec *pieces, int count, size_t sent)
{
    for (int i = 0; i < count; i++) {
        size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        bytes_add(&conn->waiting, (uint8_t *)pieces[i].iov_base + skip, pieces[i].iov_len - skip);
        sent -= skip;
    }
    if (!conn->writing && !fly(conn)) return false;
    pause_if_slow(conn);
    return true;
}

/* A batch_writer. */
static bool put(void *item, const struct iovec *pieces, int count, size_t size)
{
    struct conn *conn = item;
    size_t before = unwritten(conn);
    int sent = 0;
    if (before > UNWRITTEN_MOST && peer.options.job == JOB_BROADCAST) {
        peer.missed += size / peer.options.size;
        return true;
    }
    if (!before) {
        /* On Unix a uv_buf_t is an iovec. */
        sent = uv_try_write(stream(conn), (const uv_buf_t *)pieces, (unsigned)count);
        if (sent < 0 && sent != UV_EAGAIN) {
            leave(conn);
            return false;
        }
        if (sent < 0) sent = 0;
    }
    return (size_t)sent == size || keep(conn, pieces, count, (size_t)sent);
}

static bool put_bytes(struct conn *conn, uint8_t *data, size_t size)
{
    struct iovec piece = {.iov_base = data, .iov_len = size};
    return put(conn, &piece, 1, size);
}

/* The game's turn where it has no thread of its own: over what was received, and its replies. */
static void play_inline(uint64_t intended)
{
    game_play(&peer.game, peer.game.incoming);
    batch_clear(peer.game.incoming);
    if (peer.options.job == JOB_BROADCAST) game_broadcast(&peer.game, intended);
    batch_write(peer.game.outgoing, &peer.table, put);
    batch_clear(peer.game.outgoing);
}

/* --- reading --------------------------------------------------------------------------------- */

static bool inline_received(struct conn *conn, size_t size)
{
    struct batch *in = peer.game.incoming;
    if (peer.options.job == JOB_BROADCAST) return true;
    bool good = batch_received(in, conn->id, &conn->splitter, size);
    if (in->used >= BATCH_FULL) play_inline(0);
    return good;
}

static void on_read(uv_stream_t *from, ssize_t got, const uv_buf_t *buffer)
{
    struct conn *conn = from->data;
    uint8_t *data = (uint8_t *)buffer->base;
    bool good = true;
    if (got == 0) return;
    if (got < 0) {
        good = false;
    } else if (peer.form == TYPICAL) {
        good = typical_received(&peer.game, conn->id, &conn->splitter, data, (size_t)got);
    } else if (peer.form == INLINE) {
        good = inline_received(conn, (size_t)got);
    } else if (peer.form != LOOP) {
        good = expert_received(&peer.game, conn->id, &conn->splitter, (size_t)got);
    } else if (peer.options.job != JOB_BROADCAST) {
        put_bytes(conn, data, (size_t)got);
    }
    if (!good) leave(conn);
    if (peer.form == EXPERT || peer.form == EVENTFD)
        expert_ahead(&peer.game, &peer.table, put);
}

/* --- form: typical --------------------------------------------------------------------------- */

static void on_typical_written(uv_write_t *write, int status)
{
    struct request *request = (struct request *)write;
    struct conn *conn = write->handle->data;
    free(request->message);
    free(request);
    if (status < 0) {
        leave(conn);
    } else if (!unwritten(conn)) {
        go_on_reading(conn);
    }
}

static void typical_write(struct conn *conn, struct message *message)
{
    struct request *request = need(malloc(sizeof *request));
    uv_buf_t buffer = {.base = (char *)message_data(message), .len = message->size};
    request->message = message;
    if (uv_write(&request->write, stream(conn), &buffer, 1, on_typical_written) < 0) {
        free(message);
        free(request);
        leave(conn);
        return;
    }
    pause_if_slow(conn);
}

static void on_replies(uv_async_t *async)
{
    (void)async;
    struct message *next;
    for (struct message *message = mailbox_take_all(&peer.outbox); message; message = next) {
        next = message->next;
        typical_taken(&peer.game);
        struct conn *conn = table_find(&peer.table, message->conn);
        bool slow = conn && unwritten(conn) > UNWRITTEN_MOST;
        if (conn && !(slow && peer.options.job == JOB_BROADCAST)) {
            typical_write(conn, message);
            continue;
        }
        if (conn) peer.missed++;
        free(message);
    }
}

static void post_typical(void *context, struct message *reply)
{
    (void)context;
    mailbox_put(&peer.outbox, reply);
    uv_async_send(&peer.async);
}

static void run_typical(void)
{
    mailbox_init(&peer.outbox);
    peer.game.post = post_typical;
    demand("async", uv_async_init(peer.loop, &peer.async, on_replies));
    game_start(&peer.game, typical_thread);
    uv_run(peer.loop, UV_RUN_DEFAULT);
}

/* --- forms: expert, eventfd ------------------------------------------------------------------ */

/* Being woken is all: uv_prepare looks at the replies before the loop sleeps again. */
static void on_async(uv_async_t *async)
{
    (void)async;
}

static void on_bell(uv_poll_t *bell, int status, int events)
{
    uint64_t rings;
    (void)bell;
    (void)status;
    (void)events;
    if (read(peer.bell_fd, &rings, sizeof rings) < 0 && errno != EAGAIN) die("eventfd");
}

static void wake_by_async(void *context)
{
    (void)context;
    uv_async_send(&peer.async);
}

static void wake_by_eventfd(void *context)
{
    uint64_t one = 1;
    (void)context;
    if (write(peer.bell_fd, &one, sizeof one) < 0 && errno != EAGAIN) die("eventfd");
}

static void on_prepare(uv_prepare_t *prepare)
{
    (void)prepare;
    expert_write(&peer.game, &peer.table, put);
}

static void on_check(uv_check_t *check)
{
    (void)check;
    expert_awake(&peer.game);
    expert_publish(&peer.game);
}

static void run_expert(void)
{
    if (peer.form == EXPERT) {
        peer.game.wake = wake_by_async;
        demand("async", uv_async_init(peer.loop, &peer.async, on_async));
    } else {
        peer.game.wake = wake_by_eventfd;
        peer.bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (peer.bell_fd < 0) die("eventfd");
        demand("poll", uv_poll_init(peer.loop, &peer.bell, peer.bell_fd));
        demand("poll", uv_poll_start(&peer.bell, UV_READABLE, on_bell));
    }
    uv_prepare_init(peer.loop, &peer.prepare);
    uv_prepare_start(&peer.prepare, on_prepare);
    uv_check_init(peer.loop, &peer.check);
    uv_check_start(&peer.check, on_check);
    game_start(&peer.game, expert_thread);
    uv_run(peer.loop, UV_RUN_DEFAULT);
}

/* --- forms: inline, loop --------------------------------------------------------------------- */

static void run_inline(void)
{
    enum job job = peer.options.job;
    for (;;) {
        uint64_t intended = job == JOB_ECHO ? 0 : ticker_sleep(&peer.game.ticker);
        uv_run(peer.loop, job == JOB_ECHO ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        play_inline(intended);
    }
}

/* One write for each message, or one for all. */
static void loop_broadcast(struct conn *conn, uint8_t *burst)
{
    size_t size = peer.options.size;
    if (peer.options.gather) {
        put_bytes(conn, burst, size * peer.options.burst);
        return;
    }
    for (uint32_t i = 0; i < peer.options.burst; i++)
        if (!put_bytes(conn, burst + i * size, size)) return;
}

static void run_loop(void)
{
    enum job job = peer.options.job;
    struct ticker *ticker = &peer.game.ticker;
    uint8_t *burst = need(malloc((size_t)peer.options.size * peer.options.burst));
    if (job == JOB_ECHO) uv_run(peer.loop, UV_RUN_DEFAULT);
    for (;;) {
        uint64_t intended = ticker_sleep(ticker);
        uv_run(peer.loop, UV_RUN_NOWAIT);
        if (job != JOB_BROADCAST) continue;
        broadcast_burst(burst, &peer.options, ticker->number, intended);
        for (uint32_t i = 0; i < peer.table.count; i++)
            if (peer.table.slots[i].item) loop_broadcast(peer.table.slots[i].item, burst);
    }
}

static void open_door(void)
{
    struct sockaddr_in address;
    struct sockaddr *any = (struct sockaddr *)&address;
    int size = sizeof address;
    char facts[64];
    demand("address", uv_ip4_addr("127.0.0.1", 0, &address));
    demand("tcp", uv_tcp_init(peer.loop, &peer.door));
    demand("bind", uv_tcp_bind(&peer.door, any, 0));
    demand("listen", uv_listen((uv_stream_t *)&peer.door, PEER_BACKLOG, on_connection));
    demand("port", uv_tcp_getsockname(&peer.door, any, &size));
    snprintf(facts, sizeof facts, "form=%s libuv=%s", peer.options.form, uv_version_string());
    peer_listening(ntohs(address.sin_port), facts);
}

int main(int argc, char **argv)
{
    options_read(&peer.options, argc, argv, FORMS);
    peer_start();
    while (strcmp(FORMS[peer.form], peer.options.form) != 0) peer.form++;
    peer.loop = uv_default_loop();
    game_init(&peer.game, &peer.options, NULL);
    thread_name(peer.form == LOOP || peer.form == INLINE ? "game" : "loop");
    open_door();
    if (peer.form == LOOP) run_loop();
    if (peer.form == INLINE) run_inline();
    if (peer.form == TYPICAL) run_typical();
    run_expert();
}
