// What a host recognises a connection by. Two queues, each polled by its own thread, take many
// connections whose messages came with the accept: user_data set while handling OPENED is on every
// later event of that connection, `sockeye_conn_index` is below connections_max and never shared by
// two living connections, and every event of a connection comes on one queue.
#include "../c/harness.h"

#include <atomic>
#include <thread>
#include <vector>

namespace {

constexpr uint32_t kQueues = 2;
constexpr uint32_t kClients = 40;
constexpr uint32_t kMessages = 25;
constexpr uint32_t kConnectionsMax = 64;
constexpr uint64_t kDoorData = 1000;

struct Seen {
    uint32_t opened = 0, messages = 0, closed = 0;
    uint32_t queue = 0;
    uint64_t id = 0;
};

// By user_data: a number that is given out at OPENED.
struct Table {
    std::vector<Seen> seen{kClients};
    std::atomic<uint32_t> given{0}, closed{0};
    std::atomic<uint64_t> holder[kConnectionsMax] = {}; // of each index
};

void open_one(sockeye_net *net, Table &table, uint32_t queue, const sockeye_event &event)
{
    REQUIRE_INT(kDoorData, event.user_data); // what its endpoint says, until it is set
    const uint32_t number = table.given++;
    REQUIRE(number < kClients);
    const uint32_t index = sockeye_conn_index(event.conn);
    REQUIRE(index < kConnectionsMax);
    REQUIRE_INT(0, table.holder[index].exchange(event.conn.id));
    Seen &seen = table.seen[number];
    seen.opened++;
    seen.queue = queue;
    seen.id = event.conn.id;
    REQUIRE_OK(sockeye_conn_set_user_data(net, event.conn, number));
    sockeye_conn_info info;
    REQUIRE_OK(sockeye_conn_get_info(net, event.conn, &info, sizeof info));
    REQUIRE(info.user_data == number && info.queue == queue);
}

void take(sockeye_net *net, Table &table, uint32_t queue, const sockeye_event &event)
{
    if (event.kind == SOCKEYE_EVENT_OPENED) return open_one(net, table, queue, event);
    REQUIRE(event.user_data < kClients);
    Seen &seen = table.seen[event.user_data];
    REQUIRE_INT(seen.id, event.conn.id);
    REQUIRE_INT(queue, seen.queue);
    REQUIRE_INT(0, seen.closed);
    if (event.kind == SOCKEYE_EVENT_MESSAGE) {
        REQUIRE(event.data_len == 4 && event.data[0] == seen.messages); // and in order
        seen.messages++;
        return;
    }
    REQUIRE_INT(SOCKEYE_EVENT_CLOSED, event.kind);
    seen.closed++;
    table.holder[sockeye_conn_index(event.conn)] = 0;
    table.closed++;
}

// One queue's thread. The array is so large that a batch could hold an OPENED and all behind it.
void poll_queue(sockeye_net *net, Table &table, uint32_t queue)
{
    std::vector<sockeye_event> events(4096);
    const int64_t deadline = harness_deadline();
    while (table.closed < kClients) {
        REQUIRE(harness_now_ms() < deadline);
        const int32_t count = sockeye_queue_poll_events(net, queue, events.data(), 4096, 20);
        REQUIRE(count >= 0);
        for (int32_t i = 0; i < count; i++) take(net, table, queue, events[static_cast<size_t>(i)]);
    }
}

// Clients that say all they have to say before anybody has accepted them.
sockeye_net *talk(const char *url)
{
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    for (uint32_t client = 0; client < kClients; client++) {
        sockeye_conn conn;
        REQUIRE_OK(sockeye_connect(net, url, nullptr, &conn));
        for (uint32_t i = 0; i < kMessages; i++) {
            const uint8_t message[4] = {static_cast<uint8_t>(i), 1, 2, 3};
            REQUIRE_OK(sockeye_send(net, conn, message, sizeof message));
        }
        REQUIRE_OK(sockeye_close(net, conn, SOCKEYE_CLOSE_GRACEFUL));
    }
    return net;
}

void run(uint32_t model)
{
    sockeye_config config;
    REQUIRE_OK(sockeye_config_init(&config, sizeof config));
    config.model = model;
    config.queues = kQueues;
    config.workers = kQueues;
    config.drive = SOCKEYE_DRIVE_POOL;
    config.connections_max = kConnectionsMax;
    sockeye_net *net = nullptr;
    REQUIRE_OK(sockeye_init(&config, &net));
    sockeye_endpoint endpoint;
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.queue = SOCKEYE_QUEUE_SPREAD;
    endpoint.user_data = kDoorData;
    char url[64];
    harness_listen(net, "?frame=u16be", &endpoint, url);

    // The workers take it all in before the first poll: each OPENED has its messages behind it.
    sockeye_net *clients = talk(url);
    const int64_t deadline = harness_deadline();
    sockeye_net_stats stats{};
    do {
        harness_breathe(deadline);
        REQUIRE_OK(sockeye_net_get_stats(net, &stats, sizeof stats));
    } while (stats.received_messages < uint64_t{kClients} * kMessages);

    Table table;
    std::thread other(poll_queue, net, std::ref(table), 1);
    poll_queue(net, table, 0);
    other.join();
    uint32_t per_queue[kQueues] = {};
    for (const Seen &seen : table.seen) {
        REQUIRE(seen.opened == 1 && seen.messages == kMessages && seen.closed == 1);
        per_queue[seen.queue]++;
    }
    REQUIRE_INT(kClients / 2, per_queue[0]); // spread evenly
    REQUIRE_OK(sockeye_free(clients));
    REQUIRE_OK(sockeye_free(net));
}

} // namespace

int main()
{
    harness_watchdog();
    run(SOCKEYE_MODEL_AUTO);
    run(SOCKEYE_MODEL_POLL);
    return 0;
}
