/* The yardstick of datagrams: the least that a server can do, in one thread with one blocking
   socket. It takes what is there, at most BATCH datagrams a call and without a wait for more than
   the first, and sends all of them back where they came from with one call. What the kernel has
   no room for is lost, as datagrams may be. */
#include "peer.h"
#include <netinet/in.h>
#include <sys/socket.h>

/* LARGEST: the most that a datagram holds over IPv4. */
enum { BATCH = 32, LARGEST = 65507 };

static struct mmsghdr batch[BATCH];
static struct iovec parts[BATCH];
static struct sockaddr_in senders[BATCH];
static uint8_t buffers[BATCH][LARGEST];

static int open_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int port = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (port < 0) die("socket");
    if (bind(port, (struct sockaddr *)&address, size) < 0) die("bind");
    if (getsockname(port, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    peer_listening(ntohs(address.sin_port), "");
    return port;
}

/* How many came. The kernel overwrites the lengths, so they are set anew: after a send they are
   those of the datagrams. */
static unsigned receive(int port)
{
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_len = LARGEST;
        batch[i].msg_hdr.msg_namelen = sizeof senders[i];
    }
    int came = recvmmsg(port, batch, BATCH, MSG_WAITFORONE, NULL);
    if (came < 0 && errno != EINTR) die("recvmmsg");
    return came < 0 ? 0 : (unsigned)came;
}

static void answer(int port, unsigned count)
{
    unsigned done = 0;
    for (unsigned i = 0; i < count; i++) parts[i].iov_len = batch[i].msg_len;
    while (done < count) {
        int sent = sendmmsg(port, batch + done, count - done, 0);
        /* The first one of them did not leave: it is lost. */
        done += sent > 0 ? (unsigned)sent : 1;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--job") != 0 || strcmp(argv[2], "udp") != 0) {
        fprintf(stderr, "udp_peer --job udp\n");
        return 2;
    }
    peer_start();
    thread_name("game");
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = buffers[i];
        batch[i].msg_hdr.msg_name = &senders[i];
        batch[i].msg_hdr.msg_iov = &parts[i];
        batch[i].msg_hdr.msg_iovlen = 1;
    }
    int port = open_port();
    for (;;) answer(port, receive(port));
}
