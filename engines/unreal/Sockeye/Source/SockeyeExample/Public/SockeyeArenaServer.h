#pragma once

#include "CoreMinimal.h"
#include "Containers/Ticker.h"
#include "Subsystems/GameInstanceSubsystem.h"
#include "SockeyeTypes.h"
#include "SockeyeArenaServer.generated.h"

class USockeyeSubsystem;

/**
 * An authoritative server to copy: it is there when the command line of a dedicated server says
 *
 *     MyGameServer -SockeyeArena=tcp://0.0.0.0:7777?frame=u16be
 *
 * A client says where it wants to go with messages of two signed bytes, x and y. Thirty times a
 * second every player moves, and every client gets one message that tells of all:
 * for each player 12 bytes, its number, x and y, 32 bits each, least significant byte first.
 */
UCLASS()
class SOCKEYEEXAMPLE_API USockeyeArenaServer : public UGameInstanceSubsystem
{
	GENERATED_BODY()

public:
	virtual bool ShouldCreateSubsystem(UObject* Outer) const override;
	virtual void Initialize(FSubsystemCollectionBase& Collection) override;
	virtual void Deinitialize() override;

	FSockeyeListener GetDoor() const { return Door; }

private:
	struct FPlayer
	{
		FSockeyeConnection Connection;
		uint32 Number = 0;
		int32 X = 0;
		int32 Y = 0;
		int32 StepX = 0;
		int32 StepY = 0;
	};

	UFUNCTION()
	void HandleOpened(FSockeyeConnection Connection, FSockeyeListener Listener);
	UFUNCTION()
	void HandleClosed(FSockeyeConnection Connection, ESockeyeCause Cause, const FString& Reason);
	void HandleMessage(FSockeyeConnection Connection, TConstArrayView<uint8> Data);

	/** One tick of the simulation. */
	bool HandleTick(float DeltaTime);
	FPlayer* Find(FSockeyeConnection Connection);

	UPROPERTY()
	TObjectPtr<USockeyeSubsystem> Net;

	FSockeyeListener Door;
	TArray<FPlayer> Players;
	uint32 LastNumber = 0;
	FTSTicker::FDelegateHandle Ticker;
	FDelegateHandle Messages;
	/** Kept for their memory. */
	TArray<FSockeyeConnection> Everybody;
	TArray<uint8> Snapshot;
};
