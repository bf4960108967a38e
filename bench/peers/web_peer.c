/* The yardstick of WebSocket: the epoll loop of epoll_peer.c with the framing of RFC 6455 and no
   more. It looks at heads, takes the masks off where the bytes stand, and makes the answers beside
   them; all answers to one recv leave in one send. No fragments, no control frames, no limits but
   that of a payload: the load has none of these.

   Half a frame is kept in memory of the connection until its end comes. */
#include "peer.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 65536, REQUEST_MOST = 4096, BINARY = 0x82, MASKED = 0x80 };

struct bytes {
    uint8_t *data;
    size_t size;
};

struct conn {
    /* Received, and no whole request or frame; what the socket had no room for. */
    struct bytes part, rest;
    size_t sent;
    int fd;
    uint32_t place;
    bool open;
};

static struct options options;
/* Those that are open. */
static struct conn **conns;
static uint32_t count, room;
static int poller, door;
static uint64_t missed;
static uint8_t buffer[BUFFER];
/* Answers to what is in the buffer, or in a part. */
static struct bytes out;
static size_t out_room;

static void watch(int operation, int fd, uint32_t interest, void *what)
{
    struct epoll_event event = {.events = interest, .data = {.ptr = what}};
    if (epoll_ctl(poller, operation, fd, &event) < 0) die("epoll_ctl");
}

static void append(struct bytes *to, const uint8_t *data, size_t size)
{
    to->data = need(realloc(to->data, to->size + size));
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void forget(struct bytes *bytes)
{
    free(bytes->data);
    bytes->data = NULL;
    bytes->size = 0;
}

static void drop(struct conn *conn)
{
    if (conn->open) {
        conns[conn->place] = conns[--count];
        conns[conn->place]->place = conn->place;
    }
    close(conn->fd);
    forget(&conn->part);
    forget(&conn->rest);
    free(conn);
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0) die("accept");
        struct conn *conn = need(calloc(1, sizeof *conn));
        conn->fd = fd;
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, conn);
    }
}

/* false: the connection is broken. */
static bool put(struct conn *conn, const uint8_t *data, size_t size)
{
    ssize_t sent = 0;
    bool first = !conn->rest.data;
    if (first) {
        sent = send(conn->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) sent = 0;
    }
    if ((size_t)sent == size) return true;
    append(&conn->rest, data + sent, size - (size_t)sent);
    uint32_t reads = options.job == JOB_BROADCAST ? EPOLLIN : 0;
    if (first) watch(EPOLL_CTL_MOD, conn->fd, EPOLLOUT | reads, conn);
    return true;
}

static bool writable(struct conn *conn)
{
    struct bytes *rest = &conn->rest;
    ssize_t sent = send(conn->fd, rest->data + conn->sent, rest->size - conn->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    conn->sent += (size_t)sent;
    if (conn->sent < rest->size) return true;
    forget(rest);
    conn->sent = 0;
    watch(EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
    return true;
}

/* --- the protocol ---------------------------------------------------------------------------- */

/* Puts the head of a server's frame; gives its length. */
static size_t put_head(uint8_t *to, uint64_t size)
{
    to[0] = BINARY;
    if (size < 126) {
        to[1] = (uint8_t)size;
        return 2;
    }
    if (size <= UINT16_MAX) {
        to[1] = 126;
        to[2] = (uint8_t)(size >> 8);
        to[3] = (uint8_t)size;
        return 4;
    }
    to[1] = 127;
    put_u64(to + 2, size);
    return 10;
}

/* Answers a whole request; false: it is none. */
static bool answer(struct conn *conn, char *request)
{
    static const char NAME[] = "\r\nSec-WebSocket-Key: ";
    static const char MAGIC[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char key[128], text[256];
    uint8_t hash[SHA_DIGEST_LENGTH], accept[2 * SHA_DIGEST_LENGTH];
    char *begin = strstr(request, NAME);
    char *end = begin ? strstr(begin + 2, "\r\n") : NULL;
    if (!end || end - begin > 80) return false;
    *end = 0;
    snprintf(key, sizeof key, "%s%s", begin + sizeof NAME - 1, MAGIC);
    SHA1((const uint8_t *)key, strlen(key), hash);
    EVP_EncodeBlock(accept, hash, sizeof hash);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             (const char *)accept);
    if (!put(conn, (const uint8_t *)text, strlen(text))) return false;
    if (count == room) {
        room = room ? room * 2 : 64;
        conns = need(realloc(conns, room * sizeof *conns));
    }
    conn->place = count;
    conns[count++] = conn;
    conn->open = true;
    return true;
}

/* XORs `size` bytes with the mask, eight at a time, to another place. */
static void unmask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t *mask)
{
    uint64_t word, eight;
    size_t at = 0;
    memcpy(&word, mask, 4);
    memcpy((uint8_t *)&word + 4, mask, 4);
    for (; at + 8 <= size; at += 8) {
        memcpy(&eight, from + at, 8);
        eight ^= word;
        memcpy(to + at, &eight, 8);
    }
    for (; at < size; at++) to[at] = from[at] ^ mask[at & 3];
}

/* Echoes the frame that `size` bytes begin with. Its length; 0: it is not whole; else: broken. */
static ptrdiff_t frame(const uint8_t *data, size_t size)
{
    size_t head = 6;
    uint64_t payload;
    if (size < 2) return 0;
    if (data[0] != BINARY || !(data[1] & MASKED)) return -1;
    payload = data[1] & 0x7f;
    if (payload == 126) head = 8;
    if (payload == 127) head = 14;
    if (size < head) return 0;
    if (payload == 126) payload = (uint64_t)data[2] << 8 | data[3];
    if (payload == 127) payload = (uint64_t)get_u32(data + 2) << 32 | get_u32(data + 6);
    if (payload > PAYLOAD_MOST) return -1;
    if (size - head < payload) return 0;
    if (options.job == JOB_ECHO) {
        if (out_room - out.size < payload + 10) {
            out_room = 2 * (out.size + payload + 10);
            out.data = need(realloc(out.data, out_room));
        }
        out.size += put_head(out.data + out.size, payload);
        unmask(out.data + out.size, data + head, payload, data + head - 4);
        out.size += payload;
    }
    return (ptrdiff_t)(head + payload);
}

/* Takes what is whole of the bytes; keeps the rest. false: the connection has to go. */
static bool take(struct conn *conn, uint8_t *data, size_t size)
{
    bool parted = conn->part.data != NULL;
    size_t at = 0;
    if (parted) {
        append(&conn->part, data, size);
        data = conn->part.data;
        size = conn->part.size;
    }
    if (!conn->open) {
        char request[REQUEST_MOST + 1];
        if (size > REQUEST_MOST) return false;
        memcpy(request, data, size);
        request[size] = 0;
        char *end = strstr(request, "\r\n\r\n");
        if (end) {
            at = (size_t)(end - request) + 4;
            end[2] = 0;
            if (!answer(conn, request)) return false;
        }
    }
    out.size = 0;
    while (conn->open && at < size) {
        ptrdiff_t took = frame(data + at, size - at);
        if (took < 0) return false;
        if (!took) break;
        at += (size_t)took;
    }
    if (out.size && !put(conn, out.data, out.size)) return false;
    struct bytes left = {NULL, 0};
    if (at < size) append(&left, data + at, size - at);
    if (parted) forget(&conn->part);
    conn->part = left;
    return true;
}

/* --- the loop -------------------------------------------------------------------------------- */

static bool readable(struct conn *conn)
{
    ssize_t got = recv(conn->fd, buffer, sizeof buffer, 0);
    if (got < 0) return errno == EAGAIN;
    return got > 0 && take(conn, buffer, (size_t)got);
}

static bool turn(int timeout)
{
    static struct epoll_event events[EVENTS];
    int told = epoll_wait(poller, events, EVENTS, timeout);
    if (told < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < told; i++) {
        struct conn *conn = events[i].data.ptr;
        if (!conn) {
            accept_all();
            continue;
        }
        uint32_t ready = events[i].events;
        bool good = !conn->rest.data || !(ready & ~(uint32_t)EPOLLIN) || writable(conn);
        if (good && (ready & ~(uint32_t)EPOLLOUT)) good = readable(conn);
        if (!good) drop(conn);
    }
    return told == EVENTS;
}

static void broadcast(const uint8_t *bytes)
{
    static uint8_t *message;
    if (!message) message = need(malloc(options.size + 10));
    for (uint32_t i = 0; i < options.burst; i++) {
        size_t head = put_head(message, options.size);
        memcpy(message + head, bytes + (size_t)i * options.size, options.size);
        /* From the end: who is dropped leaves its place to the last, which was served before. */
        for (uint32_t at = count; at-- > 0;) {
            struct conn *conn = conns[at];
            if (conn->rest.size - conn->sent > UNWRITTEN_MOST) {
                missed++;
            } else if (!put(conn, message, head + options.size)) {
                drop(conn);
            }
        }
    }
}

static void open_door(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door < 0) die("socket");
    if (setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("nodelay");
    if (bind(door, (struct sockaddr *)&address, size) < 0) die("bind");
    if (listen(door, PEER_BACKLOG) < 0) die("listen");
    if (getsockname(door, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    watch(EPOLL_CTL_ADD, door, EPOLLIN, NULL);
    peer_listening(ntohs(address.sin_port), "");
}

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", NULL};
    struct ticker ticker;
    options_read(&options, argc, argv, FORMS);
    if (options.job == JOB_TICK) usage("it has no --job tick", FORMS);
    peer_start();
    thread_name("game");
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) die("epoll_create1");
    open_door();
    while (options.job == JOB_ECHO) turn(-1);
    uint8_t *burst = need(malloc((size_t)options.burst * options.size));
    ticker_start(&ticker, options.period_ms);
    for (;;) {
        uint64_t intended = ticker_sleep(&ticker);
        while (turn(0)) {
        }
        broadcast_burst(burst, &options, ticker.number, intended);
        broadcast(burst);
    }
}
