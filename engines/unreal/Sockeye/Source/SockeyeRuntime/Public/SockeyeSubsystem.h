#pragma once

#include "CoreMinimal.h"
#include "Containers/ArrayView.h"
#include "Containers/Ticker.h"
#include "Subsystems/GameInstanceSubsystem.h"
#include "SockeyeTypes.h"
#include "SockeyeSubsystem.generated.h"

class FSockeyePump;

DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(FSockeyeOpened,
	FSockeyeConnection, Connection, FSockeyeListener, Listener);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(FSockeyeMessage,
	FSockeyeConnection, Connection, const TArray<uint8>&, Data);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(FSockeyeDatagram,
	FSockeyeListener, Listener, const FString&, Sender, const TArray<uint8>&, Data);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FSockeyeWritable, FSockeyeConnection, Connection);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(FSockeyeClosed,
	FSockeyeConnection, Connection, ESockeyeCause, Cause, const FString&, Reason);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(FSockeyeListenerClosed,
	FSockeyeListener, Listener, ESockeyeCause, Cause, const FString&, Reason);

DECLARE_MULTICAST_DELEGATE_TwoParams(FSockeyeMessageNative,
	FSockeyeConnection, TConstArrayView<uint8>);

/**
 * The sockets of a game instance. Everything here is for the game thread, and every delegate is
 * called there: once a frame, or in PumpEvents, events are told until there are none or the budget
 * is used up. What is left waits for the next frame, in order; when much waits, the library stops
 * reading the sockets.
 *
 * The net is made by the first Listen or Connect. It ends with the game instance: connections that
 * are open then are told as closed.
 */
UCLASS(Config = Game)
class SOCKEYERUNTIME_API USockeyeSubsystem : public UGameInstanceSubsystem
{
	GENERATED_BODY()

public:
	virtual void Initialize(FSubsystemCollectionBase& Collection) override;
	virtual void Deinitialize() override;

	/**
	 * Opens a door: "tcp://0.0.0.0:7777?frame=u32be", "udp://0.0.0.0:7777", "unix:///run/game.sock".
	 * Port 0 lets the system choose, GetPort tells. False: it could not, and OutError says why.
	 */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool Listen(const FString& Url, FSockeyeListener& OutListener, FString& OutError);

	/**
	 * Connects in the background: OnOpened tells of success, OnClosed alone of failure. What is sent
	 * before waits. False: the URL or the limits are wrong, and nothing follows.
	 */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool Connect(const FString& Url, FSockeyeConnection& OutConnection, FString& OutError);

	/** As Listen, with limits and times of its connections. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool ListenWith(const FString& Url, const FSockeyeOptions& Options,
		FSockeyeListener& OutListener, FString& OutError);

	/** As Connect, with limits and times. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool ConnectWith(const FString& Url, const FSockeyeOptions& Options,
		FSockeyeConnection& OutConnection, FString& OutError);

	/**
	 * Tells events now, at most so many and for so long; 0 is no limit. For a server that has its own
	 * place for them in a frame, with bPumpEachFrame off; in a frame that does it, it may do it more
	 * than once. Inside of an event it does nothing. Answers how many it told.
	 */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	int32 PumpEvents(int32 MaxEvents = 0, int32 MaxMicroseconds = 0);

	/** Gives one message to a connection, whole or not at all. It leaves with the next frame. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	ESockeyeSend Send(FSockeyeConnection Connection, const TArray<uint8>& Data);

	/** The same for bytes that are in no array. They are copied. */
	ESockeyeSend SendBytes(FSockeyeConnection Connection, TConstArrayView<uint8> Data);

	/** Gives one message to many, copied once. Says how many took it. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	int32 SendMany(const TArray<FSockeyeConnection>& Connections, const TArray<uint8>& Data);

	/** Sends one datagram of a udp:// listener to "127.0.0.1:7777", as OnDatagram gave it. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	ESockeyeSend SendTo(FSockeyeListener Listener, const FString& Address, const TArray<uint8>& Data);

	/**
	 * Closes a connection: sends what waits first, or resets it at once. Nothing is told of it any
	 * more but OnClosed. False: it was closed already, or never was.
	 */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool Close(FSockeyeConnection Connection, bool bReset = false);

	/** Closes a listener. Its connections live on. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	bool CloseListener(FSockeyeListener Listener);

	/** Lets leave at once what was sent; each frame ends with it anyway. */
	UFUNCTION(BlueprintCallable, Category = "Sockeye")
	void Flush();

	/** The port of a listener, 0 if there is none. */
	UFUNCTION(BlueprintPure, Category = "Sockeye")
	int32 GetPort(FSockeyeListener Listener) const;

	/** The other end's address, "127.0.0.1:50123"; empty if it is not known. */
	UFUNCTION(BlueprintPure, Category = "Sockeye")
	FString GetPeer(FSockeyeConnection Connection) const;

	/** Connections that are open, connecting or closing. */
	UFUNCTION(BlueprintPure, Category = "Sockeye")
	int32 GetConnectionCount() const;

	/** The first event of a connection: accepted by Listener, or connected when that is none. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeOpened OnOpened;

	/** One whole message. The URL or the options say how a stream is cut into messages. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeMessage OnMessage;

	/** What arrived where nothing says so: a piece of the stream, and no message. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeMessage OnBytes;

	/** A datagram of a udp:// listener. Those of a connected socket come as OnMessage. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeDatagram OnDatagram;

	/** There is room again after a send answered Full. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeWritable OnWritable;

	/** The last event of a connection, exactly once. */
	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeClosed OnClosed;

	UPROPERTY(BlueprintAssignable, Category = "Sockeye")
	FSockeyeListenerClosed OnListenerClosed;

	/** As OnMessage, for C++, without a copy: the bytes are borrowed until the call returns. */
	FSockeyeMessageNative OnMessageNative;
	/** As OnBytes, in the same way. */
	FSockeyeMessageNative OnBytesNative;

	/** Whether each frame tells events by itself; else PumpEvents does it. */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	bool bPumpEachFrame = true;

	/** Events told in one frame at most; 0 is no limit. */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	int32 MaxEventsPerTick = 1024;

	/** Time for them in one frame, over by what the last one takes; 0 is no limit. */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	int32 MaxMicrosecondsPerTick = 2000;

	/** The model of input and output: "auto", "epoll", "iocp", "select" ... */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	FString Model = TEXT("auto");

	/** Connections and listeners that may exist at once; 0 is the library's own limit. */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	int32 MaxConnections = 0;

	/** At the end of the game instance: time for what was sent to leave. */
	UPROPERTY(Config, EditAnywhere, Category = "Sockeye")
	int32 DrainMilliseconds = 250;

private:
	friend struct FSockeyeDispatch;

	bool EnsureOpen(FString& OutError);
	bool HandleTicker(float DeltaTime);
	int32 Tell(int32 MaxEvents, int32 MaxMicroseconds);
	/** The net has ended: nobody is to tick it, or to end it. */
	void Withdraw();

	/** Between Initialize and Deinitialize. */
	bool bIsUp = false;
	/** As long as this lives, which may be longer than its net. Shared only for its forward type. */
	TSharedPtr<FSockeyePump> Pump;
	FTSTicker::FDelegateHandle Ticker;
	/** What OnMessage shows; kept for its memory. */
	TArray<uint8> Scratch;
};
