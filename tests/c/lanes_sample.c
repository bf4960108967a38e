/* The samples lanes_server and lanes_client, playing with each other for a second. */
#include "harness.h"

#define main lanes_server_main
#define fail server_fail
#define on_event server_event
#define log_in server_log_in
#define turn server_turn
#define LOGIN SERVER_LOGIN
#include "../../cpp-sample/lanes_server.c"
#undef main
#undef fail
#undef on_event
#undef log_in
#undef turn
#undef LOGIN

#define main lanes_client_main
#include "../../cpp-sample/lanes_client.c"
#undef main

enum { TICKS = 40 };

int main(void)
{
    server own = {0};
    player one = {0};
    uint32_t port = 0;
    char url[64];
    sockeye_token_config_init(&own.tokens, sizeof own.tokens);
    memset(own.tokens.key, 7, sizeof own.tokens.key);
    REQUIRE_OK(sockeye_init(NULL, &own.net));
    REQUIRE_OK(open_doors(&own, "tcp://127.0.0.1:0?frame=u32be", "game://127.0.0.1:0", &port));
    REQUIRE_OK(sockeye_init(NULL, &one.net));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u?frame=u32be", (unsigned)port);
    log_in(&one, url);
    /* Until the second chat is back, which was said in tick 30. */
    for (const int64_t deadline = harness_deadline(); one.ticks < TICKS || one.back[CHAT] < 2;) {
        server_turn(&own, 1);
        turn(&one, 1);
        REQUIRE(!one.over);
        REQUIRE(harness_now_ms() < deadline);
    }
    REQUIRE(one.sent[CHAT] >= 2 && one.sent[NOISE] >= 2 && one.sent[PLACE] >= TICKS);
    REQUIRE(one.back[PLACE] > 0 && one.older == 0);
    sockeye_lanes_info info;
    REQUIRE_OK(sockeye_conn_get_lanes(one.net, one.game, &info, sizeof info));
    REQUIRE(info.lanes == 1 && info.open == 0 && info.rtt_us > 0);
    REQUIRE_OK(sockeye_close(one.net, one.game, SOCKEYE_CLOSE_GRACEFUL));
    for (const int64_t deadline = harness_deadline(); !one.over;) {
        server_turn(&own, 1);
        turn(&one, 1);
        REQUIRE(harness_now_ms() < deadline);
    }
    REQUIRE_OK(sockeye_shutdown(one.net, 2000));
    REQUIRE_OK(sockeye_free(one.net));
    REQUIRE_OK(sockeye_shutdown(own.net, 2000));
    REQUIRE_OK(sockeye_free(own.net));
    return 0;
}
