/* A forked child: every call on a net of the parent answers ERR_FORKED and touches nothing, the
   child ends in order (exit, not _exit), and the parent's connections live on. A host forks when it
   starts a helper program, usually without a thought about the libraries it is linked with. */
#include "harness.h"

#include <sys/wait.h>

struct world {
    sockeye_net *net;
    sockeye_listener door;
    sockeye_conn client, server;
    sockeye_group group;
    sockeye_event event; /* a message of the batch that lives while we fork */
    char url[64];
};

#define FORKED(call) REQUIRE_STATUS(SOCKEYE_ERR_FORKED, (call))

static void call_everything(const struct world *world)
{
    sockeye_net *net = world->net;
    const uint8_t byte = 1;
    sockeye_event event;
    sockeye_listener door;
    sockeye_conn conn;
    sockeye_buffer buffer;
    sockeye_timer timer = {0};
    sockeye_group group;
    sockeye_group_stats group_stats;
    sockeye_message message;
    sockeye_status each;
    sockeye_net_info net_info;
    sockeye_net_stats net_stats;
    sockeye_listener_info door_info;
    sockeye_conn_info conn_info;
    sockeye_conn_stats conn_stats;
    sockeye_tcp_info tcp_info;
    sockeye_histogram histogram;
    sockeye_queue_stats queue_stats;
    sockeye_listener_stats door_stats;
    const sockeye_address to = {4, 9, 0, {127, 0, 0, 1}, {0}};
    intptr_t handle;
    size_t length;
    REQUIRE_OK(sockeye_message_init(&message, sizeof message));
    FORKED(sockeye_listen(net, "tcp://127.0.0.1:0", NULL, &door));
    FORKED(sockeye_listener_close(net, world->door));
    FORKED(sockeye_connect(net, world->url, NULL, &conn));
    FORKED(sockeye_send(net, world->client, &byte, 1));
    FORKED(sockeye_send_many(net, &world->client, 1, &byte, 1, &each));
    FORKED(sockeye_send_message(net, &world->client, 1, &message, &each));
    FORKED(sockeye_send_to(net, world->door, &to, &byte, 1));
    FORKED(sockeye_listener_join(net, world->door, &to, 0));
    FORKED(sockeye_listener_leave(net, world->door, &to, 0));
    FORKED(sockeye_listener_get_stats(net, world->door, &door_stats, sizeof door_stats));
    FORKED(sockeye_close(net, world->client, SOCKEYE_CLOSE_RESET));
    FORKED(sockeye_close_with(net, world->client, SOCKEYE_CLOSE_GRACEFUL, &byte, 1));
    FORKED(sockeye_conn_pause(net, world->client));
    FORKED(sockeye_conn_resume(net, world->client));
    FORKED(sockeye_conn_set_user_data(net, world->client, 1));
    FORKED(sockeye_conn_set_queue(net, world->client, 0));
    FORKED(sockeye_listen_adopt(net, 0, NULL, &door));
    FORKED(sockeye_listener_release(net, world->door, &handle));
    FORKED(sockeye_conn_adopt(net, 0, NULL, NULL, 0, &conn));
    FORKED(sockeye_conn_release(net, world->client, &handle, &buffer, &buffer));
    FORKED(sockeye_conn_native(net, world->client, &handle));
    FORKED(sockeye_set_callback(net, 0, NULL, NULL));
    FORKED(sockeye_poll_events(net, NULL, 0, 0));
    FORKED(sockeye_poll_events(net, &event, 1, 0));
    FORKED(sockeye_queue_poll_events(net, 0, &event, 1, -1));
    FORKED(sockeye_flush(net));
    FORKED(sockeye_queue_flush(net, 0));
    FORKED(sockeye_post(net, 0, 1, 1));
    FORKED(sockeye_wake(net, 0));
    FORKED(sockeye_timer_start(net, 0, 1, 1, 1, &timer));
    FORKED(sockeye_timer_stop(net, timer));
    FORKED(sockeye_group_create(net, &group));
    FORKED(sockeye_group_add(net, world->group, world->client));
    FORKED(sockeye_group_remove(net, world->group, world->client));
    FORKED(sockeye_group_count(net, world->group));
    FORKED(sockeye_group_send(net, world->group, world->client, &message, NULL));
    FORKED(sockeye_group_get_stats(net, world->group, &group_stats, sizeof group_stats));
    FORKED(sockeye_group_destroy(net, world->group));
    FORKED(sockeye_wait_handle(net, 0, &handle));
    FORKED(sockeye_wait_port(net, 0, 1, 1));
    FORKED(sockeye_buffer_acquire(net, 100, &buffer));
    FORKED(sockeye_event_hold(net, &world->event, &buffer));
    FORKED(sockeye_net_get_info(net, &net_info, sizeof net_info));
    FORKED(sockeye_net_get_stats(net, &net_stats, sizeof net_stats));
    FORKED(sockeye_conn_get_tcp_info(net, world->client, &tcp_info, sizeof tcp_info));
    FORKED(sockeye_conns_get_tcp_info(net, &world->client, 1, &tcp_info, sizeof tcp_info));
    FORKED(sockeye_metrics_write(net, NULL, 0, &length));
    FORKED(sockeye_metrics_listen(net, "tcp://127.0.0.1:0", NULL));
    FORKED(sockeye_metrics_close(net));
    FORKED(sockeye_net_get_histogram(net, 0, &histogram, sizeof histogram));
    FORKED(sockeye_queue_get_stats(net, 0, &queue_stats, sizeof queue_stats));
    FORKED(sockeye_listener_get_info(net, world->door, &door_info, sizeof door_info));
    FORKED(sockeye_conn_get_info(net, world->client, &conn_info, sizeof conn_info));
    FORKED(sockeye_conn_get_stats(net, world->client, &conn_stats, sizeof conn_stats));
    FORKED(sockeye_conns_get_stats(net, &world->client, 1, &conn_stats, sizeof conn_stats));
    FORKED(sockeye_shutdown(net, 1000));
    FORKED(sockeye_free(net));
    /* Words need no net. */
    REQUIRE(strlen(sockeye_status_text(SOCKEYE_ERR_FORKED)) > 0);
    REQUIRE(strlen(sockeye_version()) > 0);
}

static void run_child(const struct world *world)
{
    int status = 0;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(10);
        call_everything(world);
        exit(0); /* with whatever the library has to do at an exit */
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE_INT(0, WEXITSTATUS(status));
}

static void run(uint32_t model, uint32_t drive, uint32_t workers)
{
    struct world world;
    memset(&world, 0, sizeof world);
    world.net = harness_open(model, drive, workers);
    world.door = harness_listen(world.net, "?frame=u32be", NULL, world.url);
    harness_pair(world.net, world.url, NULL, &world.client, &world.server);
    REQUIRE_OK(sockeye_group_create(world.net, &world.group));
    REQUIRE_OK(sockeye_group_add(world.net, world.group, world.client));
    REQUIRE_OK(harness_send_text(world.net, world.client, "before"));
    world.event = harness_expect(world.net, SOCKEYE_EVENT_MESSAGE);

    run_child(&world);
    run_child(&world);

    /* The batch of before still lives, and so do the connections, both ways, the door too. */
    REQUIRE(harness_is_text(&world.event, "before"));
    REQUIRE_OK(harness_send_text(world.net, world.client, "there"));
    sockeye_event event = harness_expect(world.net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == world.server.id && harness_is_text(&event, "there"));
    REQUIRE_OK(harness_send_text(world.net, world.server, "back"));
    event = harness_expect(world.net, SOCKEYE_EVENT_MESSAGE);
    REQUIRE(event.conn.id == world.client.id && harness_is_text(&event, "back"));
    sockeye_conn client, server;
    harness_pair(world.net, world.url, NULL, &client, &server);
    harness_close_live(world.net, 4);
}

int main(void)
{
    harness_watchdog();
    run(SOCKEYE_MODEL_EPOLL, SOCKEYE_DRIVE_POOL, 1);
    run(SOCKEYE_MODEL_EPOLL, SOCKEYE_DRIVE_HOST, 0);
    run(SOCKEYE_MODEL_POLL, SOCKEYE_DRIVE_LEND, 2);
    return 0;
}
