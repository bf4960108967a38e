// The example at the head of sockeye.hpp, cut out of it word for word, serves here. The header
// comes as in an engine: where the standard library is known and macros have common names.
#include "../../c/harness.h"

#include <chrono>
#include <iterator>
#include <memory>
#include <string_view>
#include <thread>
#if __has_include(<span>)
#include <span>
#endif

#define check(x) this is not C++ ((x)
#define verify(x) this is not C++ ((x)
#define TEXT(x) this is not C++ ((x)
#define PI 3.14 is not a name
#define OK 1 is not a name
#define ERROR 2 is not a name
#define interface struct
#define min(a, b) this is not C++
#define max(a, b) this is not C++
#define free(p) this is not C++

#include "sockeye.hpp"
#include "sockeye.hpp"

#define main example_main
#include "example.inc"
#undef main

int main()
{
    harness_watchdog();
    char name[] = "example", url[64];
    snprintf(url, sizeof url, "unix:@sockeye-example-%d?frame=u32be", static_cast<int>(getpid()));
    std::thread server([&] {
        char *arguments[] = {name, url, nullptr};
        _exit(example_main(2, arguments)); // it ends only if it fails
    });

    sockeye::net net;
    REQUIRE(sockeye::net::open(net));
    sockeye::batch<> events;
    bool echoed = false;
    const int64_t deadline = harness_deadline();
    while (!echoed) {
        sockeye::conn client;
        REQUIRE(net.connect(url, client));
        (void)client.send("echo"); // refused where the server is not there yet: it is gone, then
        bool gone = false;
        while (!gone && !echoed) {
            REQUIRE(harness_now_ms() < deadline);
            REQUIRE(net.poll(events, std::chrono::milliseconds(50)));
            events.visit([&](sockeye::message got) { echoed = got.text() == "echo"; },
                         [&](sockeye::closed) { gone = true; });
        }
    }
    fflush(stdout);
    _exit(0);
}
