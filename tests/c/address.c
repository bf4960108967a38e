/* Addresses: text with and without a port, the system's form there and back, and who is equal. */
#include "harness.h"

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

static sockeye_address parse(const char *text)
{
    sockeye_address address;
    REQUIRE_OK(sockeye_address_parse(text, &address));
    return address;
}

static void check_text(const char *text, const char *whole, const char *ip)
{
    const sockeye_address address = parse(text);
    char buffer[64];
    REQUIRE_INT(strlen(whole), sockeye_address_format(&address, buffer, sizeof buffer));
    REQUIRE(strcmp(buffer, whole) == 0);
    REQUIRE_INT(strlen(ip), sockeye_address_format_ip(&address, buffer, sizeof buffer));
    REQUIRE(strcmp(buffer, ip) == 0);
    REQUIRE_INT(strlen(ip), sockeye_address_format_ip(&address, buffer, strlen(ip) + 1));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_address_format_ip(&address, buffer, strlen(ip)));
}

static void check_ipv4(void)
{
    const sockeye_address address = parse("10.1.2.3:7777");
    sockeye_address back;
    struct sockaddr_in in;
    struct sockaddr_storage storage;
    size_t len = 0;
    REQUIRE_OK(sockeye_address_to_sockaddr(&address, &in, sizeof in, &len));
    REQUIRE_INT(sizeof in, len);
    REQUIRE(in.sin_family == AF_INET && ntohs(in.sin_port) == 7777);
    REQUIRE(ntohl(in.sin_addr.s_addr) == 0x0a010203);
    REQUIRE_OK(sockeye_address_from_sockaddr(&in, len, &back));
    REQUIRE(memcmp(&back, &address, sizeof back) == 0);
    REQUIRE_OK(sockeye_address_to_sockaddr(&address, &storage, sizeof storage, NULL));
    REQUIRE_OK(sockeye_address_from_sockaddr(&storage, sizeof storage, &back));
    REQUIRE(sockeye_address_equal(&back, &address) == 1);
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID,
                   sockeye_address_to_sockaddr(&address, &in, sizeof in - 1, &len));
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID,
                   sockeye_address_from_sockaddr(&in, sizeof in - 1, &back));
}

static void check_ipv6(void)
{
    const sockeye_address address = parse("[fe80::1%3]:80");
    sockeye_address back;
    struct sockaddr_in6 in6;
    size_t len = 0;
    REQUIRE_OK(sockeye_address_to_sockaddr(&address, &in6, sizeof in6, &len));
    REQUIRE_INT(sizeof in6, len);
    REQUIRE(in6.sin6_family == AF_INET6 && ntohs(in6.sin6_port) == 80);
    REQUIRE(in6.sin6_scope_id == 3 && memcmp(&in6.sin6_addr, address.bytes, 16) == 0);
    REQUIRE_OK(sockeye_address_from_sockaddr(&in6, len, &back));
    REQUIRE(memcmp(&back, &address, sizeof back) == 0);
    in6.sin6_family = AF_UNSPEC;
    REQUIRE_STATUS(SOCKEYE_ERR_INVALID, sockeye_address_from_sockaddr(&in6, len, &back));
    REQUIRE(memcmp(&back, &address, sizeof back) == 0); /* written only when it is done */
}

static void require_equal(int expected, const char *a, const char *b)
{
    const sockeye_address one = parse(a), other = parse(b);
    REQUIRE_INT(expected, sockeye_address_equal(&one, &other));
    REQUIRE_INT(expected, sockeye_address_equal(&other, &one));
}

static void check_equal(void)
{
    sockeye_address local = parse("1.2.3.4:5"), none;
    const sockeye_address plain = local, mapped = parse("[::ffff:1.2.3.4]:5");
    memset(&none, 0, sizeof none);
    require_equal(1, "1.2.3.4:5", "1.2.3.4:5");
    require_equal(1, "1.2.3.4:5", "[::ffff:1.2.3.4]:5");
    require_equal(0, "1.2.3.4:5", "[::ffff:1.2.3.4]:6");
    require_equal(0, "1.2.3.4:5", "1.2.3.5:5");
    require_equal(0, "1.2.3.4:5", "[::1.2.3.4]:5");
    require_equal(0, "[fe80::1%1]:5", "[fe80::1%2]:5");
    local.local[0] = 127;
    REQUIRE_INT(1, sockeye_address_equal(&local, &plain));
    REQUIRE_INT(1, sockeye_address_equal(&none, &none));
    REQUIRE_INT(0, sockeye_address_equal(&none, &plain));
    REQUIRE_INT(0, sockeye_address_equal(NULL, NULL));
    none.family = 7;
    REQUIRE_INT(0, sockeye_address_equal(&none, &none));
    REQUIRE_INT(1, sockeye_address_is_v4mapped(&mapped));
    REQUIRE_INT(0, sockeye_address_is_v4mapped(&plain));
    REQUIRE_INT(0, sockeye_address_is_v4mapped(&none));
    REQUIRE_INT(0, sockeye_address_is_v4mapped(NULL));
}

int main(void)
{
    harness_watchdog();
    check_text("127.0.0.1:7777", "127.0.0.1:7777", "127.0.0.1");
    check_text("127.0.0.1", "127.0.0.1:0", "127.0.0.1");
    check_text("[::1]:80", "[::1]:80", "::1");
    check_text("::1", "[::1]:0", "::1");
    check_text("[::1]", "[::1]:0", "::1");
    check_text("fe80::1%3", "[fe80::1%3]:0", "fe80::1%3");
    check_ipv4();
    check_ipv6();
    check_equal();
    return 0;
}
