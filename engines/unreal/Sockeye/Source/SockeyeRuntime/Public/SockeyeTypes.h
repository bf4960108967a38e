#pragma once

#include "CoreMinimal.h"
#include "SockeyeCause.h"
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
