/* The host's allocator: all memory is of it and goes back to it with its size and alignment, the
   choice comes before everything else, and a chunk that it refuses fails softly. */
#include "harness.h"

#include <stdatomic.h> /* C11, which every compiler here has */

static atomic_llong blocks, bytes, calls;
static atomic_int refuse; /* blocks of 4 KiB and more */
static int user;

static void *take(void *given, size_t size, size_t alignment)
{
    void *block = NULL;
    REQUIRE(given == &user && size > 0 && alignment > 0 && (alignment & (alignment - 1)) == 0);
    REQUIRE(alignment <= 4096);
    if (atomic_load(&refuse) && size >= 4096) return NULL;
    /* The size is written in front, to be compared with what comes back. */
    const size_t front = alignment < 2 * sizeof size ? 2 * sizeof size : alignment;
    if (posix_memalign(&block, front, front + size) != 0) return NULL;
    memcpy((char *)block + front - sizeof size, &size, sizeof size);
    atomic_fetch_add(&blocks, 1);
    atomic_fetch_add(&bytes, (long long)size);
    atomic_fetch_add(&calls, 1);
    return (char *)block + front;
}

static void give(void *given, void *block, size_t size, size_t alignment)
{
    size_t before;
    const size_t front = alignment < 2 * sizeof size ? 2 * sizeof size : alignment;
    REQUIRE(given == &user && block);
    memcpy(&before, (char *)block - sizeof before, sizeof before);
    REQUIRE_INT(before, size);
    atomic_fetch_sub(&blocks, 1);
    atomic_fetch_sub(&bytes, (long long)size);
    free((char *)block - front);
}

/* A net with a client and a server, and messages of many sizes in both directions. */
static void play(uint32_t model)
{
    static uint8_t text[200000];
    sockeye_config config;
    sockeye_net *net;
    sockeye_conn client, server;
    char url[64];
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    REQUIRE_OK(sockeye_init(&config, &net));
    harness_listen(net, "?frame=u32be", NULL, url);
    harness_pair(net, url, NULL, &client, &server);
    for (uint32_t len = 1; len < sizeof text; len = len * 3 + 1) {
        REQUIRE_OK(sockeye_send(net, client, text, len));
        REQUIRE_INT(len, harness_expect(net, SOCKEYE_EVENT_MESSAGE).data_len);
    }
    /* A large block that cannot be had is an error and not the end. */
    sockeye_buffer buffer;
    atomic_store(&refuse, 1);
    REQUIRE_STATUS(SOCKEYE_ERR_NO_MEMORY, sockeye_buffer_acquire(net, 1 << 20, &buffer));
    atomic_store(&refuse, 0);
    REQUIRE_OK(sockeye_buffer_acquire(net, 1 << 20, &buffer));
    REQUIRE_OK(sockeye_buffer_release(&buffer));
    REQUIRE_OK(sockeye_free(net));
}

int main(void)
{
    harness_watchdog();
    /* A refusal is no memory, so that the right call may follow. */
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_set_allocator(NULL, NULL, give, &user));
    REQUIRE(strstr(sockeye_last_error(), "allocate"));
    REQUIRE_OK(sockeye_set_allocator(take, NULL, give, &user));
    REQUIRE_STATUS(SOCKEYE_ERR_BUSY, sockeye_set_allocator(take, NULL, give, &user));
    REQUIRE(strstr(sockeye_last_error(), "already"));
    play(SOCKEYE_MODEL_EPOLL);
    play(SOCKEYE_MODEL_BLOCKING);
    REQUIRE(atomic_load(&calls) > 100);
    /* What stays is of the process: it does not grow with further nets. */
    const long long kept = atomic_load(&bytes);
    for (int round = 0; round < 5; round++)
        play(SOCKEYE_MODEL_EPOLL);
    REQUIRE(kept < 256 * 1024);
    REQUIRE(atomic_load(&bytes) <= kept + 4096);
    return 0;
}
