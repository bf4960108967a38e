/* The yardstick: the least that an echo server can do. One thread, one epoll, one recv and one
   send for a ready connection; no framing, no queue.   epoll_echo [--trigger level|edge] */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 65536 };

/* What the socket had no room for, by descriptor. While there is some, it is not read. */
struct rest {
    uint8_t *data;
    size_t size, sent;
};

static struct rest *rests;
static int poller, door;
static uint32_t trigger;
static uint8_t buffer[BUFFER];

static void die(const char *what)
{
    fprintf(stderr, "epoll_echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int operation, int fd, uint32_t interest)
{
    struct epoll_event event = {.events = interest | trigger, .data = {.fd = fd}};
    if (epoll_ctl(poller, operation, fd, &event) < 0) die("epoll_ctl");
}

static void drop(int fd)
{
    free(rests[fd].data);
    memset(&rests[fd], 0, sizeof rests[fd]);
    close(fd);
}

static void accept_all(void)
{
    int one = 1;
    for (;;) {
        int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED) return;
            die("accept");
        }
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("nodelay");
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

/* Sends, and keeps what was not taken. 0: the connection is gone. */
static int put(int fd, const uint8_t *data, size_t size)
{
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return drop(fd), 0;
    if (sent < 0) sent = 0;
    if ((size_t)sent == size) return 1;
    struct rest *rest = &rests[fd];
    rest->size = size - (size_t)sent;
    rest->sent = 0;
    rest->data = malloc(rest->size);
    if (!rest->data) die("malloc");
    memcpy(rest->data, data + sent, rest->size);
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
    return 1;
}

static void readable(int fd)
{
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            drop(fd);
            return;
        }
        if (!put(fd, buffer, (size_t)got) || rests[fd].data) return;
        /* A short read has emptied the socket: the next edge will come. */
        if (!trigger || got < BUFFER) return;
    }
}

static void writable(int fd)
{
    struct rest *rest = &rests[fd];
    ssize_t sent = send(fd, rest->data + rest->sent, rest->size - rest->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        drop(fd);
        return;
    }
    rest->sent += (size_t)sent;
    if (rest->sent < rest->size) return;
    free(rest->data);
    memset(rest, 0, sizeof *rest);
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void open_door(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door < 0) die("socket");
    if (bind(door, (struct sockaddr *)&address, size) < 0) die("bind");
    if (listen(door, 1024) < 0) die("listen");
    if (getsockname(door, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    printf("listening %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct rlimit limit;
    if (argc == 3 && !strcmp(argv[1], "--trigger") && !strcmp(argv[2], "edge")) {
        trigger = EPOLLET;
    } else if (argc != 1 && (argc != 3 || strcmp(argv[2], "level") != 0)) {
        fprintf(stderr, "epoll_echo [--trigger level|edge]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
    rests = calloc((size_t)limit.rlim_cur, sizeof *rests);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!rests || poller < 0) die("start");
    open_door();
    watch(EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == door) {
                accept_all();
            } else if (rests[fd].data) {
                writable(fd);
            } else {
                readable(fd);
            }
        }
    }
}
