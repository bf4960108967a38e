/* Timers: one that is due once, a periodic one whose events and what they count are its periods,
   and a stop of one whose event waits; with worker threads and without. */
#include "harness.h"

static sockeye_timer start(sockeye_net *net, uint32_t after_ms, uint32_t every_ms, uint64_t user)
{
    sockeye_timer timer = {0};
    REQUIRE_OK(sockeye_timer_start(net, 0, after_ms, every_ms, user, &timer));
    REQUIRE(timer.id != 0);
    return timer;
}

static void once(sockeye_net *net)
{
    const int64_t begun = harness_now_ms();
    const sockeye_timer timer = start(net, 20, 0, 99);
    const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_TIMER);
    REQUIRE(harness_now_ms() - begun >= 19); /* whose clock counts whole milliseconds */
    REQUIRE(event.detail == timer.id && event.user_data == 99 && event.code == 0);
    REQUIRE(event.conn.id == 0 && event.listener.id == 0 && event.data == NULL);
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_timer_stop(net, timer));
}

static void again_and_again(sockeye_net *net)
{
    const int64_t begun = harness_now_ms();
    const sockeye_timer timer = start(net, 2, 2, 1);
    int64_t periods = 0;
    while (periods < 50) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_TIMER);
        REQUIRE(event.detail == timer.id);
        periods += 1 + (int64_t)event.code;
        REQUIRE(periods <= (harness_now_ms() - begun + 1) / 2); /* never early */
    }
    REQUIRE_OK(sockeye_timer_stop(net, timer));
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_timer_stop(net, timer));
}

/* All are due by the time of the poll, whose array has room for one. */
static void stopped_while_queued(sockeye_net *net)
{
    sockeye_timer timers[10];
    sockeye_event event;
    const sockeye_timer first = start(net, 1, 0, 0);
    for (int i = 0; i < 10; i++) timers[i] = start(net, 2, (uint32_t)i % 2, 1);
    const int64_t begun = harness_now_ms(), deadline = harness_deadline();
    while (harness_now_ms() < begun + 10) harness_breathe(deadline);
    while (sockeye_poll_events(net, &event, 1, 10) == 0) REQUIRE(harness_now_ms() < deadline);
    REQUIRE(event.kind == SOCKEYE_EVENT_TIMER && event.detail == first.id);
    for (int i = 0; i < 10; i++) REQUIRE_OK(sockeye_timer_stop(net, timers[i]));
    const sockeye_timer witness = start(net, 5, 0, 2);
    REQUIRE(harness_expect(net, SOCKEYE_EVENT_TIMER).detail == witness.id);
}

int main(void)
{
    harness_watchdog();
    for (uint32_t workers = 0; workers < 2; workers++) {
        const uint32_t drive = workers > 0 ? SOCKEYE_DRIVE_POOL : SOCKEYE_DRIVE_HOST;
        sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, drive, workers);
        sockeye_timer timer = {0};
        once(net);
        again_and_again(net);
        stopped_while_queued(net);
        REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_timer_start(net, 0, 1, 1, 1, NULL));
        REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_timer_start(net, 1, 1, 1, 1, &timer));
        REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_timer_stop(net, timer));
        timer = start(net, UINT32_MAX, UINT32_MAX, 0); /* a shutdown does not wait for it */
        REQUIRE_OK(sockeye_shutdown(net, 10000));
        REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_timer_stop(net, timer));
        harness_close(net);
    }
    return 0;
}
