/* Words: every status and cause has its own, unknown numbers have some too; the versions agree with
   the macros; last_error speaks of this thread's last refusal, is set by the calls that say so and
   left alone by the daily ones. */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

struct number {
    const char *of;
    int64_t value;
};

static const struct number numbers[] = {
#define ENUMERATOR(of, name, value) {#of, value},
#include "interface.inc"
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

/* Whether the header has a name for this number in that enum. */
static int is_known(const char *of, int32_t number)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (numbers[i].value == number && strcmp(numbers[i].of, of) == 0) return 1;
    }
    return 0;
}

/* `text` is words, and different from all that came before. */
static void check_words(const char *text, const char **seen, size_t *count)
{
    REQUIRE(text != NULL && strlen(text) > 2);
    REQUIRE(strcmp(text, "unknown") != 0);
    for (size_t i = 0; i < *count; i++) REQUIRE(strcmp(seen[i], text) != 0);
    seen[(*count)++] = text;
}

static void check_texts(void)
{
    const char *seen[256], *done = sockeye_status_text(SOCKEYE_OK);
    size_t count = 0;
    for (int32_t number = -1000; number < 1000; number++) {
        const char *status = sockeye_status_text(number), *cause = sockeye_cause_text(number);
        REQUIRE(count + 2 < sizeof seen / sizeof seen[0]);
        if (is_known("sockeye_status_code", number)) {
            check_words(status, seen, &count);
        } else {
            /* A count is done; what has no name is unknown. */
            REQUIRE(strcmp(status, number > 0 ? done : "unknown") == 0);
        }
        if (is_known("sockeye_cause", number)) {
            check_words(cause, seen, &count);
        } else {
            REQUIRE(strcmp(cause, "unknown") == 0);
        }
        REQUIRE(sockeye_model_name((uint32_t)number) != NULL);
    }
    REQUIRE(count > 2);
    REQUIRE(strcmp(sockeye_status_text(INT32_MAX), done) == 0);
    REQUIRE(strcmp(sockeye_status_text(INT32_MIN), "unknown") == 0);
    REQUIRE(strcmp(sockeye_cause_text(INT32_MAX), "unknown") == 0);
    REQUIRE(strcmp(sockeye_cause_text(INT32_MIN), "unknown") == 0);
}

/* The system's number for a refused connection. On Windows errno.h has another system's. */
#ifdef _WIN32
#define REFUSED 10061 /* WSAECONNREFUSED */
#else
#define REFUSED ECONNREFUSED
#endif

static void check_os_texts(void)
{
    char text[128], small[8];
    const int32_t length = REQUIRE_OK(sockeye_os_error_text(REFUSED, text, sizeof text));
    REQUIRE_INT(strlen(text), length);
    REQUIRE(strstr(text, "refused") != NULL);
    /* Cut to the room there is, with its NUL. */
    memset(small, 'x', sizeof small);
    REQUIRE_INT(7, sockeye_os_error_text(REFUSED, small, sizeof small));
    REQUIRE(small[7] == 0 && strncmp(small, text, 7) == 0);
    REQUIRE_INT(0, sockeye_os_error_text(REFUSED, small, 1));
    REQUIRE(small[0] == 0);
    REQUIRE_OK(sockeye_os_error_text(INT32_MIN, text, sizeof text));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_os_error_text(EPERM, NULL, 8));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_os_error_text(EPERM, text, 0));
}

static void check_versions(void)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SOCKEYE_VERSION_MAJOR, SOCKEYE_VERSION_MINOR,
             SOCKEYE_VERSION_PATCH);
    REQUIRE(strcmp(version, sockeye_version()) == 0);
    REQUIRE(sockeye_abi_version() >= 1);
}

static void check_models(void)
{
    uint32_t known = 0;
    for (uint32_t model = SOCKEYE_MODEL_AUTO; model <= SOCKEYE_MODEL_KQUEUE; model++) {
        uint32_t number = 99;
        sockeye_model_info info;
        REQUIRE_OK(sockeye_model_from_name(sockeye_model_name(model), &number));
        REQUIRE_INT(model, number);
        REQUIRE_OK(sockeye_model_probe(model, &info, sizeof info));
        REQUIRE(info.struct_size == sizeof info && info.available <= 1);
        REQUIRE(strlen((const char *)info.reason) > 0 && strlen((const char *)info.name) > 0);
        known += info.available;
    }
    REQUIRE(known >= 2);
    REQUIRE(strcmp(sockeye_model_name(12), "unknown") == 0);
}

/* Another thread's refusals are its own. */
static void *refuse_elsewhere(void *unused)
{
    uint32_t number;
    REQUIRE(sockeye_last_error()[0] == 0);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_model_from_name("elsewhere", &number));
    REQUIRE(strstr(sockeye_last_error(), "elsewhere") != NULL);
    return unused;
}

static void check_last_error(void)
{
    const sockeye_conn nobody = {UINT64_C(0x1234567812345678)};
    const uint8_t byte = 0;
    sockeye_config config;
    sockeye_net *net = NULL;
    sockeye_listener door;
    sockeye_conn conn;
    sockeye_event event;
    uint32_t number;
    char kept[256];
    pthread_t thread;

    REQUIRE(sockeye_last_error() != NULL && sockeye_last_error()[0] == 0);
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.workers = 65;
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_init(&config, &net));
    REQUIRE(net == NULL);
    REQUIRE(strstr(sockeye_last_error(), "workers") != NULL);
    config.workers = SOCKEYE_WORKERS_AUTO;
    REQUIRE_OK(sockeye_init(&config, &net));

    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_listen(net, "no url at all", NULL, &door));
    REQUIRE(sockeye_last_error()[0] != 0);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_connect(net, "tcp://127.0.0.1:0", NULL, &conn));
    REQUIRE(strstr(sockeye_last_error(), "port") != NULL);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_poll_events(net, &event, 0, 0));
    REQUIRE(sockeye_last_error()[0] != 0);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_model_from_name("carrier_pigeon", &number));
    REQUIRE(strstr(sockeye_last_error(), "carrier_pigeon") != NULL);

    /* Every refusal has words, and none has those of another. */
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_send(net, nobody, &byte, 1));
    REQUIRE(strcmp(sockeye_last_error(), sockeye_status_text(SOCKEYE_ERR_STALE)) == 0);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_flush(NULL));
    REQUIRE(strcmp(sockeye_last_error(), sockeye_status_text(SOCKEYE_ERR_INVALID)) == 0);
    REQUIRE_STATUS(SOCKEYE_ERR_STALE, sockeye_close(net, nobody, SOCKEYE_CLOSE_RESET));
    REQUIRE(strcmp(sockeye_last_error(), sockeye_status_text(SOCKEYE_ERR_STALE)) == 0);

    /* Calls that succeed, signal-safe ones and other threads leave the words alone. */
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_model_from_name("carrier_pigeon", &number));
    snprintf(kept, sizeof kept, "%s", sockeye_last_error());
    REQUIRE_OK(sockeye_flush(net));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_wake(net, 9));
    REQUIRE_INT(0, pthread_create(&thread, NULL, refuse_elsewhere, NULL));
    REQUIRE_INT(0, pthread_join(thread, NULL));
    REQUIRE(strcmp(kept, sockeye_last_error()) == 0);
    harness_close(net);
}

int main(void)
{
    harness_watchdog();
    check_last_error();
    check_texts();
    check_os_texts();
    check_versions();
    check_models();
    return 0;
}
