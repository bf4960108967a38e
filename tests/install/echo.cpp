// The same host in C++17, with the wrapper, which is installed beside the header of C.
#include <sockeye.hpp>

#include <chrono>
#include <cstdio>
#include <string_view>

constexpr std::string_view kWords = "there and back";

static int fail(const char *what)
{
    std::fprintf(stderr, "%s: %s\n", what, sockeye::last_error());
    return 1;
}

int main()
{
    using namespace std::chrono_literals;
    sockeye::net net;
    sockeye::listener door;
    sockeye_listener_info info;
    sockeye::conn client;
    char url[64];
    if (!sockeye::net::open(net) || !net.listen("tcp://127.0.0.1:0?frame=u32be", door) ||
        !door.info(info))
        return fail("listen");
    std::snprintf(url, sizeof url, "tcp://127.0.0.1:%u?frame=u32be",
                  static_cast<unsigned>(info.port));
    if (!net.connect(url, client) || !client.send(kWords)) return fail("connect");
    sockeye::batch<16> events;
    bool back = false, lost = false;
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!back && !lost && std::chrono::steady_clock::now() < deadline) {
        if (!net.poll(events, 100ms)) return fail("poll");
        events.visit([&](sockeye::message got) {
            if (got.conn() == client)
                back = got.text() == kWords;
            else
                lost = !got.conn().send(got.text());
        });
    }
    return back ? 0 : fail("no echo");
}
