// What the tests of the plugin's engine classes share: a module, a game instance and frames, as far
// as the stubs go, and peers that are not of the plugin.
#pragma once

#include "CoreMinimal.h"
#include "Containers/Ticker.h"
#include "Engine/GameInstance.h"
#include "HAL/PlatformProcess.h"
#include "Interfaces/IPluginManager.h"
#include "Misc/CommandLine.h"
#include "Modules/ModuleManager.h"
#include "SockeyeSubsystem.h"

#include <cstring>

#include "../c/harness.h"

inline FString wide(const char *text) { return UTF8_TO_TCHAR(text); }
inline std::string narrow(const FString &text) { return StubNarrow(*text); }

inline TArray<uint8> bytes_of(const char *text)
{
    TArray<uint8> made;
    made.Append(reinterpret_cast<const uint8 *>(text), static_cast<int32>(std::strlen(text)));
    return made;
}

inline void frame() { FTSTicker::GetCoreTicker().Tick(1.0f / 60.0f); }

template <class F> void frames_until(F done)
{
    for (const int64_t deadline = harness_deadline(); !done(); harness_breathe(deadline)) frame();
}

// The runtime module from start to end.
struct Module {
    Module() { FModuleManager::StubStart(TEXT("SockeyeRuntime")); }
    ~Module() { FModuleManager::StubEnd(TEXT("SockeyeRuntime")); }
};

// Hears all that the subsystem tells, as a Blueprint would.
class UHearer : public UObject {
public:
    void bind(USockeyeSubsystem &of)
    {
        of.OnOpened.AddDynamic(this, &UHearer::opened);
        of.OnMessage.AddDynamic(this, &UHearer::message);
        of.OnBytes.AddDynamic(this, &UHearer::bytes);
        of.OnDatagram.AddDynamic(this, &UHearer::datagram);
        of.OnWritable.AddDynamic(this, &UHearer::writable);
        of.OnClosed.AddDynamic(this, &UHearer::closed);
        of.OnListenerClosed.AddDynamic(this, &UHearer::listener_closed);
    }

    std::vector<std::string> told; // one word for each, with what belongs to it
    std::string stream; // what came without framing
    FSockeyeConnection last;
    FString sender;

    int count(const char *what) const
    {
        int found = 0;
        for (const std::string &each : told) found += each == what;
        return found;
    }

private:
    void tell(const std::string &what, FSockeyeConnection connection)
    {
        REQUIRE(IsInGameThread());
        told.push_back(what);
        last = connection;
    }
    void opened(FSockeyeConnection connection, FSockeyeListener listener)
    { tell(listener.IsValid() ? "accepted" : "connected", connection); }
    void message(FSockeyeConnection connection, const TArray<uint8> &data)
    { tell("message " + std::string(data.begin(), data.end()), connection); }
    void bytes(FSockeyeConnection connection, const TArray<uint8> &data)
    {
        stream.append(data.begin(), data.end());
        tell("bytes", connection);
    }
    void datagram(FSockeyeListener listener, const FString &from, const TArray<uint8> &data)
    {
        REQUIRE(listener.IsValid());
        sender = from;
        tell("datagram " + std::string(data.begin(), data.end()), FSockeyeConnection());
    }
    void writable(FSockeyeConnection connection) { tell("writable", connection); }
    void closed(FSockeyeConnection connection, ESockeyeCause cause, const FString &reason)
    {
        REQUIRE(!reason.IsEmpty());
        tell("closed " + std::to_string(static_cast<int>(cause)), connection);
    }
    void listener_closed(FSockeyeListener listener, ESockeyeCause cause, const FString &)
    {
        REQUIRE(listener.IsValid());
        tell("door " + std::to_string(static_cast<int>(cause)), FSockeyeConnection());
    }
};

// A game instance with the subsystem in it, and somebody who hears.
struct Game {
    UGameInstance instance;
    UHearer hearer; // lives longer than the instance's subsystems have something to tell
    USockeyeSubsystem *net;

    Game()
    {
        instance.StubRegister<USockeyeSubsystem>();
        instance.Init();
        net = instance.GetSubsystem<USockeyeSubsystem>();
        REQUIRE(net);
        hearer.bind(*net);
    }

    // A door on a port that the system chooses; gives the URL to connect to.
    FSockeyeListener listen(const char *scheme, const char *query, std::string &url)
    {
        FSockeyeListener door;
        FString error;
        const std::string asked = std::string(scheme) + "://127.0.0.1:";
        if (!net->Listen(wide((asked + "0" + query).c_str()), door, error))
            harness_fail(__FILE__, __LINE__, narrow(error).c_str());
        REQUIRE(net->GetPort(door) > 0);
        url = asked + std::to_string(net->GetPort(door)) + query;
        return door;
    }

    FSockeyeConnection connect(const std::string &url)
    {
        FSockeyeConnection made;
        FString error;
        if (!net->Connect(wide(url.c_str()), made, error))
            harness_fail(__FILE__, __LINE__, narrow(error).c_str());
        REQUIRE(made.IsValid());
        return made;
    }
};
