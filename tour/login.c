/* What a login backend does for each player that it lets in: a connect token for game://, to
   standard output.   login KEY PLAYER IP:PORT...   with the servers' key as 64 hexadecimal digits.

   A real one answers a player's HTTPS request with these bytes once it knows who asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sockeye.h"

static int fail(const char *what)
{
    fprintf(stderr, "login: %s\n", what);
    return 1;
}

static int read_key(const char *text, uint8_t *key)
{
    unsigned byte;
    if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64) return 0;
    for (int i = 0; i < 32 && sscanf(text + 2 * i, "%2x", &byte) == 1; i++) key[i] = (uint8_t)byte;
    return 1;
}

int main(int argc, char **argv)
{
    sockeye_address servers[SOCKEYE_TOKEN_ADDRESSES_MAX];
    uint8_t token[SOCKEYE_TOKEN_BYTES];
    sockeye_token_config config;
    sockeye_token_config_init(&config, sizeof config);
    if (argc < 4 || argc - 3 > SOCKEYE_TOKEN_ADDRESSES_MAX) return fail("KEY PLAYER IP:PORT...");
    if (!read_key(argv[1], config.key)) return fail("KEY has 64 hexadecimal digits");
    config.client_id = strtoull(argv[2], NULL, 10);
    config.protocol_id = 1; /* of this game, in this version */
    config.addresses = servers;
    for (int i = 3; i < argc; i++)
        if (sockeye_address_parse(argv[i], &servers[config.addresses_count++]) < 0)
            return fail(sockeye_last_error());
    config.user_data = "level=3"; /* what the server is to know of the player */
    config.user_data_len = 7;
    if (sockeye_token_make(&config, token) < 0) return fail(sockeye_last_error());
    return fwrite(token, 1, sizeof token, stdout) != sizeof token;
}
