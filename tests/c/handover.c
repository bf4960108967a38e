/* Another process goes on: it is given the door and a connection through a local socket
   (SCM_RIGHTS), with the half of a frame that had come. The peer, which is this program's main
   process, notices nothing. */
#include "harness.h"

#ifdef __linux__

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define QUERY "?frame=u16be"

static int pass(int through, int fd, const void *bytes, size_t len)
{
    char room[CMSG_SPACE(sizeof fd)] = {0}, first = 0;
    struct iovec parts[2] = {{&first, 1}, {(void *)(uintptr_t)bytes, len}};
    struct msghdr message = {0};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(through, &message, 0) == (ssize_t)(1 + len);
}

/* The descriptor; `*len` is the room at `bytes`, and what came. */
static int passed(int through, void *bytes, size_t *len)
{
    int fd = -1;
    char room[CMSG_SPACE(sizeof fd)] = {0}, first;
    struct iovec parts[2] = {{&first, 1}, {bytes, *len}};
    struct msghdr message = {0};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    ssize_t got = recvmsg(through, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    REQUIRE(got > 0 && head && head->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    *len = (size_t)got - 1;
    return fd;
}

static sockeye_endpoint framed(void)
{
    sockeye_endpoint endpoint;
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.framing.kind = SOCKEYE_FRAMING_LENGTH;
    endpoint.framing.length_bytes = 2;
    return endpoint;
}

/* The old server: takes a connection and gives everything away. */
static void old_server(int told, int through)
{
    char url[64];
    intptr_t door_handle, handle;
    sockeye_buffer unread, unsent;
    sockeye_conn_stats stats;
    sockeye_endpoint endpoint = framed();
    sockeye_listener_info info;
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 1);
    sockeye_listener door = harness_listen(net, QUERY, &endpoint, url);
    REQUIRE_OK(sockeye_listener_get_info(net, door, &info, sizeof info));
    REQUIRE_INT(sizeof info.port, write(told, &info.port, sizeof info.port));
    sockeye_conn conn = harness_expect(net, SOCKEYE_EVENT_OPENED).conn;
    sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(harness_is_text(&event, "one"));
    const int64_t deadline = harness_deadline();
    do {
        REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 1));
        REQUIRE(harness_now_ms() < deadline);
        REQUIRE_OK(sockeye_conn_get_stats(net, conn, &stats, sizeof stats));
    } while (stats.received_bytes < 8);
    REQUIRE_OK(sockeye_listener_release(net, door, &door_handle));
    REQUIRE_INT(SOCKEYE_EVENT_LISTENER_CLOSED, harness_next(net, 0).kind);
    REQUIRE_OK(sockeye_conn_pause(net, conn));
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 0));
    REQUIRE_OK(sockeye_conn_release(net, conn, &handle, &unread, &unsent));
    event = harness_expect(net, SOCKEYE_EVENT_CLOSED);
    REQUIRE(event.cause == SOCKEYE_CAUSE_HOST && event.detail == 0);
    REQUIRE(unread.data_len == 3 && memcmp(unread.data, "\0\3t", 3) == 0 && unsent.id == 0);
    REQUIRE(pass(through, (int)door_handle, "", 0));
    REQUIRE(pass(through, (int)handle, unread.data, unread.data_len));
    close((int)door_handle);
    close((int)handle);
    REQUIRE_OK(sockeye_buffer_release(&unread));
    harness_close(net);
    _exit(0);
}

/* The new server: goes on with the connection, and then serves one that comes. */
static void new_server(int through)
{
    char unread[16];
    size_t len = sizeof unread, none = 0;
    sockeye_endpoint endpoint = framed();
    sockeye_listener door;
    sockeye_conn conn;
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 1);
    int door_fd = passed(through, NULL, &none), fd = passed(through, unread, &len);
    REQUIRE_OK(sockeye_listen_adopt(net, door_fd, &endpoint, &door));
    REQUIRE_OK(sockeye_conn_adopt(net, fd, &endpoint, unread, len, &conn));
    for (int left = 2; left;) {
        sockeye_event event = harness_next(net, 0);
        if (event.kind != SOCKEYE_EVENT_MESSAGE) continue;
        REQUIRE_OK(sockeye_send(net, event.conn, event.data, event.data_len));
        REQUIRE_OK(sockeye_close(net, event.conn, SOCKEYE_CLOSE_GRACEFUL));
        left--;
    }
    REQUIRE_OK(sockeye_shutdown(net, 2000));
    REQUIRE_OK(sockeye_free(net));
    _exit(0);
}

static int connected(uint32_t port)
{
    struct sockaddr_in to = {0};
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE_INT(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}

static void say(int fd, const char *bytes, size_t len)
{
    REQUIRE_INT((int64_t)len, send(fd, bytes, len, MSG_NOSIGNAL));
}

static void expect_to_the_end(int fd, const char *bytes, size_t len)
{
    char got[16];
    size_t all = 0;
    for (ssize_t some = 1; some > 0; all += (size_t)some) {
        some = recv(fd, got + all, sizeof got - all, 0);
        REQUIRE(some >= 0);
    }
    REQUIRE(all == len && memcmp(got, bytes, len) == 0);
    close(fd);
}

int main(void)
{
    int told[2], through[2], status;
    uint32_t port = 0;
    harness_watchdog();
    REQUIRE_INT(0, pipe(told));
    REQUIRE_INT(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, through));
    pid_t servers[2];
    for (int at = 0; at < 2; at++) {
        servers[at] = fork();
        REQUIRE(servers[at] >= 0);
        if (servers[at] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (at == 0) old_server(told[1], through[0]);
            else new_server(through[1]);
        }
    }
    REQUIRE_INT(sizeof port, read(told[0], &port, sizeof port));
    int first = connected(port);
    say(first, "\0\3one\0\3t", 8);
    REQUIRE(waitpid(servers[0], &status, 0) == servers[0]);
    REQUIRE_INT(0, status);
    int second = connected(port);
    say(first, "wo", 2);
    expect_to_the_end(first, "\0\3two", 5);
    say(second, "\0\3new", 5);
    expect_to_the_end(second, "\0\3new", 5);
    REQUIRE(waitpid(servers[1], &status, 0) == servers[1]);
    REQUIRE_INT(0, status);
    return 0;
}

#else

int main(void) { return 0; }

#endif
