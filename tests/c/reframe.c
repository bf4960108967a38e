/* Messages in parts, sent by one thread while another changes the framing: each has the framing of
   the moment in which it is taken, so that no older framing comes behind the next one. */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h> /* C11, which every compiler here has */

#ifndef __linux__
int main(void) { return 0; }
#else

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHANGES = 1000, PART = 10000 };

typedef struct {
    sockeye_net *net;
    sockeye_conn conn;
    int fd;
    atomic_int over, taken;
} scene;

/* Half of what it is given has a length of 2 bytes, little-endian, the other of 4, big-endian. */
static sockeye_endpoint of_kind(int kind)
{
    sockeye_endpoint endpoint;
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.framing.kind = SOCKEYE_FRAMING_LENGTH;
    endpoint.framing.length_bytes = kind ? 4 : 2;
    endpoint.framing.little_endian = !kind;
    endpoint.step = 1;
    return endpoint;
}

/* Too large to be gathered, so that it is copied without the connection's lock. */
static void *sends(void *given)
{
    scene *self = (scene *)given;
    static uint8_t half[PART];
    const sockeye_bytes parts[2] = {{half, PART}, {half, PART}};
    sockeye_message message;
    REQUIRE_OK(sockeye_message_init(&message, sizeof message));
    message.parts = parts;
    message.parts_count = 2;
    const int64_t deadline = harness_deadline();
    while (!atomic_load(&self->over)) {
        sockeye_status each;
        REQUIRE(sockeye_send_message(self->net, &self->conn, 1, &message, &each) >= 0);
        REQUIRE(each == SOCKEYE_OK || each == SOCKEYE_ERR_AGAIN);
        if (each != SOCKEYE_OK) harness_breathe(deadline);
        else atomic_fetch_add(&self->taken, 1);
    }
    return NULL;
}

/* Whether so many bytes came; not if the stream is over. */
static int reads(int fd, uint8_t *bytes, size_t len)
{
    for (size_t have = 0; have < len;) {
        const ssize_t more = recv(fd, bytes + have, len - have, 0);
        REQUIRE(more >= 0);
        if (more == 0) return 0;
        have += (size_t)more;
    }
    return 1;
}

/* The first byte of a length tells its kind: none is over 64 KiB. */
static void *listens(void *given)
{
    scene *self = (scene *)given;
    static uint8_t bytes[2 * PART];
    int now = 0, changed = 0, marks = 0;
    uint8_t head[4];
    while (reads(self->fd, head, 2)) {
        const int kind = head[0] == 0;
        if (kind) REQUIRE(reads(self->fd, head + 2, 2));
        const size_t len = kind ? (size_t)head[2] << 8 | head[3] : (size_t)head[1] << 8 | head[0];
        REQUIRE(len == 1 || len == sizeof bytes);
        REQUIRE(reads(self->fd, bytes, len));
        if (len == 1) {
            REQUIRE_INT(bytes[0], kind);
            REQUIRE(kind != now);
            now = kind;
            changed = 0;
            marks++;
        } else if (kind != now) {
            changed = 1;
        } else {
            REQUIRE(!changed);
        }
    }
    REQUIRE_INT(CHANGES, marks);
    return NULL;
}

int main(void)
{
    char url[64];
    scene self = {0};
    pthread_t sender, listener;
    harness_watchdog();
    self.net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    const sockeye_endpoint first = of_kind(0);
    harness_listen(self.net, "", &first, url);
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self.fd = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(self.fd, (const struct sockaddr *)&address, sizeof address) == 0);
    self.conn = harness_expect(self.net, SOCKEYE_EVENT_OPENED).conn;
    REQUIRE(pthread_create(&listener, NULL, listens, &self) == 0);
    REQUIRE(pthread_create(&sender, NULL, sends, &self) == 0);
    const int64_t deadline = harness_deadline();
    for (int at = 1; at <= CHANGES; at++) {
        const sockeye_endpoint next = of_kind(at & 1);
        const uint8_t mark = (uint8_t)(at & 1);
        sockeye_status sent;
        /* Between two changes there is a message at least. */
        const int before = atomic_load(&self.taken);
        while (atomic_load(&self.taken) == before) REQUIRE(harness_now_ms() < deadline);
        REQUIRE_OK(sockeye_conn_configure(self.net, self.conn, &next, NULL, 0));
        REQUIRE_OK(sockeye_conn_pause(self.net, self.conn));
        while ((sent = sockeye_send(self.net, self.conn, &mark, 1)) == SOCKEYE_ERR_AGAIN)
            harness_breathe(deadline);
        REQUIRE_OK(sent);
    }
    atomic_store(&self.over, 1);
    REQUIRE(pthread_join(sender, NULL) == 0);
    REQUIRE_OK(sockeye_close(self.net, self.conn, SOCKEYE_CLOSE_GRACEFUL));
    REQUIRE(pthread_join(listener, NULL) == 0);
    REQUIRE(close(self.fd) == 0);
    harness_expect(self.net, SOCKEYE_EVENT_CLOSED);
    REQUIRE_OK(sockeye_shutdown(self.net, 1000));
    REQUIRE_OK(sockeye_free(self.net));
    return 0;
}
#endif
