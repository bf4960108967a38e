/* What a service manager passes: descriptors from 3 on, with names, for one process
   (sd_listen_fds(3)). */
#include "harness.h"

#ifdef __linux__

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void pass_as(int fd, int type)
{
    struct sockaddr_in any = {0};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int made = socket(AF_INET, type, 0);
    REQUIRE_INT(0, bind(made, (struct sockaddr *)&any, sizeof any));
    if (type == SOCK_STREAM) REQUIRE_INT(0, listen(made, 8));
    REQUIRE_INT(fd, dup2(made, fd));
    if (made != fd) close(made);
}

static void name(const char *pid, const char *count, const char *names)
{
    REQUIRE_INT(0, setenv("LISTEN_PID", pid, 1));
    REQUIRE_INT(0, setenv("LISTEN_FDS", count, 1));
    REQUIRE_INT(0, setenv("LISTEN_FDNAMES", names, 1));
}

static void refused(sockeye_net *net, const char *url, const char *words)
{
    sockeye_listener door;
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_listen(net, url, NULL, &door));
    if (!strstr(sockeye_last_error(), words)) fprintf(stderr, "%s\n", sockeye_last_error());
    REQUIRE(strstr(sockeye_last_error(), words));
}

int main(void)
{
    char self[16], url[64];
    sockeye_listener door, port;
    sockeye_listener_info info;
    sockeye_conn client, server = {0};
    harness_watchdog();
    /* Before the library has descriptors of its own. */
    pass_as(3, SOCK_STREAM);
    pass_as(4, SOCK_DGRAM);
    pass_as(5, SOCK_STREAM);
    pass_as(6, SOCK_STREAM);
    snprintf(self, sizeof self, "%ld", (long)getpid());
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_LEND, 1);
    refused(net, "fd://game", "LISTEN_PID");
    name("1", "4", "game:ticks:twice:twice");
    refused(net, "fd://game", "LISTEN_PID");
    name(self, "0", "game:ticks:twice:twice");
    refused(net, "fd://game", "LISTEN_FDS");
    name(self, "1", "game:ticks:twice:twice");
    refused(net, "fd://ticks", "LISTEN_FDNAMES");
    name(self, "4", "game:ticks:twice:twice");
    refused(net, "fd://other", "game:ticks:twice:twice");
    refused(net, "fd://twice", "fd://5, fd://6");
    REQUIRE_OK(sockeye_listen(net, "fd://game?frame=u16le", NULL, &door));
    REQUIRE_INT(FD_CLOEXEC, fcntl(3, F_GETFD));
    REQUIRE(fcntl(3, F_GETFL) & O_NONBLOCK);
    REQUIRE_OK(sockeye_listen(net, "fd://ticks", NULL, &port));
    REQUIRE_OK(sockeye_listener_get_info(net, door, &info, sizeof info));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%" PRIu32 "?frame=u16le", info.port);
    harness_pair(net, url, NULL, &client, &server);
    REQUIRE_OK(harness_send_text(net, client, "by name"));
    const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == server.id && harness_is_text(&event, "by name"));
    REQUIRE_OK(sockeye_listener_close(net, door));
    REQUIRE_INT(SOCKEYE_EVENT_LISTENER_CLOSED, harness_next(net, 0).kind);
    REQUIRE_INT(-1, fcntl(3, F_GETFD));
    REQUIRE_OK(sockeye_shutdown(net, 0));
    REQUIRE_OK(sockeye_free(net));
    return 0;
}

#else

int main(void) { return 0; }

#endif
