#pragma once

#include "CoreMinimal.h"
#include "SockeyeTypes.generated.h"

/** A connection. Never reused: what is asked of an old one is refused. Zero is none. */
USTRUCT(BlueprintType)
struct FSockeyeConnection
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "Sockeye")
	int64 Id = 0;

	bool IsValid() const { return Id != 0; }
	bool operator==(const FSockeyeConnection& Other) const { return Id == Other.Id; }
	bool operator!=(const FSockeyeConnection& Other) const { return Id != Other.Id; }
	friend uint32 GetTypeHash(const FSockeyeConnection& Of) { return GetTypeHash(Of.Id); }
};

/** A listener. As a connection: never reused, zero is none. */
USTRUCT(BlueprintType)
struct FSockeyeListener
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "Sockeye")
	int64 Id = 0;

	bool IsValid() const { return Id != 0; }
	bool operator==(const FSockeyeListener& Other) const { return Id == Other.Id; }
	bool operator!=(const FSockeyeListener& Other) const { return Id != Other.Id; }
	friend uint32 GetTypeHash(const FSockeyeListener& Of) { return GetTypeHash(Of.Id); }
};

/** What became of a send. */
UENUM(BlueprintType)
enum class ESockeyeSend : uint8
{
	/** Taken whole: it arrives whole and in order, or the connection closes. */
	Sent,
	/** The outbox is full: nothing was taken. OnWritable follows when there is room. */
	Full,
	/** Larger than can ever be sent there. */
	TooBig,
	/** The connection is closed or closing. */
	Closed,
	/** An old handle, or none. */
	Stale,
	/** No net, or a wrong argument. */
	Refused,
};

/** Why a connection or a listener closed: the numbers of sockeye_cause. */
UENUM(BlueprintType)
enum class ESockeyeCause : uint8
{
	None = 0,
	/** The peer ended it in order. */
	Peer = 1,
	Reset = 2,
	/** Connect: nobody listens there. */
	Refused = 3,
	Unreachable = 4,
	/** Connect: the name was not found. */
	Resolve = 5,
	TimeoutConnect = 6,
	TimeoutIdle = 7,
	TimeoutFirstByte = 8,
	TimeoutFrame = 9,
	TimeoutSend = 10,
	TimeoutLinger = 11,
	LimitFrame = 12,
	LimitOutbox = 13,
	LimitMemory = 14,
	LimitDescriptors = 16,
	LimitModel = 17,
	/** The peer broke the framing. */
	Protocol = 18,
	/** Closed from here. */
	Host = 19,
	/** The game instance ended. */
	Shutdown = 20,
	Internal = 21,
	/** The peer ended its side within a frame. */
	Truncated = 22,
	/** One of a later library. */
	Other = 200,
};
