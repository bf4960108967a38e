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

/**
 * Limits and times of the connections of a listener, or of one that goes out. -1 is the library's
 * own; of a time 0 is none. What the URL says has precedence.
 */
USTRUCT(BlueprintType)
struct FSockeyeOptions
{
	GENERATED_BODY()

	/** Messages are lines of text; what is sent gets an end of line. Else the URL says "frame=". */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	bool bLines = false;

	/** The longest message: 1 MiB, a line 4 KiB. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 MaxMessageBytes = -1;

	/** What may wait to be sent to one peer. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 MaxOutboxBytes = -1;

	/** For the look-up of the name and the connect together: 10,000. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 ConnectMilliseconds = -1;

	/** For the first byte of who comes in: none. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 FirstByteMilliseconds = -1;

	/** Without a byte from the peer: none. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 IdleMilliseconds = -1;

	/** From a message's first byte to its last: 10,000, a line none. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 FrameMilliseconds = -1;

	/** In which the peer takes nothing of what waits for it: 30,000. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 SendMilliseconds = -1;

	/** For a close that sends what waits: 2,000. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Sockeye")
	int32 LingerMilliseconds = -1;
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
