// The module where the library is a DLL. This program is linked without it, and each function is
// looked up at its first call, as with a DLL that is loaded late: a call before the module has the
// library, or after it was refused, ends the program.
//
// argv: what there is to find ("ours", "other" or "none"), and the plugin's folder.
#include "engine.h"

namespace {

constexpr const char *kDll = "/Binaries/ThirdParty/SockeyeLibrary/Win64/sockeye.dll";

int freed = 0;

bool refuses(Game &game, const char *words)
{
    FSockeyeListener door;
    FSockeyeConnection conn;
    FString error;
    REQUIRE(!game.net->Connect(TEXT("tcp://127.0.0.1:9"), conn, error));
    REQUIRE(!game.net->Listen(TEXT("tcp://127.0.0.1:0"), door, error));
    // And nothing else calls it.
    REQUIRE(game.net->Send(conn, bytes_of("x")) == ESockeyeSend::Refused);
    REQUIRE(game.net->SendTo(door, TEXT("127.0.0.1:9"), bytes_of("x")) == ESockeyeSend::Refused);
    REQUIRE_INT(0, game.net->SendMany({conn}, bytes_of("x")));
    REQUIRE(!game.net->Close(conn) && !game.net->CloseListener(door));
    REQUIRE(game.net->GetPort(door) == 0 && game.net->GetPeer(conn).IsEmpty());
    game.net->Flush();
    frame();
    return narrow(error).find(words) != std::string::npos;
}

// Its threads have ended when the DLL goes, though the game instance still is.
void ours()
{
    const int threads = harness_threads();
    Game *game;
    {
        Module module;
        game = new Game;
        std::string url;
        game->listen("tcp", "?frame=u16be", url);
        const FSockeyeConnection conn = game->connect(url);
        REQUIRE(game->net->Send(conn, bytes_of("hello")) == ESockeyeSend::Sent);
        frames_until([&] { return game->hearer.count("message hello") == 1; });
        REQUIRE(harness_threads() > threads);
        FPlatformProcess::StubOnFree() = [threads] {
            freed++;
            REQUIRE_INT(threads, harness_threads());
        };
    }
    REQUIRE_INT(1, freed);
    REQUIRE(refuses(*game, "has ended"));
    game->instance.Shutdown();
    delete game;
    REQUIRE_INT(0, FStubLog::Count(ELogVerbosity::Error, ""));
}

void refused(const char *words, int frees)
{
    FPlatformProcess::StubOnFree() = [] { freed++; };
    {
        Module module;
        Game game;
        REQUIRE(refuses(game, words));
        REQUIRE_INT(1, FStubLog::Count(ELogVerbosity::Error, words));
        game.instance.Shutdown();
    }
    REQUIRE_INT(frees, freed);
}

} // namespace

int main(int argc, char **argv)
{
    harness_watchdog();
    REQUIRE(argc == 3 && IsInGameThread());
    IPlugin::StubBase() = wide(argv[2]);
    const std::string what = argv[1];
    if (what == "ours") ours();
    else if (what == "other") refused("built for Sockeye 0.1.0 (ABI 1), the library is 9.0.0", 1);
    else refused("sockeye.dll is missing, or cannot be loaded", 0);
    REQUIRE(narrow(FPlatformProcess::StubAsked()) == argv[2] + std::string(kDll));
    return 0;
}
