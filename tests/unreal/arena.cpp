// The plugin's example server, as a dedicated server's command line starts it, with clients that
// are plain sockets of the library.
#include "engine.h"

#include "SockeyeArenaServer.h"

namespace {

struct Seen {
    uint32_t number;
    int32_t x, y;
};

uint32_t number_at(const uint8_t *at)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < 4; i++) number |= static_cast<uint32_t>(at[i]) << (8 * i);
    return number;
}

struct Client {
    sockeye_net *net = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn conn;
    std::vector<Seen> seen; // of the last snapshot
    bool closed = false;

    explicit Client(const char *url) { REQUIRE_OK(sockeye_connect(net, url, nullptr, &conn)); }
    ~Client() { (void)sockeye_free(net); }

    void step(int8_t x, int8_t y)
    {
        const uint8_t message[] = {static_cast<uint8_t>(x), static_cast<uint8_t>(y)};
        REQUIRE_OK(sockeye_send(net, conn, message, sizeof message));
    }

    void poll()
    {
        sockeye_event events[16];
        const int32_t count = sockeye_poll_events(net, events, 16, 0);
        for (int32_t i = 0; i < count; i++) {
            closed = closed || events[i].kind == SOCKEYE_EVENT_CLOSED;
            if (events[i].kind != SOCKEYE_EVENT_MESSAGE) continue;
            REQUIRE(events[i].data_len % 12 == 0);
            seen.clear();
            for (uint32_t at = 0; at < events[i].data_len; at += 12) {
                const uint8_t *from = events[i].data + at;
                seen.push_back({number_at(from), static_cast<int32_t>(number_at(from + 4)),
                                static_cast<int32_t>(number_at(from + 8))});
            }
        }
    }
};

void not_asked_for()
{
    UGameInstance instance;
    instance.StubRegister<USockeyeSubsystem>();
    instance.StubRegister<USockeyeArenaServer>();
    FCommandLine::StubLine() = TEXT("-SockeyeArena=tcp://127.0.0.1:0"); // but no server
    instance.Init();
    REQUIRE(!instance.GetSubsystem<USockeyeArenaServer>());
    instance.Shutdown();
    GStubIsDedicatedServer = true;
    FCommandLine::StubLine() = TEXT("-log"); // a server, but no arena
    instance.Init();
    REQUIRE(!instance.GetSubsystem<USockeyeArenaServer>());
    instance.Shutdown();
}

void play()
{
    UGameInstance instance;
    instance.StubRegister<USockeyeArenaServer>(); // before what it needs
    instance.StubRegister<USockeyeSubsystem>();
    GStubIsDedicatedServer = true;
    FCommandLine::StubLine() = TEXT("Map -SockeyeArena=tcp://127.0.0.1:0?frame=u16be -log");
    instance.Init();
    USockeyeArenaServer *arena = instance.GetSubsystem<USockeyeArenaServer>();
    USockeyeSubsystem *net = instance.GetSubsystem<USockeyeSubsystem>();
    REQUIRE(arena && net && net->GetPort(arena->GetDoor()) > 0);
    const std::string url =
        "tcp://127.0.0.1:" + std::to_string(net->GetPort(arena->GetDoor())) + "?frame=u16be";

    Client one(url.c_str()), two(url.c_str());
    const auto play_until = [&](const auto &done) {
        frames_until([&] {
            one.poll();
            two.poll();
            return done();
        });
    };
    play_until([&] { return one.seen.size() == 2 && two.seen.size() == 2; });
    one.step(3, -2);
    play_until([&] {
        for (const Seen &each : two.seen)
            if (each.x >= 30 && 2 * each.x == -3 * each.y) return true;
        return false;
    });
    two.step(0, 0);
    const uint8_t wrong[] = {1, 2, 3};
    REQUIRE_OK(sockeye_send(two.net, two.conn, wrong, sizeof wrong));
    play_until([&] { return two.closed && one.seen.size() == 1; });
    REQUIRE_INT(1, FStubLog::Count(ELogVerbosity::Warning, "breaks the rules"));
    REQUIRE(one.seen[0].x > 0);
    REQUIRE_OK(sockeye_close(one.net, one.conn, SOCKEYE_CLOSE_GRACEFUL));
    play_until([&] { return one.closed && net->GetConnectionCount() == 0; });
    REQUIRE_INT(2, FStubLog::Count(ELogVerbosity::Display, "is gone: "));
    instance.Shutdown();
    frame();
    REQUIRE_INT(0, FTSTicker::GetCoreTicker().Num());
}

void no_door()
{
    UGameInstance instance;
    instance.StubRegister<USockeyeSubsystem>();
    instance.StubRegister<USockeyeArenaServer>();
    FCommandLine::StubLine() = TEXT("-SockeyeArena=tcp://nowhere");
    instance.Init();
    const char *words = "the arena cannot listen on tcp://nowhere: ";
    REQUIRE_INT(1, FStubLog::Count(ELogVerbosity::Error, words));
    frame();
    instance.Shutdown();
}

} // namespace

int main()
{
    harness_watchdog();
    Module module;
    REQUIRE(FModuleManager::StubStart(TEXT("SockeyeExample")));
    not_asked_for();
    play();
    no_door();
    FModuleManager::StubEnd(TEXT("SockeyeExample"));
    return 0;
}
