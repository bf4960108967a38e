// The plugin's subsystem in a stand-in for the engine, against real sockets.
#include "engine.h"

namespace {

// Both ends in one game: opened, a message each way, closed by one of them.
void there_and_back()
{
    Module module;
    Game game;
    REQUIRE_INT(0, FTSTicker::GetCoreTicker().Num()); // nothing runs until it is used
    std::string url;
    game.listen("tcp", "?frame=u16be", url);
    const FSockeyeConnection mine = game.connect(url);
    REQUIRE(game.net->Send(mine, bytes_of("early")) == ESockeyeSend::Sent); // waits for it
    frames_until([&] { return game.hearer.count("message early") == 1; });
    const FSockeyeConnection theirs = game.hearer.last;
    REQUIRE(theirs != mine && game.hearer.count("accepted") == 1);
    REQUIRE_INT(2, game.net->GetConnectionCount());
    REQUIRE(narrow(game.net->GetPeer(theirs)).rfind("127.0.0.1:", 0) == 0);

    // Without a copy, to whoever is bound for it.
    class UNative : public UObject {
    public:
        std::string heard;
        void message(FSockeyeConnection, TConstArrayView<uint8> data)
        { heard.assign(reinterpret_cast<const char *>(data.GetData()), 5); }
    } native;
    const FDelegateHandle bound = game.net->OnMessageNative.AddUObject(&native, &UNative::message);
    REQUIRE_INT(1, game.net->SendMany({theirs, FSockeyeConnection()}, bytes_of("reply")));
    frames_until([&] { return game.hearer.count("message reply") == 1; });
    REQUIRE(native.heard == "reply" && game.hearer.last == mine);
    game.net->OnMessageNative.Remove(bound);

    REQUIRE(game.net->Close(mine));
    REQUIRE(!game.net->Close(mine));
    REQUIRE(game.net->Send(mine, bytes_of("late")) == ESockeyeSend::Closed);
    frames_until([&] { return game.net->GetConnectionCount() == 0; });
    REQUIRE_INT(1, game.hearer.count("closed 19")); // from here, and there by the peer
    REQUIRE_INT(1, game.hearer.count("closed 1"));
    frame(); // the batch with their ends is over
    REQUIRE(game.net->Send(mine, bytes_of("x")) == ESockeyeSend::Stale);
    REQUIRE(game.net->GetPeer(mine).IsEmpty());
    REQUIRE_INT(1, game.hearer.count("connected"));
    game.instance.Shutdown();
    REQUIRE_INT(1, game.hearer.count("closed 1"));
    REQUIRE_INT(1, game.hearer.count("door 20"));
}

// A flood: no frame tells more than it may, every frame's other work is done, all comes in order.
void a_flood_takes_many_frames()
{
    constexpr int kFlood = 10000;
    Module module;
    Game game;
    game.net->MaxEventsPerTick = 250;
    game.net->MaxMicrosecondsPerTick = 0;
    std::string url;
    game.listen("tcp", "?frame=u16be", url);
    sockeye_net *client = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    sockeye_conn conn;
    REQUIRE_OK(sockeye_connect(client, url.c_str(), nullptr, &conn));
    for (int i = 0; i < kFlood; i++)
        REQUIRE_OK(harness_send_text(client, conn, std::to_string(i).c_str()));

    class UOther : public UObject {
    public:
        int frames = 0;
        bool tick(float)
        {
            frames++;
            return true;
        }
    } other;
    const auto ticker = FTSTicker::GetCoreTicker().AddTicker(
        FTickerDelegate::CreateUObject(&other, &UOther::tick));
    int frames = 0;
    std::size_t most = 0;
    frames_until([&, before = std::size_t{0}]() mutable {
        frames++;
        most = std::max(most, game.hearer.told.size() - before);
        before = game.hearer.told.size();
        return before == kFlood + 1;
    });
    REQUIRE(most <= 250 && frames > kFlood / 250);
    REQUIRE_INT(frames - 1, other.frames);
    for (std::size_t i = 0; i < kFlood; i++)
        REQUIRE(game.hearer.told[i + 1] == "message " + std::to_string(i));
    FTSTicker::RemoveTicker(ticker);
    game.instance.Shutdown();
    REQUIRE_OK(sockeye_free(client));
}

void refusals()
{
    Module module;
    Game game;
    FSockeyeListener door, second;
    FSockeyeConnection none;
    FString error;
    std::string url;
    game.net->Model = TEXT("fastest");
    REQUIRE(!game.net->Listen(TEXT("tcp://127.0.0.1:0"), door, error) && !door.IsValid());
    REQUIRE(narrow(error).find("cannot make a net of model fastest: ") == 0);
    REQUIRE(game.net->Send(none, bytes_of("x")) == ESockeyeSend::Refused); // there is no net
    REQUIRE(game.net->SendTo(door, TEXT("127.0.0.1:9"), bytes_of("x")) == ESockeyeSend::Refused);
    REQUIRE_INT(0, game.net->GetPort(door));
    game.net->Model = TEXT("poll");
    door = game.listen("tcp", "", url);
    REQUIRE(!game.net->Listen(wide(url.c_str()), second, error) && !second.IsValid());
    REQUIRE(narrow(error).find("cannot listen on " + url + ": ") == 0);
    REQUIRE(!game.net->Connect(TEXT("tcp://"), none, error));
    REQUIRE(narrow(error).find("cannot connect to tcp://: ") == 0);
    REQUIRE(game.net->CloseListener(door) && !game.net->CloseListener(second));
    frames_until([&] { return game.hearer.count("door 19") == 1; });
    game.connect(url);
    frames_until([&] { return game.hearer.count("closed 3") == 1; }); // refused, never opened
    REQUIRE_INT(0, game.hearer.count("connected"));
    game.instance.Shutdown();
}

void datagrams()
{
    Module module;
    Game game;
    std::string url;
    const FSockeyeListener door = game.listen("udp", "", url);
    const FSockeyeConnection mine = game.connect(url);
    frames_until([&] { return game.hearer.count("connected") == 1; });
    // They may be lost, also here: until one comes.
    frames_until([&] {
        REQUIRE(game.net->Send(mine, bytes_of("ping")) == ESockeyeSend::Sent);
        return game.hearer.count("datagram ping") > 0;
    });
    frames_until([&] {
        REQUIRE(game.net->SendTo(door, game.hearer.sender, bytes_of("pong")) == ESockeyeSend::Sent);
        return game.hearer.count("message pong") > 0;
    });
    REQUIRE(game.net->SendTo(door, TEXT("somewhere"), bytes_of("x")) == ESockeyeSend::Refused);
    game.instance.Shutdown();
}

// A send is refused, and there is room again.
void full_and_writable()
{
    Module module;
    Game game;
    std::string url;
    game.listen("tcp", "?frame=u32be", url);
    const FSockeyeConnection mine = game.connect(url);
    frames_until([&] { return game.hearer.count("accepted") == 1; });
    TArray<uint8> large;
    for (int i = 0; i < 400000; i++) large.Add(0);
    ESockeyeSend sent = ESockeyeSend::Sent; // nothing leaves before the frame ends
    for (int i = 0; i < 3 && sent == ESockeyeSend::Sent; i++) sent = game.net->Send(mine, large);
    REQUIRE(sent == ESockeyeSend::Full);
    frames_until([&] { return game.hearer.count("writable") == 1; });
    while (large.Num() < 2000000) large.Add(0);
    REQUIRE(game.net->Send(mine, large) == ESockeyeSend::TooBig);
    game.instance.Shutdown();
}

// A stream without framing, and lines by the options, with a limit of theirs.
void streams_and_lines()
{
    Module module;
    Game game;
    std::string url;
    game.listen("tcp", "", url);
    const FSockeyeConnection raw = game.connect(url);
    class UNative : public UObject {
    public:
        std::string heard;
        void bytes(FSockeyeConnection, TConstArrayView<uint8> data)
        { heard.append(reinterpret_cast<const char *>(data.GetData()), std::size_t(data.Num())); }
    } hearing;
    game.net->OnBytesNative.AddUObject(&hearing, &UNative::bytes);
    REQUIRE(game.net->Send(raw, bytes_of("a stream")) == ESockeyeSend::Sent);
    frames_until([&] { return game.hearer.stream == "a stream"; });
    REQUIRE(hearing.heard == "a stream" && game.hearer.count("message a stream") == 0);

    FSockeyeOptions options;
    options.bLines = true;
    options.MaxMessageBytes = 10;
    FSockeyeListener door;
    FSockeyeConnection typed;
    FString error;
    REQUIRE(game.net->ListenWith(TEXT("tcp://127.0.0.1:0"), options, door, error));
    const std::string to = "tcp://127.0.0.1:" + std::to_string(game.net->GetPort(door));
    options.MaxMessageBytes = -1;
    REQUIRE(game.net->ConnectWith(wide(to.c_str()), options, typed, error));
    REQUIRE(game.net->Send(typed, bytes_of("look")) == ESockeyeSend::Sent);
    frames_until([&] { return game.hearer.count("message look") == 1; });
    REQUIRE(game.net->Send(typed, bytes_of("a long line")) == ESockeyeSend::Sent);
    frames_until([&] { return game.hearer.count("closed 12") == 1; }); // over the limit
    game.instance.Shutdown();
}

// Events come where the game wants them.
void pumped_by_the_game()
{
    Module module;
    Game game;
    game.net->bPumpEachFrame = false;
    REQUIRE_INT(0, game.net->PumpEvents());
    std::string url;
    game.listen("tcp", "?frame=u16be", url);
    const FSockeyeConnection mine = game.connect(url);
    int told = 0;
    for (const int64_t deadline = harness_deadline(); told < 2; harness_breathe(deadline)) {
        frame();
        REQUIRE_INT(told, game.hearer.told.size()); // the frame tells nothing
        told += game.net->PumpEvents(1);
        REQUIRE_INT(told, game.hearer.told.size());
    }
    REQUIRE(game.hearer.count("accepted") == 1 && game.hearer.count("connected") == 1);
    REQUIRE(game.net->Close(mine));
    game.instance.Shutdown();
    frame();
    REQUIRE_INT(0, FTSTicker::GetCoreTicker().Num());
}

// Who ends the game instance in the middle of an event gets the ends, and no frame calls it again.
void ended_by_a_handler()
{
    class UEnder : public UObject {
    public:
        UGameInstance *instance;
        int calls = 0;
        void message(FSockeyeConnection, TConstArrayView<uint8> data)
        {
            calls++;
            instance->Shutdown();
            REQUIRE(data.Num() == 1 && data[0] == 'a'); // still there
        }
    } ender;
    Module module;
    Game game;
    ender.instance = &game.instance;
    game.net->OnMessageNative.AddUObject(&ender, &UEnder::message);
    std::string url;
    game.listen("tcp", "?frame=u16be", url);
    const FSockeyeConnection mine = game.connect(url);
    for (int i = 0; i < 10; i++) (void)game.net->Send(mine, bytes_of("a"));
    frames_until([&] { return ender.calls == 1; });
    REQUIRE_INT(2, game.hearer.count("closed 20"));
    REQUIRE_INT(1, game.hearer.count("door 20"));
    REQUIRE_INT(0, FTSTicker::GetCoreTicker().Num());
    frame();
    FSockeyeListener door;
    FString error;
    REQUIRE(!game.net->Listen(TEXT("tcp://127.0.0.1:0"), door, error) && !error.IsEmpty());
    REQUIRE_INT(1, ender.calls);
    REQUIRE_INT(2, game.hearer.count("closed 20"));
}

// The module goes before a game instance: its net ends first, and nothing is called that is gone.
void module_before_instance()
{
    const int threads = harness_threads();
    Game *game;
    {
        Module module;
        game = new Game;
        std::string url;
        game->listen("tcp", "", url);
        REQUIRE(harness_threads() > threads);
    }
    REQUIRE_INT(threads, harness_threads());
    FSockeyeListener door;
    FString error;
    REQUIRE(!game->net->Listen(TEXT("tcp://127.0.0.1:0"), door, error) && !error.IsEmpty());
    frame();
    REQUIRE_INT(0, FTSTicker::GetCoreTicker().Num());
    game->instance.Shutdown();
    REQUIRE(game->hearer.told.empty());
    delete game;
}

// The library's lines come to the engine's log, also from its own threads, and end with the net.
void log_lines()
{
    Module module;
    REQUIRE_INT(1, FStubLog::Count(ELogVerbosity::Log, "is ready") > 0);
    const int before = FStubLog::Count(ELogVerbosity::Log, "listening");
    Game game;
    game.net->MaxConnections = 2; // the door and one
    std::string url;
    game.listen("tcp", "", url);
    REQUIRE_INT(before + 1, FStubLog::Count(ELogVerbosity::Log, "listening"));
    sockeye_net *client = harness_open(SOCKEYE_MODEL_AUTO, SOCKEYE_DRIVE_POOL, 1);
    frames_until([&] {
        sockeye_conn conn;
        REQUIRE_OK(sockeye_connect(client, url.c_str(), nullptr, &conn));
        return FStubLog::Count(ELogVerbosity::Warning, "connections_max") > 0;
    });
    bool bElsewhere = false;
    for (const FStubLog::FLine &line : FStubLog::Lines())
        bElsewhere = bElsewhere || (line.Category == "LogSockeye" && !line.bOnGameThread);
    REQUIRE(bElsewhere);
    game.instance.Shutdown();
    REQUIRE_OK(sockeye_free(client));
}

} // namespace

int main()
{
    harness_watchdog();
    REQUIRE(IsInGameThread());
    there_and_back();
    a_flood_takes_many_frames();
    refusals();
    datagrams();
    full_and_writable();
    streams_and_lines();
    pumped_by_the_game();
    ended_by_a_handler();
    module_before_instance();
    log_lines();
    return 0;
}
