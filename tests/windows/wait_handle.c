/* A host that waits for its own objects and a queue in one WaitForMultipleObjects: the wait handle
   is a manual-reset event that is signalled as long as the queue has events. */
#include "../c/harness.h"

#include <windows.h>

#define MESSAGES 200

struct loop {
    sockeye_net *net;
    HANDLE objects[2]; /* the host's own event, the queue's */
    sockeye_conn server;
    uint32_t opened, messages, closed, own;
};

static void take(struct loop *loop, const sockeye_event *event)
{
    switch (event->kind) {
    case SOCKEYE_EVENT_OPENED:
        loop->opened++;
        if (event->listener.id != 0) loop->server = event->conn;
        break;
    case SOCKEYE_EVENT_MESSAGE: /* the client's come back, and so on */
        loop->messages++;
        if (loop->messages < MESSAGES)
            REQUIRE_OK(sockeye_send(loop->net, event->conn, event->data, event->data_len));
        break;
    case SOCKEYE_EVENT_CLOSED: loop->closed++; break;
    default: break;
    }
}

/* One round of the loop: waits for any of the two, and drains the queue if it was that. The poll
   that finds nothing ends the last batch: what is over is closed then, not after the linger. */
static void round_of(struct loop *loop)
{
    sockeye_event events[2];
    int32_t count;
    switch (WaitForMultipleObjects(2, loop->objects, FALSE, HARNESS_DEADLINE_MS)) {
    case WAIT_OBJECT_0:
        loop->own++;
        REQUIRE(ResetEvent(loop->objects[0]));
        break;
    case WAIT_OBJECT_0 + 1:
        count = REQUIRE_OK(sockeye_poll_events(loop->net, events, 2, 0));
        REQUIRE(count > 0); /* it was signalled */
        while (count > 0) {
            for (int32_t i = 0; i < count; i++) take(loop, &events[i]);
            count = REQUIRE_OK(sockeye_poll_events(loop->net, events, 2, 0));
        }
        break;
    default: harness_fail(__FILE__, __LINE__, "a wait without an end"); break;
    }
}

static void check(uint32_t model, uint32_t drive)
{
    struct loop loop = {0};
    sockeye_conn client;
    intptr_t handle = 0, again = 0;
    char url[64];
    loop.net = harness_open(model, drive, 1);
    REQUIRE_OK(sockeye_wait_handle(loop.net, 0, &handle));
    REQUIRE_OK(sockeye_wait_handle(loop.net, 0, &again));
    REQUIRE(handle != 0 && handle == again);
    loop.objects[0] = CreateEventW(NULL, TRUE, FALSE, NULL);
    loop.objects[1] = (HANDLE)handle;
    REQUIRE(loop.objects[0] != NULL);
    REQUIRE_INT(WAIT_TIMEOUT, WaitForMultipleObjects(2, loop.objects, FALSE, 0));

    harness_listen(loop.net, "?frame=u8", NULL, url);
    REQUIRE_OK(sockeye_connect(loop.net, url, NULL, &client));
    while (loop.opened < 2) round_of(&loop);
    REQUIRE_OK(harness_send_text(loop.net, client, "ping"));
    /* Both are signalled soon; the first of them is what the wait reports. */
    REQUIRE(SetEvent(loop.objects[0]));
    while (loop.messages < MESSAGES) round_of(&loop);
    REQUIRE_INT(1, loop.own);
    REQUIRE_OK(sockeye_close(loop.net, client, SOCKEYE_CLOSE_GRACEFUL));
    while (loop.closed < 2) round_of(&loop);

    /* A level: it stays until the queue is empty, and is no more than that. */
    REQUIRE_OK(sockeye_post(loop.net, 0, 1, 1));
    REQUIRE_OK(sockeye_post(loop.net, 0, 2, 2));
    REQUIRE_INT(WAIT_OBJECT_0, WaitForSingleObject(loop.objects[1], HARNESS_DEADLINE_MS));
    REQUIRE_INT(WAIT_OBJECT_0, WaitForSingleObject(loop.objects[1], 0));
    harness_expect(loop.net, SOCKEYE_EVENT_POSTED);
    REQUIRE_INT(WAIT_OBJECT_0, WaitForSingleObject(loop.objects[1], 0));
    harness_expect(loop.net, SOCKEYE_EVENT_POSTED);
    REQUIRE_INT(WAIT_TIMEOUT, WaitForSingleObject(loop.objects[1], 0));
    REQUIRE(CloseHandle(loop.objects[0]));
    harness_close_live(loop.net, 0);
}

int main(void)
{
    const uint32_t drives[] = {SOCKEYE_DRIVE_POOL, SOCKEYE_DRIVE_LEND, SOCKEYE_DRIVE_HOST};
    harness_watchdog();
    for (size_t i = 0; i < sizeof drives / sizeof drives[0]; i++) {
        check(SOCKEYE_MODEL_EVENT_SELECT, drives[i]);
        check(SOCKEYE_MODEL_SELECT, drives[i]);
    }
    check(SOCKEYE_MODEL_BLOCKING, SOCKEYE_DRIVE_POOL);
    check(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL);
    return 0;
}
