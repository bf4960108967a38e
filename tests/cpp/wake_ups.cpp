// The ways to be woken. A post from another thread ends a sleeping poll; so does a shutdown; posts
// of one thread come in their order; a second poller of a queue is told BUSY. The wait handle is
// readable exactly as long as its queue has events, in poll(2) and in the host's own epoll.
#include "../c/harness.h"

#include <atomic>
#include <thread>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

namespace {

// Waits until the system says that this thread sleeps, rather than for some time.
void wait_until_asleep(const std::atomic<long> &thread)
{
    const int64_t deadline = harness_deadline();
    char path[64], state = '?';
    while (state != 'S') {
        harness_breathe(deadline);
        if (thread == 0) continue;
        snprintf(path, sizeof path, "/proc/self/task/%ld/stat", thread.load());
        FILE *file = fopen(path, "r");
        REQUIRE(file != nullptr);
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = '?';
        fclose(file);
    }
}

// A thread that polls one queue for ever, and what it got.
struct Sleeper {
    Sleeper(sockeye_net *net, uint32_t queue)
        : thread_([this, net, queue] {
              id_ = syscall(SYS_gettid);
              result_ = sockeye_queue_poll_events(net, queue, &event_, 1, -1);
          })
    {
        wait_until_asleep(id_);
    }
    int32_t result()
    {
        thread_.join();
        return result_;
    }
    const sockeye_event &event() const { return event_; }

private:
    sockeye_event event_{};
    int32_t result_ = 99;
    std::atomic<long> id_{0};
    std::thread thread_;
};

void check_posts(uint32_t drive)
{
    sockeye_config config;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.drive = drive;
    config.queues = 2;
    sockeye_net *net = nullptr;
    REQUIRE_OK(sockeye_init(&config, &net));

    Sleeper sleeper(net, 1);
    sockeye_event event{};
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_queue_poll_events(net, 1, &event, 1, 0));
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 0)); // the other queue is free
    REQUIRE_OK(sockeye_post(net, 1, 17, 18));
    REQUIRE_INT(1, sleeper.result());
    REQUIRE_INT(SOCKEYE_EVENT_POSTED, sleeper.event().kind);
    REQUIRE(sleeper.event().detail == 17 && sleeper.event().user_data == 18);
    REQUIRE(sleeper.event().conn.id == 0 && sleeper.event().data == nullptr);

    for (uint64_t i = 0; i < 1000; i++) REQUIRE_OK(sockeye_post(net, 0, i, ~i));
    for (uint64_t i = 0; i < 1000; i++) {
        event = harness_expect(net, SOCKEYE_EVENT_POSTED);
        REQUIRE(event.detail == i && event.user_data == ~i);
    }
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_post(net, 2, 0, 0));

    Sleeper last(net, 0);
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_shutdown(net, 1000));
    const int32_t woken = last.result(); // at the shutdown's beginning, or at its end
    REQUIRE(woken == 0 || woken == SOCKEYE_ERR_SHUTDOWN);
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_poll_events(net, &event, 1, -1));
    REQUIRE_STATUS(SOCKEYE_ERR_SHUTDOWN, sockeye_post(net, 0, 0, 0));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(net));
}

bool readable(int handle, int timeout_ms)
{
    pollfd wait = {handle, POLLIN, 0};
    const int count = poll(&wait, 1, timeout_ms);
    REQUIRE(count >= 0 && (count == 0 || wait.revents == POLLIN));
    return count == 1;
}

void check_wait_handle(uint32_t model, uint32_t drive)
{
    sockeye_net *net = harness_open(model, drive, 1);
    intptr_t handle = -1, again = -1;
    REQUIRE_OK(sockeye_wait_handle(net, 0, &handle));
    REQUIRE_OK(sockeye_wait_handle(net, 0, &again));
    REQUIRE(handle >= 0 && handle == again);
    const int fd = static_cast<int>(handle);
    REQUIRE(!readable(fd, 0)); // nothing has happened

    // In the host's own epoll, beside whatever else it watches.
    const int host = epoll_create1(EPOLL_CLOEXEC);
    epoll_event interest = {};
    interest.events = EPOLLIN;
    interest.data.u32 = 5;
    REQUIRE(host >= 0 && epoll_ctl(host, EPOLL_CTL_ADD, fd, &interest) == 0);
    REQUIRE_OK(sockeye_post(net, 0, 1, 0));
    epoll_event told = {};
    REQUIRE_INT(1, epoll_wait(host, &told, 1, HARNESS_DEADLINE_MS));
    REQUIRE_INT(5, told.data.u32);
    REQUIRE_INT(1, epoll_wait(host, &told, 1, 0)); // level: it stays until the queue is empty

    // Partly drained it stays readable; drained it is not.
    REQUIRE_OK(sockeye_post(net, 0, 2, 0));
    REQUIRE_INT(1, harness_expect(net, SOCKEYE_EVENT_POSTED).detail);
    REQUIRE(readable(fd, 0));
    REQUIRE_INT(2, harness_expect(net, SOCKEYE_EVENT_POSTED).detail);
    REQUIRE(!readable(fd, 0));

    // Traffic sets it too, with the host asleep outside of the library.
    char url[64];
    harness_listen(net, "?frame=u16be", nullptr, url);
    sockeye_conn client;
    REQUIRE_OK(sockeye_connect(net, url, nullptr, &client));
    int opened = 0;
    sockeye_event event{};
    while (opened < 2) {
        REQUIRE(readable(fd, HARNESS_DEADLINE_MS));
        while (sockeye_poll_events(net, &event, 1, 0) == 1)
            opened += event.kind == SOCKEYE_EVENT_OPENED;
    }
    REQUIRE_OK(harness_send_text(net, client, "wake up"));
    REQUIRE(readable(fd, HARNESS_DEADLINE_MS));
    REQUIRE(harness_is_text(&(event = harness_expect(net, SOCKEYE_EVENT_MESSAGE)), "wake up"));
    REQUIRE(!readable(fd, 0));
    close(host);
    harness_close_live(net, 2);
}

} // namespace

int main()
{
    harness_watchdog();
    check_posts(SOCKEYE_DRIVE_POOL);
    check_posts(SOCKEYE_DRIVE_LEND);
    check_posts(SOCKEYE_DRIVE_HOST);
    check_wait_handle(SOCKEYE_MODEL_EPOLL, SOCKEYE_DRIVE_POOL);
    check_wait_handle(SOCKEYE_MODEL_EPOLL, SOCKEYE_DRIVE_HOST);
    check_wait_handle(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_LEND);
    // Without a thread it takes a model whose sockets one object covers.
    sockeye_net *net = harness_open(SOCKEYE_MODEL_SELECT, SOCKEYE_DRIVE_HOST, 0);
    intptr_t handle;
    REQUIRE_STATUS(SOCKEYE_ERR_UNSUPPORTED, sockeye_wait_handle(net, 0, &handle));
    harness_close(net);
    return 0;
}
