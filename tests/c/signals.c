/* Signals are the host's. A send to a peer that has reset does not raise SIGPIPE; the handlers of
   the host stay as they are; its signals are not taken by the library's threads, also when it waits
   for them with sigwait; and one that interrupts a poll does not end it early. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h> /* C11, which every compiler here has */
#include <sys/time.h>

static volatile sig_atomic_t alarms = 0, elsewhere = 0;
static pthread_t main_thread;

static void on_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
    if (!pthread_equal(pthread_self(), main_thread)) elsewhere = elsewhere + 1;
}

static struct sigaction before[32];

/* What the host, or who started it, has decided of each signal. */
static void read_actions(struct sigaction actions[32])
{
    for (int number = 1; number < 32; number++)
        REQUIRE_INT(0, sigaction(number, NULL, &actions[number]));
}

static void check_untouched(void)
{
    struct sigaction now[32];
    read_actions(now);
    REQUIRE(now[SIGVTALRM].sa_handler == on_alarm);
    for (int number = 1; number < 32; number++)
        REQUIRE(now[number].sa_handler == before[number].sa_handler);
}

static void check_no_sigpipe(void)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_HOST, 0);
    sockeye_conn client, server;
    char url[64];
    harness_listen(net, "", NULL, url);
    for (int round = 0; round < 20; round++) {
        int open = 2;
        harness_pair(net, url, NULL, &client, &server);
        REQUIRE_OK(sockeye_close(net, server, SOCKEYE_CLOSE_RESET));
        /* Into a connection that is being reset, again and again, until it is told. */
        while (open > 0) {
            const sockeye_status status = harness_send_text(net, client, "anybody there?");
            sockeye_event event;
            REQUIRE(status >= 0 || status == SOCKEYE_ERR_CLOSED || status == SOCKEYE_ERR_STALE);
            const int32_t count = sockeye_poll_events(net, &event, 1, HARNESS_DEADLINE_MS);
            REQUIRE_INT(1, count);
            open -= event.kind == SOCKEYE_EVENT_CLOSED;
        }
    }
    harness_close_live(net, 0);
}

/* The alarms come while the poll sleeps; it sleeps its time all the same. */
static void check_interrupted(uint32_t drive, uint32_t workers)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, drive, workers);
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    sockeye_event event;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* without SA_RESTART: system calls answer EINTR */
    REQUIRE_INT(0, sigaction(SIGALRM, &action, NULL));
    alarms = elsewhere = 0;
    const int64_t start = harness_now_ms();
    REQUIRE_INT(0, setitimer(ITIMER_REAL, &often, NULL));
    REQUIRE_INT(0, sockeye_poll_events(net, &event, 1, 300));
    REQUIRE_INT(0, setitimer(ITIMER_REAL, &never, NULL));
    const int64_t took = harness_now_ms() - start;
    REQUIRE(took >= 299 && took < 5000);
    REQUIRE(alarms > 5);
    REQUIRE_INT(0, elsewhere);
    action.sa_handler = SIG_DFL;
    REQUIRE_INT(0, sigaction(SIGALRM, &action, NULL));
    harness_close(net);
    harness_watchdog(); /* the timer took its place */
}

/* A host that blocks a signal and waits for it: a thread of the library that did not block it too
   would get it instead, and the program would end. */
static void check_sigwait(void)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 3);
    const struct timespec patience = {10, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    REQUIRE_INT(0, pthread_sigmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < 20; i++) {
        REQUIRE_INT(0, kill(getpid(), SIGUSR2));
        REQUIRE_INT(SIGUSR2, sigtimedwait(&set, NULL, &patience));
    }
    REQUIRE_INT(0, pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    harness_close(net);
}

static atomic_int looked = 0;

/* On a worker: what it has blocked. */
static void on_events(void *user, sockeye_net *net, uint32_t queue, const sockeye_event *events,
                      uint32_t count)
{
    sigset_t set;
    (void)user, (void)net, (void)queue, (void)events, (void)count;
    REQUIRE(!pthread_equal(pthread_self(), main_thread));
    REQUIRE_INT(0, pthread_sigmask(SIG_BLOCK, NULL, &set));
    const int blocked[] = {SIGINT,  SIGTERM, SIGHUP,  SIGALRM,
                           SIGCHLD, SIGUSR1, SIGPIPE, SIGRTMIN + 3};
    for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
        REQUIRE_INT(1, sigismember(&set, blocked[i]));
    const int left[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPWR, SIGXCPU, SIGRTMIN + 1};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        REQUIRE_INT(0, sigismember(&set, left[i]));
    atomic_store(&looked, 1);
}

/* A function of the host's may run code that a collector has to stop, and may fault: the signals of
   both reach it on the library's threads. What the host itself has blocked stays so. */
static void check_left_alone(void)
{
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, SIGRTMIN + 3);
    REQUIRE_INT(0, pthread_sigmask(SIG_BLOCK, &own, NULL));
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    REQUIRE_INT(0, pthread_sigmask(SIG_UNBLOCK, &own, NULL));
    REQUIRE_OK(sockeye_set_callback(net, 0, on_events, NULL));
    REQUIRE_OK(sockeye_post(net, 0, 1, 1));
    const int64_t deadline = harness_deadline();
    while (!atomic_load(&looked)) harness_breathe(deadline);
    harness_close(net);
}

int main(void)
{
    struct sigaction action;
    main_thread = pthread_self();
    harness_watchdog();
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    REQUIRE_INT(0, sigaction(SIGVTALRM, &action, NULL));
    action.sa_handler = SIG_DFL; /* whatever started this may ignore it */
    REQUIRE_INT(0, sigaction(SIGPIPE, &action, NULL));
    read_actions(before);
    check_no_sigpipe();
    check_untouched();
    check_sigwait();
    check_left_alone();
    check_interrupted(SOCKEYE_DRIVE_POOL, 2);
    check_interrupted(SOCKEYE_DRIVE_HOST, 1);
    check_interrupted(SOCKEYE_DRIVE_HOST, 0);
    return 0;
}
