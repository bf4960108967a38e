#include "SockeyeArenaServer.h"

#include "Engine/GameInstance.h"
#include "Misc/CommandLine.h"
#include "Misc/Parse.h"
#include "SockeyeSubsystem.h"

DEFINE_LOG_CATEGORY_STATIC(LogSockeyeArena, Log, All);

namespace
{

constexpr float SockeyeArenaTick = 1.0f / 30.0f;

bool SockeyeArenaUrl(FString& OutUrl)
{
	return FParse::Value(FCommandLine::Get(), TEXT("SockeyeArena="), OutUrl);
}

void Put(TArray<uint8>& To, uint32 Number)
{
	for (int32 Shift = 0; Shift < 32; Shift += 8)
	{
		To.Add(static_cast<uint8>(Number >> Shift));
	}
}

} // namespace

bool USockeyeArenaServer::ShouldCreateSubsystem(UObject*) const
{
	FString Url;
	return IsRunningDedicatedServer() && SockeyeArenaUrl(Url);
}

void USockeyeArenaServer::Initialize(FSubsystemCollectionBase& Collection)
{
	Super::Initialize(Collection);
	Collection.InitializeDependency(USockeyeSubsystem::StaticClass());
	Net = GetGameInstance()->GetSubsystem<USockeyeSubsystem>();
	FString Url;
	FString Error;
	SockeyeArenaUrl(Url);
	if (!Net->Listen(Url, Door, Error))
	{
		UE_LOG(LogSockeyeArena, Error, TEXT("the arena %s"), *Error);
		return;
	}
	UE_LOG(LogSockeyeArena, Display, TEXT("the arena is on port %d"), Net->GetPort(Door));
	Net->OnOpened.AddDynamic(this, &USockeyeArenaServer::HandleOpened);
	Net->OnClosed.AddDynamic(this, &USockeyeArenaServer::HandleClosed);
	Messages = Net->OnMessageNative.AddUObject(this, &USockeyeArenaServer::HandleMessage);
	Ticker = FTSTicker::GetCoreTicker().AddTicker(
		FTickerDelegate::CreateUObject(this, &USockeyeArenaServer::HandleTick), SockeyeArenaTick);
}

void USockeyeArenaServer::Deinitialize()
{
	FTSTicker::RemoveTicker(Ticker);
	if (Net)
	{
		Net->OnOpened.RemoveAll(this);
		Net->OnClosed.RemoveAll(this);
		Net->OnMessageNative.Remove(Messages);
	}
	Net = nullptr;
	Super::Deinitialize();
}

void USockeyeArenaServer::HandleOpened(FSockeyeConnection Connection, FSockeyeListener Listener)
{
	if (Listener == Door)
	{
		FPlayer& Player = Players.AddDefaulted_GetRef();
		Player.Connection = Connection;
		Player.Number = ++LastNumber;
		UE_LOG(LogSockeyeArena, Display, TEXT("player %u from %s"), Player.Number,
			*Net->GetPeer(Connection));
	}
}

void USockeyeArenaServer::HandleClosed(
	FSockeyeConnection Connection, ESockeyeCause, const FString& Reason)
{
	if (const FPlayer* Player = Find(Connection))
	{
		UE_LOG(LogSockeyeArena, Display, TEXT("player %u is gone: %s"), Player->Number, *Reason);
		Players.RemoveAll([Connection](const FPlayer& Of) { return Of.Connection == Connection; });
	}
}

void USockeyeArenaServer::HandleMessage(FSockeyeConnection Connection, TConstArrayView<uint8> Data)
{
	FPlayer* Player = Find(Connection);
	if (!Player)
	{
		return;
	}
	if (Data.Num() != 2)
	{
		UE_LOG(LogSockeyeArena, Warning, TEXT("player %u breaks the rules"), Player->Number);
		Net->Close(Connection, true);
		return;
	}
	Player->StepX = static_cast<int8>(Data[0]);
	Player->StepY = static_cast<int8>(Data[1]);
}

bool USockeyeArenaServer::HandleTick(float)
{
	Everybody.Reset();
	Snapshot.Reset();
	for (FPlayer& Player : Players)
	{
		Everybody.Add(Player.Connection);
		Player.X += Player.StepX;
		Player.Y += Player.StepY;
		Put(Snapshot, Player.Number);
		Put(Snapshot, static_cast<uint32>(Player.X));
		Put(Snapshot, static_cast<uint32>(Player.Y));
	}
	// Who has no room for it misses this one: the next tells all that it tells.
	Net->SendMany(Everybody, Snapshot);
	return true;
}

USockeyeArenaServer::FPlayer* USockeyeArenaServer::Find(FSockeyeConnection Connection)
{
	return Players.FindByPredicate(
		[Connection](const FPlayer& Of) { return Of.Connection == Connection; });
}
