/* A player of lanes_server.   lanes_client [LOGIN [SECONDS]]

   It gets its token at the login and connects with it. Then it plays: where it is goes into lane 2,
   30 times a second, and only the newest counts; each second it says something in lane 0, where
   nothing is lost, and makes a noise in lane 1, which may be. What comes back is counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sockeye.h"

enum { CHAT, NOISE, PLACE, LANES, PLACES_A_SECOND = 30, LOGIN = 1, TICK };

typedef struct {
    sockeye_net *net;
    sockeye_conn game;
    int over;
    uint32_t ticks, last, older, sent[LANES], back[LANES], newest;
} player;

static void fail(player *of, const char *what)
{
    fprintf(stderr, "lanes_client: %s: %s\n", what, sockeye_last_error());
    of->over = 1;
}

/* The token says where the game is. */
static void join(player *of, const uint8_t *token)
{
    sockeye_endpoint endpoint;
    sockeye_lanes lanes;
    sockeye_lanes_init(&lanes, sizeof lanes);
    lanes.token = token;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.lanes = &lanes;
    if (sockeye_connect(of->net, "game://", &endpoint, &of->game) < 0) fail(of, "game");
}

static void heard(player *of, const sockeye_event *event)
{
    uint32_t lane = event->code, number;
    if (lane >= LANES) return;
    if (lane == CHAT && event->data_len > 7 && !memcmp(event->data, "welcome", 7)) {
        sockeye_timer timer;
        printf("%.*s\n", (int)event->data_len, (const char *)event->data);
        if (sockeye_timer_start(of->net, 0, 0, 1000 / PLACES_A_SECOND, TICK, &timer) < 0)
            fail(of, "timer");
        return;
    }
    of->back[lane]++;
    if (lane != PLACE || event->data_len < sizeof number) return;
    memcpy(&number, event->data, sizeof number);
    of->older += number < of->newest;
    of->newest = number;
}

/* ERR_AGAIN: the lane is full, and a newer place follows anyhow. */
static void say(player *of, uint32_t lane, const void *data, size_t size)
{
    sockeye_status status = sockeye_send_lane(of->net, of->game, lane, data, size);
    if (status >= 0) of->sent[lane]++;
    else if (status != SOCKEYE_ERR_AGAIN && status != SOCKEYE_ERR_CLOSED) fail(of, "send");
}

static void tick(player *of)
{
    uint32_t number = of->ticks++;
    struct {
        uint32_t number;
        float x, y;
    } place = {number, (float)number * 0.1f, 0};
    say(of, PLACE, &place, sizeof place);
    if (number % PLACES_A_SECOND != 0) return;
    say(of, CHAT, "hello", 5);
    say(of, NOISE, "knock", 5);
}

static void on_event(player *of, const sockeye_event *event)
{
    if (event->user_data == LOGIN) {
        if (event->kind == SOCKEYE_EVENT_MESSAGE && event->data_len == SOCKEYE_TOKEN_BYTES)
            join(of, event->data);
        if (event->kind == SOCKEYE_EVENT_CLOSED && !of->game.id) of->over = 1;
        return;
    }
    if (event->kind == SOCKEYE_EVENT_TIMER) tick(of);
    if (event->kind == SOCKEYE_EVENT_MESSAGE) heard(of, event);
    if (event->kind != SOCKEYE_EVENT_CLOSED) return;
    fprintf(stderr, "lanes_client: closed: %s\n", sockeye_cause_text(event->cause));
    of->over = 1;
}

static void tell(const player *of)
{
    static const char *const names[] = {"chat", "noises", "places"};
    sockeye_lanes_info info;
    for (int lane = 0; lane < LANES; lane++)
        printf("%s: %u sent, %u came back\n", names[lane], of->sent[lane], of->back[lane]);
    if (sockeye_conn_get_lanes(of->net, of->game, &info, sizeof info) >= 0)
        printf("round trip %u us, %u of %u packets lost\n", info.rtt_us,
               (unsigned)info.packets_lost, (unsigned)info.packets_sent);
}

static void log_in(player *of, const char *url)
{
    sockeye_endpoint endpoint;
    sockeye_conn login;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.user_data = LOGIN;
    if (sockeye_connect(of->net, url, &endpoint, &login) < 0) fail(of, url);
}

/* One poll. */
static void turn(player *of, int32_t timeout_ms)
{
    sockeye_event events[64];
    int32_t count = sockeye_poll_events(of->net, events, 64, timeout_ms);
    for (int32_t i = 0; i < count; i++) on_event(of, &events[i]);
    if (count < 0) fail(of, "poll");
}

int main(int argc, char **argv)
{
    player own = {0};
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7776?frame=u32be";
    own.last = (argc > 2 ? (uint32_t)atoi(argv[2]) : 5) * PLACES_A_SECOND;
    if (sockeye_init(NULL, &own.net) < 0) return fail(&own, "init"), 1;
    log_in(&own, url);
    while (!own.over && own.ticks < own.last) turn(&own, -1);
    tell(&own);
    sockeye_close(own.net, own.game, SOCKEYE_CLOSE_GRACEFUL);
    sockeye_shutdown(own.net, 2000);
    return sockeye_free(own.net) < 0 || own.ticks < own.last || own.back[CHAT] == 0;
}
