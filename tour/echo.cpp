// An echo server: each message goes back to where it came from, until the input ends (Ctrl-D).
// c++ -std=c++17 echo.cpp $(pkg-config --cflags --libs sockeye) -o echo &&
// ./echo 'tcp://[::]:7777?frame=u32be'
#include <iostream>
#include <limits>
#include <sockeye.hpp>

static void on_message(sockeye::message got)
{
    if (!got.conn().send(got.text()))
        (void)got.conn().close(SOCKEYE_CLOSE_RESET); // it sends and does not read
}

static void on_closed(sockeye::closed gone)
{
    std::cout << "closed: " << gone.cause_text() << std::endl;
}

int main(int argc, char **argv)
{
    const char *const url = argc > 1 ? argv[1] : "";
    auto on_events = [](sockeye::events all) { all.visit(on_message, on_closed); };
    sockeye::net net; // before its listener: it goes last
    sockeye::listener door;
    sockeye_listener_info info;
    sockeye::status done = sockeye::net::open(net);
    if (done) done = net.set_callback(0, on_events);
    if (done) done = net.listen(url, door);
    if (done) done = door.info(info);
    if (!done) {
        std::cerr << "echo: " << sockeye::last_error() << '\n';
        return 1;
    }
    std::cout << "port " << info.port << std::endl;
    std::cin.ignore(std::numeric_limits<std::streamsize>::max());
    (void)net.shutdown(std::chrono::seconds(2)); // tells what is left
    return 0;
}
