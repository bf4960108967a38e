/* The yardstick: the least that a server can do, in one thread with one epoll. It echoes bytes
   unseen: no framing, no queue, and what it read of a connection leaves in one send.

   loop: level-triggered. One recv and one send for a ready connection; while the socket is full, it
   is watched for room instead of bytes, so that nobody who does not read fills the memory.
   edge: registered once for both, never touched again. A short recv has emptied the socket, so the
   next one is left to the next edge; not so when the peer's end came with the bytes, for which
   there is no further edge.

   Accepted sockets inherit TCP_NODELAY from the listener: a system call less for each connection.
   Rests are kept in memory that goes when they are written. */
#include "peer.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 65536 };

/* A connection, by descriptor. */
struct conn {
    /* What the socket had no room for: bytes from `sent` to `size` of `rest`, or NULL. */
    uint8_t *rest;
    size_t sent, size, room;
    /* The tick in which it was last heard, counted from 1. */
    uint64_t heard;
    /* Its place in `fds`. */
    uint32_t place;
    /* Edge: bytes may lie there that no edge will tell of; the peer's end may. */
    bool unread, ended;
};

static struct options options;
static struct conn *conns;
static size_t conns_room;
/* The descriptors of all connections, in no order. */
static int *fds;
static uint32_t count;
static int poller, door;
static bool edge;
static uint64_t tick, missed;
static uint8_t buffer[BUFFER];

static void watch(int operation, int fd, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data = {.fd = fd}};
    if (epoll_ctl(poller, operation, fd, &event) < 0) die("epoll_ctl");
}

/* What a level-triggered connection is watched for. Echoes are not read while a rest waits. */
static uint32_t interest(bool rest)
{
    if (options.job == JOB_BROADCAST) return rest ? EPOLLIN | EPOLLOUT : EPOLLIN;
    return rest ? EPOLLOUT : EPOLLIN;
}

static void add(int fd)
{
    if ((size_t)fd >= conns_room) {
        size_t room = conns_room ? conns_room : 64;
        while (room <= (size_t)fd) room *= 2;
        conns = need(realloc(conns, room * sizeof *conns));
        fds = need(realloc(fds, room * sizeof *fds));
        memset(conns + conns_room, 0, (room - conns_room) * sizeof *conns);
        conns_room = room;
    }
    conns[fd].place = count;
    fds[count++] = fd;
    uint32_t both = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    watch(EPOLL_CTL_ADD, fd, edge ? both : interest(false));
}

static void drop(int fd)
{
    struct conn *conn = &conns[fd];
    int last = fds[--count];
    fds[conn->place] = last;
    conns[last].place = conn->place;
    free(conn->rest);
    memset(conn, 0, sizeof *conn);
    close(fd);
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            die("accept");
        } else if (errno != ECONNABORTED && errno != EINTR) {
            /* None is left, or this one is broken: then the listener will tell of the others. */
            return;
        }
    }
}

static void keep(int fd, const uint8_t *data, size_t size)
{
    struct conn *conn = &conns[fd];
    bool first = !conn->rest;
    if (conn->room - conn->size < size && conn->sent) {
        memmove(conn->rest, conn->rest + conn->sent, conn->size - conn->sent);
        conn->size -= conn->sent;
        conn->sent = 0;
    }
    if (conn->room - conn->size < size) {
        conn->room = conn->size + size;
        if (!first) conn->room *= 2;
        conn->rest = need(realloc(conn->rest, conn->room));
    }
    memcpy(conn->rest + conn->size, data, size);
    conn->size += size;
    if (first && !edge) watch(EPOLL_CTL_MOD, fd, interest(true));
}

/* Sends, and keeps what was not taken. false: the connection is gone. */
static bool put(int fd, const uint8_t *data, size_t size)
{
    ssize_t sent = 0;
    if (!conns[fd].rest) {
        sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return drop(fd), false;
        if (sent < 0) sent = 0;
    }
    if ((size_t)sent < size) keep(fd, data + sent, size - (size_t)sent);
    return true;
}

static void readable(int fd)
{
    bool echo = options.job != JOB_BROADCAST;
    /* A tick takes all that came; the echo of the level-triggered form leaves it to the next wait,
       so that nobody is kept waiting by one connection. */
    bool empty = edge || options.job != JOB_ECHO;
    conns[fd].unread = false;
    do {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            drop(fd);
            return;
        }
        if (echo && !put(fd, buffer, (size_t)got)) return;
        if (conns[fd].rest && echo) {
            conns[fd].unread = true;
            return;
        }
        if (got < BUFFER && !conns[fd].ended) return;
    } while (empty);
}

/* false: the connection is gone. */
static bool writable(int fd)
{
    struct conn *conn = &conns[fd];
    ssize_t sent = send(fd, conn->rest + conn->sent, conn->size - conn->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return true;
    if (sent < 0) return drop(fd), false;
    conn->sent += (size_t)sent;
    if (conn->sent < conn->size) return true;
    free(conn->rest);
    conn->rest = NULL;
    conn->sent = conn->size = conn->room = 0;
    if (!edge) watch(EPOLL_CTL_MOD, fd, interest(false));
    return true;
}

static void ready(int fd, uint32_t told)
{
    struct conn *conn = &conns[fd];
    bool in = told & ~(uint32_t)EPOLLOUT;
    if (told & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) conn->ended = true;
    if (in) conn->unread = true;
    if (conn->rest && (told & ~(uint32_t)EPOLLIN) && !writable(fd)) return;
    bool read = edge ? conn->unread : in;
    if (read && (!conn->rest || options.job == JOB_BROADCAST)) readable(fd);
}

/* One wait. Whether the next one may tell of somebody who had come before this one, and was not yet
   heard in this tick: not so when there was room for more, or when it told only of such as had been
   heard (a peer may answer an echo at once), for the system tells in turn. */
static bool turn(int timeout)
{
    static struct epoll_event events[EVENTS];
    bool fresh = false;
    int told = epoll_wait(poller, events, EVENTS, timeout);
    if (told < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < told; i++) {
        int fd = events[i].data.fd;
        if (fd == door) {
            accept_all();
            continue;
        }
        fresh |= conns[fd].heard != tick;
        conns[fd].heard = tick;
        ready(fd, events[i].events);
    }
    return told == EVENTS && fresh;
}

/* Takes what came until this tick. */
static void drain(uint64_t number)
{
    tick = number + 1;
    while (turn(0)) {
    }
}

static void broadcast(const uint8_t *bytes)
{
    size_t size = (size_t)options.size * (options.gather ? options.burst : 1);
    uint32_t writes = options.gather ? 1 : options.burst;
    /* From the end: who is dropped leaves its place to the last, which was served before. */
    for (uint32_t at = count; at-- > 0;) {
        int fd = fds[at];
        for (uint32_t i = 0; i < writes; i++) {
            if (conns[fd].size - conns[fd].sent > UNWRITTEN_MOST) {
                missed += options.gather ? options.burst : 1;
            } else if (!put(fd, bytes + i * size, size)) {
                break;
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
    watch(EPOLL_CTL_ADD, door, EPOLLIN);
    peer_listening(ntohs(address.sin_port), "");
}

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", "edge", NULL};
    struct ticker ticker;
    options_read(&options, argc, argv, FORMS);
    edge = !strcmp(options.form, "edge");
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
        drain(ticker.number);
        if (options.job == JOB_BROADCAST) {
            broadcast_burst(burst, &options, ticker.number, intended);
            broadcast(burst);
        }
    }
}
