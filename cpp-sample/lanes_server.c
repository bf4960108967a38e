/* A game server with lanes, and the login in front of it.   lanes_server [LOGIN [GAME]]

   Whoever connects to the login is given a token and is hung up on. Here that is anybody; in a game
   it is who has a password, over tls://, and the login is often a program of its own. The game lets
   in who has a token, once. What it hears it sends back in the same lane, and a greeting with the
   player's name, which came in the token, goes into lane 0. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "sockeye.h"

enum { LOGIN = 1 };

typedef struct {
    sockeye_net *net;
    sockeye_token_config tokens; /* what all of them have in common, the key too */
    sockeye_address game;
    uint64_t players;
} server;

static volatile sig_atomic_t running = 1;
static void on_signal(int number)
{
    running = number == 0;
}

static int fail(const char *what)
{
    fprintf(stderr, "lanes_server: %s: %s\n", what, sockeye_last_error());
    return 1;
}

/* A token of its own for everybody: with the name, and a number that the game may look up. */
static void log_in(server *of, sockeye_conn conn)
{
    char name[32];
    uint8_t token[SOCKEYE_TOKEN_BYTES];
    sockeye_token_config config = of->tokens;
    config.client_id = ++of->players;
    config.user_data = name;
    config.user_data_len =
        (uint32_t)snprintf(name, sizeof name, "player %u", (unsigned)of->players);
    if (sockeye_token_make(&config, token) < 0) fail("token");
    else if (sockeye_send(of->net, conn, token, sizeof token) < 0) fail("login");
    sockeye_close(of->net, conn, SOCKEYE_CLOSE_GRACEFUL);
}

/* The token's user data is 256 bytes, zeros behind the name. */
static void greet(const server *of, const sockeye_event *event)
{
    char text[300];
    int size = snprintf(text, sizeof text, "welcome, %.256s", (const char *)event->data);
    if (sockeye_send_lane(of->net, event->conn, 0, text, (size_t)size) < 0) fail("greeting");
}

/* A lane that is full refuses: what is unreliable is lost then, and a player whose ordered lane is
   full does not read. */
static void echo(const server *of, const sockeye_event *event)
{
    uint32_t lane = event->code;
    sockeye_status status =
        sockeye_send_lane(of->net, event->conn, lane, event->data, event->data_len);
    if (status == SOCKEYE_ERR_AGAIN && !(event->flags & SOCKEYE_FLAG_UNRELIABLE))
        sockeye_close(of->net, event->conn, SOCKEYE_CLOSE_RESET);
}

static void on_event(server *of, const sockeye_event *event)
{
    if (event->user_data == LOGIN) {
        if (event->kind == SOCKEYE_EVENT_OPENED) log_in(of, event->conn);
    } else if (event->kind == SOCKEYE_EVENT_OPENED) {
        greet(of, event);
    } else if (event->kind == SOCKEYE_EVENT_MESSAGE) {
        echo(of, event);
    }
}

/* One poll. Returns: how many events there were, or a status below 0. */
static int32_t turn(server *of, int32_t timeout_ms)
{
    sockeye_event events[64];
    int32_t count = sockeye_poll_events(of->net, events, 64, timeout_ms);
    for (int32_t i = 0; i < count; i++) on_event(of, &events[i]);
    return count;
}

/* Opens both doors; the tokens tell where the game is. `port` is that of the login. */
static sockeye_status open_doors(server *of, const char *login, const char *game, uint32_t *port)
{
    sockeye_endpoint endpoint;
    sockeye_lanes lanes;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_status status;
    sockeye_lanes_init(&lanes, sizeof lanes);
    lanes.token_key = of->tokens.key;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.lanes = &lanes;
    if ((status = sockeye_listen(of->net, game, &endpoint, &door)) < 0) return status;
    if ((status = sockeye_listener_get_info(of->net, door, &info, sizeof info)) < 0) return status;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", info.port);
    if ((status = sockeye_address_parse(address, &of->game)) < 0) return status;
    of->tokens.addresses = &of->game;
    of->tokens.addresses_count = 1;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.user_data = LOGIN;
    if ((status = sockeye_listen(of->net, login, &endpoint, &door)) < 0) return status;
    if ((status = sockeye_listener_get_info(of->net, door, &info, sizeof info)) < 0) return status;
    *port = info.port;
    return status;
}

/* The key is known to the login and the game, and to nobody else. It is new at each start. */
static int make_key(sockeye_token_config *config)
{
    FILE *random = fopen("/dev/urandom", "rb");
    if (!random) return 0;
    int made = fread(config->key, sizeof config->key, 1, random) == 1;
    fclose(random);
    return made;
}

int main(int argc, char **argv)
{
    server own = {0};
    uint32_t port = 0;
    const char *login = argc > 1 ? argv[1] : "tcp://127.0.0.1:7776?frame=u32be";
    const char *game = argc > 2 ? argv[2] : "game://127.0.0.1:7777";
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    sockeye_token_config_init(&own.tokens, sizeof own.tokens);
    if (!make_key(&own.tokens)) return fprintf(stderr, "lanes_server: no random bytes\n"), 1;
    if (sockeye_init(NULL, &own.net) < 0) return fail("init");
    if (open_doors(&own, login, game, &port) < 0) return fail("listen");
    fprintf(stderr, "lanes_server: the login is on port %u\n", port);
    while (running && turn(&own, 250) >= 0) continue;
    sockeye_shutdown(own.net, 2000);
    return sockeye_free(own.net) < 0;
}
