/* A host with a completion port of its own for everything it does: the queue's packets come there
   beside the host's, one for each time that events come to an empty queue. */
#include "../c/harness.h"

#include <windows.h>

#define QUEUE_KEY UINT64_C(0x5123456789abcdef)
#define OWN_KEY 7
#define MESSAGES 500

struct loop {
    sockeye_net *net;
    HANDLE port;
    sockeye_conn client;
    uint32_t opened, messages, closed, posted, own, packets;
};

static HANDLE port_of_its_own(void)
{
    const HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    REQUIRE(port != NULL);
    return port;
}

/* The key of the next packet; 0: none within so many milliseconds. */
static uint64_t next_packet(HANDLE port, DWORD timeout_ms)
{
    DWORD bytes = 1;
    ULONG_PTR key = 0;
    OVERLAPPED *operation = NULL;
    if (!GetQueuedCompletionStatus(port, &bytes, &key, &operation, timeout_ms)) {
        REQUIRE_INT(WAIT_TIMEOUT, GetLastError());
        return 0;
    }
    REQUIRE(bytes == 0 && operation == NULL && key != 0);
    return key;
}

static void take(struct loop *loop, const sockeye_event *event)
{
    switch (event->kind) {
    case SOCKEYE_EVENT_OPENED: loop->opened++; break;
    case SOCKEYE_EVENT_MESSAGE:
        if (++loop->messages < MESSAGES)
            REQUIRE_OK(sockeye_send(loop->net, event->conn, event->data, event->data_len));
        break;
    case SOCKEYE_EVENT_CLOSED: loop->closed++; break;
    case SOCKEYE_EVENT_POSTED: loop->posted++; break;
    default: break;
    }
}

/* One round of the loop: waits for a packet, and drains the queue if it was the queue's. */
static void round_of(struct loop *loop)
{
    sockeye_event events[3];
    int32_t count;
    const uint64_t key = next_packet(loop->port, HARNESS_DEADLINE_MS);
    if (key == OWN_KEY) {
        loop->own++;
        return;
    }
    REQUIRE(key == QUEUE_KEY);
    loop->packets++;
    while ((count = REQUIRE_OK(sockeye_poll_events(loop->net, events, 3, 0))) > 0)
        for (int32_t i = 0; i < count; i++) take(loop, &events[i]);
}

static void post(struct loop *loop, int count)
{
    for (int i = 0; i < count; i++) REQUIRE_OK(sockeye_post(loop->net, 0, 1, 1));
}

/* One packet for as many events as come, and the next only when the queue was empty. */
static void check_packets(struct loop *loop)
{
    sockeye_event event;
    post(loop, 3);
    REQUIRE(next_packet(loop->port, HARNESS_DEADLINE_MS) == QUEUE_KEY);
    REQUIRE(next_packet(loop->port, 0) == 0);
    harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
    post(loop, 1); /* two wait still */
    REQUIRE(next_packet(loop->port, 0) == 0);
    for (int i = 0; i < 3; i++) harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
    REQUIRE_INT(0, sockeye_poll_events(loop->net, &event, 1, 0));
    REQUIRE(next_packet(loop->port, 0) == 0);
    post(loop, 1);
    REQUIRE(next_packet(loop->port, HARNESS_DEADLINE_MS) == QUEUE_KEY);
    harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
}

/* Another port takes over, with what waits; 0 ends it. */
static void check_another(struct loop *loop)
{
    const HANDLE other = port_of_its_own();
    post(loop, 1);
    REQUIRE(next_packet(loop->port, HARNESS_DEADLINE_MS) == QUEUE_KEY);
    REQUIRE_OK(sockeye_wait_port(loop->net, 0, (intptr_t)other, 99));
    REQUIRE(next_packet(other, HARNESS_DEADLINE_MS) == 99); /* the post waits still */
    harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
    post(loop, 1);
    REQUIRE(next_packet(other, HARNESS_DEADLINE_MS) == 99 && next_packet(loop->port, 0) == 0);
    harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
    REQUIRE_OK(sockeye_wait_port(loop->net, 0, 0, 0));
    post(loop, 1);
    harness_expect(loop->net, SOCKEYE_EVENT_POSTED);
    REQUIRE(next_packet(other, 0) == 0);
    REQUIRE(CloseHandle(other));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_wait_port(loop->net, 0, (intptr_t)other, 99));
    REQUIRE(strlen(sockeye_last_error()) > 0);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID,
                   sockeye_wait_port(loop->net, 1, (intptr_t)loop->port, QUEUE_KEY));
}

static void check(uint32_t model, uint32_t drive)
{
    struct loop loop = {0};
    char url[64];
    loop.net = harness_open(model, drive, 1);
    loop.port = port_of_its_own();
    REQUIRE_OK(sockeye_wait_port(loop.net, 0, (intptr_t)loop.port, QUEUE_KEY));
    REQUIRE(next_packet(loop.port, 0) == 0);
    check_packets(&loop);

    harness_listen(loop.net, "?frame=u8", NULL, url);
    REQUIRE_OK(sockeye_connect(loop.net, url, NULL, &loop.client));
    while (loop.opened < 2) round_of(&loop);
    REQUIRE_OK(harness_send_text(loop.net, loop.client, "ping"));
    REQUIRE(PostQueuedCompletionStatus(loop.port, 0, OWN_KEY, NULL));
    while (loop.messages < MESSAGES) round_of(&loop);
    REQUIRE_INT(1, loop.own);
    REQUIRE_OK(sockeye_close(loop.net, loop.client, SOCKEYE_CLOSE_GRACEFUL));
    while (loop.closed < 2) round_of(&loop);
    /* A packet may be left of an event that came while the queue was drained. */
    while (next_packet(loop.port, 0) != 0) continue;

    check_another(&loop);
    REQUIRE_OK(sockeye_wait_port(loop.net, 0, (intptr_t)loop.port, QUEUE_KEY));
    harness_close_live(loop.net, 0);
    REQUIRE(CloseHandle(loop.port));
}

int main(void)
{
    const uint32_t drives[] = {SOCKEYE_DRIVE_POOL, SOCKEYE_DRIVE_LEND, SOCKEYE_DRIVE_HOST};
    sockeye_net *net;
    HANDLE port;
    harness_watchdog();
    for (size_t i = 0; i < sizeof drives / sizeof drives[0]; i++) {
        check(SOCKEYE_MODEL_EVENT_SELECT, drives[i]);
        check(SOCKEYE_MODEL_POLL, drives[i]);
    }
    check(SOCKEYE_MODEL_BLOCKING, SOCKEYE_DRIVE_POOL);
    check(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL);

    /* Without a thread nobody would fill the queue while the host sleeps elsewhere. */
    net = harness_open(SOCKEYE_MODEL_SELECT, SOCKEYE_DRIVE_HOST, 0);
    port = port_of_its_own();
    REQUIRE_STATUS(SOCKEYE_ERR_UNSUPPORTED, sockeye_wait_port(net, 0, (intptr_t)port, 1));
    REQUIRE(CloseHandle(port));
    harness_close(net);
    return 0;
}
