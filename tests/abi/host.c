/* A host that was compiled with the header of an earlier release of this binary interface. It uses
   only what that header had, and sees that the library writes no byte past the structs as they
   were then: each lies in front of a guard. */
#include "../c/harness.h"

#define GUARD 0x5a

/* A struct of the host's, filled so that what the library leaves alone is seen. */
#define GUARDED(type)                                                                             \
    struct {                                                                                      \
        type it;                                                                                  \
        unsigned char guard[256];                                                                 \
    }
#define SET(guarded) memset(&(guarded), GUARD, sizeof(guarded))
#define REQUIRE_WHOLE(guarded) require_whole((guarded).guard, sizeof(guarded).guard)
/* A call that fills a struct keeps to its size and says how much it knew. */
#define FILLED(guarded, call)                                                                     \
    do {                                                                                          \
        SET(guarded);                                                                             \
        REQUIRE_OK(call);                                                                         \
        REQUIRE_WHOLE(guarded);                                                                   \
        REQUIRE_INT(sizeof(guarded).it, (guarded).it.struct_size);                                \
    } while (0)

static void require_whole(const unsigned char *guard, size_t size)
{
    for (size_t i = 0; i < size; i++) REQUIRE_INT(GUARD, guard[i]);
}

static void facts(sockeye_net *net, sockeye_listener door, sockeye_conn conn)
{
    GUARDED(sockeye_net_info) net_info;
    GUARDED(sockeye_net_stats) net_stats;
    GUARDED(sockeye_listener_info) door_info;
    GUARDED(sockeye_listener_stats) bound_stats;
    GUARDED(sockeye_conn_info) conn_info;
    GUARDED(sockeye_conn_stats) conn_stats;
    GUARDED(sockeye_model_info) model;
    sockeye_listener bound;
    REQUIRE_OK(sockeye_listen(net, "udp://127.0.0.1:0", NULL, &bound));
    FILLED(net_info, sockeye_net_get_info(net, &net_info.it, sizeof net_info.it));
    FILLED(net_stats, sockeye_net_get_stats(net, &net_stats.it, sizeof net_stats.it));
    FILLED(door_info, sockeye_listener_get_info(net, door, &door_info.it, sizeof door_info.it));
    FILLED(bound_stats, sockeye_listener_get_stats(net, bound, &bound_stats.it,
                                                   sizeof bound_stats.it));
    FILLED(conn_info, sockeye_conn_get_info(net, conn, &conn_info.it, sizeof conn_info.it));
    FILLED(conn_stats, sockeye_conn_get_stats(net, conn, &conn_stats.it, sizeof conn_stats.it));
    FILLED(model, sockeye_model_probe(net_info.it.model, &model.it, sizeof model.it));
    REQUIRE_INT(2, net_stats.it.connections);
    REQUIRE_OK(sockeye_listener_close(net, bound));
    harness_expect(net, SOCKEYE_EVENT_LISTENER_CLOSED);
}

/* One message of each kind of send, and its echo, in order. */
static void converse(sockeye_net *net, sockeye_conn client, sockeye_conn server)
{
    GUARDED(sockeye_message) message;
    GUARDED(sockeye_buffer) buffer;
    sockeye_status each = SOCKEYE_OK;
    const sockeye_bytes parts[2] = {{harness_bytes("in "), 3}, {harness_bytes("parts"), 5}};
    REQUIRE_OK(harness_send_text(net, client, "plain"));
    SET(message);
    REQUIRE_OK(sockeye_message_init(&message.it, sizeof message.it));
    REQUIRE_WHOLE(message);
    message.it.parts = parts;
    message.it.parts_count = 2;
    REQUIRE_OK(sockeye_send_message(net, &client, 1, &message.it, &each));
    REQUIRE_STATUS(SOCKEYE_OK, each);
    SET(buffer);
    REQUIRE_OK(sockeye_buffer_acquire(net, 5000, &buffer.it));
    REQUIRE_WHOLE(buffer);
    sockeye_buffer_release(&buffer.it);
    for (int i = 0; i < 2; i++) {
        const sockeye_event event = harness_expect(net, SOCKEYE_EVENT_MESSAGE);
        REQUIRE(event.conn.id == server.id);
        REQUIRE(harness_is_text(&event, i == 0 ? "plain" : "in parts"));
        REQUIRE_INT(42, event.user_data);
    }
}

int main(void)
{
    GUARDED(sockeye_config) config;
    GUARDED(sockeye_endpoint) endpoint;
    sockeye_conn client, server;
    sockeye_net *net;
    char url[64];
    harness_watchdog();
    REQUIRE(SOCKEYE_ABI_VERSION <= sockeye_abi_version());
    FILLED(config, sockeye_config_init(&config.it, sizeof config.it));
    FILLED(endpoint, sockeye_endpoint_init(&endpoint.it, sizeof endpoint.it));
    REQUIRE_OK(sockeye_init(&config.it, &net));
    endpoint.it.user_data = 42;
    const sockeye_listener door = harness_listen(net, "?frame=u32be", &endpoint.it, url);
    harness_pair(net, url, NULL, &client, &server);
    facts(net, door, client);
    converse(net, client, server);
    REQUIRE_OK(sockeye_close(net, client, SOCKEYE_CLOSE_GRACEFUL));
    for (int closed = 0; closed < 2; closed++) harness_expect(net, SOCKEYE_EVENT_CLOSED);
    REQUIRE_OK(sockeye_listener_close(net, door));
    harness_expect(net, SOCKEYE_EVENT_LISTENER_CLOSED);
    harness_close(net);
    return 0;
}
