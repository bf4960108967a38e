/* The header alone: C99, twice, before any other header, and in a host that has macros of common
   names. A header that uses such a name, or needs another header first, does not compile here. */
#define check(x) this is not C ((x)
#define verify(x) this is not C ((x)
#define TEXT 7 is not a name
#define PI 3.14 is not a name
#define OK 1 is not a name
#define ERROR 2 is not a name
#define min(a, b) this is not C
#define max(a, b) this is not C

#include "sockeye.h"
#include "sockeye.h"

#undef check
#undef verify
#undef TEXT
#undef PI
#undef OK
#undef ERROR
#undef min
#undef max

#ifndef _WIN32 /* where there may be no other header at all */
#include <unistd.h>
#endif

/* The example at the head of the header, as far as it goes without a network. */
int main(void)
{
    sockeye_config config;
    sockeye_endpoint endpoint;
    sockeye_message message;
    sockeye_conn conn = {UINT64_C(0x1000000000000005)};
    sockeye_net *net = 0;
#ifndef _WIN32
    alarm(30);
#endif
    if (sockeye_config_init(&config, sizeof config) < 0) return 1;
    if (sockeye_endpoint_init(&endpoint, sizeof endpoint) < 0) return 2;
    if (sockeye_message_init(&message, sizeof message) < 0) return 8;
    if (config.struct_size != sizeof config || endpoint.struct_size != sizeof endpoint) return 3;
    if (sockeye_conn_index(conn) != 5) return 4;
    if (sockeye_init(&config, &net) < 0) return 5;
    if (sockeye_shutdown(net, 0) < 0) return 6;
    return sockeye_free(net) < 0 ? 7 : 0;
}
