/* The yardstick of TLS: one thread, one epoll, OpenSSL on the descriptor with read_ahead. It echoes
   bytes unseen: no framing, no queue.

   loop: all records that were read of a connection leave in one SSL_write.
   each: what one SSL_read gave (one record) leaves at once, as in most programs.

   What makes it strong: one recv for many records (read_ahead), a plain loop without BIO pairs, one
   buffer for all connections, TCP_NODELAY inherited from the listener. OpenSSL keeps its buffers in
   the connection: without them it would allocate 17 KiB for each message. */
#include "peer_tls.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 65536 };

struct conn {
    SSL *ssl;
    int fd;
    bool open;
    /* What the socket had no room for, or NULL. */
    uint8_t *rest;
    size_t sent, size;
};

static struct tls_options options;
static SSL_CTX *context;
static int poller, door;
static bool each;
static uint8_t buffer[BUFFER];

static void watch(int operation, int fd, uint32_t interest, void *what)
{
    struct epoll_event event = {.events = interest, .data = {.ptr = what}};
    if (epoll_ctl(poller, operation, fd, &event) < 0) die("epoll_ctl");
}

static void drop(struct conn *conn)
{
    ERR_clear_error();
    SSL_free(conn->ssl);
    close(conn->fd);
    free(conn->rest);
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
        conn->ssl = SSL_new(context);
        if (!conn->ssl || !SSL_set_fd(conn->ssl, fd)) tls_die("SSL_new");
        SSL_set_accept_state(conn->ssl);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, conn);
    }
}

/* Whether it waits for the socket; else the connection has to go. */
static bool waits(struct conn *conn, int status)
{
    int why = SSL_get_error(conn->ssl, status);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static bool put(struct conn *conn, const uint8_t *data, size_t size)
{
    size_t sent = 0;
    /* A call takes one record. */
    while (!conn->rest && sent < size) {
        int status = SSL_write(conn->ssl, data + sent, (int)(size - sent));
        if (status > 0) {
            sent += (size_t)status;
        } else if (!waits(conn, status)) {
            return false;
        } else {
            break;
        }
    }
    if (sent == size) return true;
    bool first = !conn->rest;
    conn->rest = need(realloc(conn->rest, conn->size + size - sent));
    memcpy(conn->rest + conn->size, data + sent, size - sent);
    conn->size += size - sent;
    if (first) watch(EPOLL_CTL_MOD, conn->fd, EPOLLOUT, conn);
    return true;
}

static bool writable(struct conn *conn)
{
    while (conn->sent < conn->size) {
        int status = SSL_write(conn->ssl, conn->rest + conn->sent, (int)(conn->size - conn->sent));
        if (status <= 0) return waits(conn, status);
        conn->sent += (size_t)status;
    }
    free(conn->rest);
    conn->rest = NULL;
    conn->sent = conn->size = 0;
    watch(EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
    return true;
}

/* Reads records until the buffer may have no room for one more; 0: it has to wait. */
static size_t read_records(struct conn *conn, bool *good)
{
    size_t got = 0;
    while (BUFFER - got >= SSL3_RT_MAX_PLAIN_LENGTH) {
        int status = SSL_read(conn->ssl, buffer + got, (int)(BUFFER - got));
        if (status <= 0) {
            *good = waits(conn, status);
            break;
        }
        got += (size_t)status;
        /* When OpenSSL's own buffer is empty, the next wait tells of what is in the socket. */
        if (each || !SSL_has_pending(conn->ssl)) break;
    }
    return got;
}

static bool readable(struct conn *conn)
{
    bool good = true;
    size_t got;
    if (!conn->open) {
        int status = SSL_accept(conn->ssl);
        if (status <= 0) return waits(conn, status);
        conn->open = true;
    }
    do {
        got = read_records(conn, &good);
        if (got && !put(conn, buffer, got)) return false;
        /* No wait tells of what lies in OpenSSL's own buffer. */
    } while (good && got && !conn->rest && SSL_has_pending(conn->ssl));
    return good;
}

static void turn(void)
{
    static struct epoll_event events[EVENTS];
    int told = epoll_wait(poller, events, EVENTS, -1);
    if (told < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < told; i++) {
        struct conn *conn = events[i].data.ptr;
        if (!conn) {
            accept_all();
            continue;
        }
        bool good = !conn->rest || writable(conn);
        if (good && !conn->rest) good = readable(conn);
        if (!good) drop(conn);
    }
}

static void open_door(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int one = 1;
    char facts[64];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door < 0) die("socket");
    if (setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("nodelay");
    if (bind(door, (struct sockaddr *)&address, size) < 0) die("bind");
    if (listen(door, PEER_BACKLOG) < 0) die("listen");
    if (getsockname(door, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    watch(EPOLL_CTL_ADD, door, EPOLLIN, NULL);
    snprintf(facts, sizeof facts, "openssl=%s", OpenSSL_version(OPENSSL_VERSION_STRING));
    peer_listening(ntohs(address.sin_port), facts);
}

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", "each", NULL};
    tls_options_read(&options, argc, argv, FORMS);
    each = !strcmp(options.common.form, "each");
    peer_start();
    thread_name("game");
    context = SSL_CTX_new(TLS_server_method());
    if (!context) tls_die("SSL_CTX_new");
    tls_prepare(context, &options);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) die("epoll_create1");
    open_door();
    for (;;) turn();
}
