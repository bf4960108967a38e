/* What a fragment of the documentation may take for granted: a host in the midst of its work. */
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sockeye.h"

static sockeye_config config;
static sockeye_endpoint endpoint;
static sockeye_net *net;
static sockeye_listener door;
static sockeye_conn conn;
static sockeye_event events[256];
static const sockeye_event *event = events;
static sockeye_status status;
static sockeye_buffer buffer;
static const uint8_t *data;
static size_t data_len;
static int32_t n, i;
static uint64_t lost;
static volatile sig_atomic_t running = 1;

typedef struct player {
    sockeye_conn conn;
    uint8_t state[4096];
    size_t state_len;
} player;
static player *players;
static size_t players_count;

/* The host's own. */
player *player_new(sockeye_conn conn);
void player_input(uint64_t user_data, const uint8_t *data, uint32_t data_len);
void player_gone(uint64_t user_data, const char *why);
void simulate(void);
int32_t ms_until_next_tick(void);
void die(const char *words);
