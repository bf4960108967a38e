// The header alone: C++17 without exceptions and RTTI, twice, before any other header, and in a
// host that has macros of common names.
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

#include <type_traits>

#include <unistd.h>

// What crosses the boundary is plain data: it may be copied as bytes and declared in any language.
template <class T> constexpr bool plain = std::is_standard_layout_v<T> && std::is_trivial_v<T>;
static_assert(plain<sockeye_config> && plain<sockeye_endpoint> && plain<sockeye_framing>);
static_assert(plain<sockeye_event> && plain<sockeye_buffer> && plain<sockeye_address>);
static_assert(plain<sockeye_net_info> && plain<sockeye_net_stats> && plain<sockeye_model_info>);
static_assert(plain<sockeye_conn_info> && plain<sockeye_conn_stats>);
static_assert(plain<sockeye_listener_info> && plain<sockeye_listener_stats>);
static_assert(plain<sockeye_message> && plain<sockeye_bytes>);

// A connection is not a listener, and neither is a number.
static_assert(!std::is_convertible_v<sockeye_conn, sockeye_listener>);
static_assert(!std::is_convertible_v<uint64_t, sockeye_conn>);

// No function of the header throws a C++ exception at a caller: it is C.
int main()
{
    sockeye_config config;
    sockeye_net *net = nullptr;
#ifndef _WIN32
    alarm(30);
#endif
    if (sockeye_config_init(&config, sizeof config) < 0) return 1;
    if (sockeye_init(&config, &net) < 0) return 2;
    if (sockeye_conn_index(sockeye_conn{(uint64_t{1} << 60) | 9}) != 9) return 3;
    if (sockeye_shutdown(net, 0) < 0) return 4;
    return sockeye_free(net) < 0 ? 5 : 0;
}
