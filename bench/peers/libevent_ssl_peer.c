/* TLS on libevent: bufferevent_openssl on the descriptor, one thread without locks. What came is
   moved from the input to the output without a copy, and written when the socket is ready. */
#include "peer_tls.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static struct tls_options options;
static SSL_CTX *context;

static void on_read(struct bufferevent *conn, void *unused)
{
    (void)unused;
    if (evbuffer_add_buffer(bufferevent_get_output(conn), bufferevent_get_input(conn)) < 0)
        bufferevent_free(conn);
}

static void on_event(struct bufferevent *conn, short what, void *unused)
{
    (void)unused;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        ERR_clear_error();
        bufferevent_free(conn);
    }
}

static void on_accept(struct evconnlistener *door, evutil_socket_t fd, struct sockaddr *from,
                      int size, void *base)
{
    (void)door;
    (void)from;
    (void)size;
    SSL *ssl = SSL_new(context);
    if (!ssl) tls_die("SSL_new");
    struct bufferevent *conn =
        need(bufferevent_openssl_socket_new((struct event_base *)base, fd, ssl,
                                            BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE));
    /* An end without close_notify is one. */
    bufferevent_openssl_set_allow_dirty_shutdown(conn, 1);
    bufferevent_setcb(conn, on_read, NULL, on_event, NULL);
    if (bufferevent_enable(conn, EV_READ | EV_WRITE) < 0) die("enable");
}

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", NULL};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int one = 1;
    char facts[64];
    tls_options_read(&options, argc, argv, FORMS);
    peer_start();
    thread_name("game");
    context = SSL_CTX_new(TLS_server_method());
    if (!context) tls_die("SSL_CTX_new");
    tls_prepare(context, &options);
    /* libevent asks OpenSSL what is pending, which does not tell of what was read ahead. */
    SSL_CTX_set_read_ahead(context, 0);
    struct event_config *config = need(event_config_new());
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = need(event_base_new_with_config(config));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct evconnlistener *door = evconnlistener_new_bind(
        base, on_accept, base, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, PEER_BACKLOG,
        (struct sockaddr *)&address, sizeof address);
    if (!door) die("listen");
    int fd = evconnlistener_get_fd(door);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("nodelay");
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    snprintf(facts, sizeof facts, "libevent=%s openssl=%s", event_get_version(),
             OpenSSL_version(OPENSSL_VERSION_STRING));
    peer_listening(ntohs(address.sin_port), facts);
    return event_base_dispatch(base);
}
