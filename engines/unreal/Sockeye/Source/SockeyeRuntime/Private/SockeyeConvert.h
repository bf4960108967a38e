#pragma once

// The library's types to the engine's, and back.

#include "CoreMinimal.h"
#include "SockeyeTypes.h"

#include "SockeyePump.h"

// The numbers of both, which the header of the one cannot take from the other.
#define SOCKEYE_SAME(Ours, Theirs) \
	static_assert(static_cast<int>(ESockeyeCause::Ours) == SOCKEYE_CAUSE_##Theirs, #Theirs)
SOCKEYE_SAME(None, NONE);
SOCKEYE_SAME(Peer, PEER);
SOCKEYE_SAME(Reset, RESET);
SOCKEYE_SAME(Refused, REFUSED);
SOCKEYE_SAME(Unreachable, UNREACHABLE);
SOCKEYE_SAME(Resolve, RESOLVE);
SOCKEYE_SAME(TimeoutConnect, TIMEOUT_CONNECT);
SOCKEYE_SAME(TimeoutIdle, TIMEOUT_IDLE);
SOCKEYE_SAME(TimeoutFirstByte, TIMEOUT_FIRST_BYTE);
SOCKEYE_SAME(TimeoutFrame, TIMEOUT_FRAME);
SOCKEYE_SAME(TimeoutSend, TIMEOUT_SEND);
SOCKEYE_SAME(TimeoutLinger, TIMEOUT_LINGER);
SOCKEYE_SAME(LimitFrame, LIMIT_FRAME);
SOCKEYE_SAME(LimitOutbox, LIMIT_OUTBOX);
SOCKEYE_SAME(LimitMemory, LIMIT_MEMORY);
SOCKEYE_SAME(LimitDescriptors, LIMIT_DESCRIPTORS);
SOCKEYE_SAME(LimitModel, LIMIT_MODEL);
SOCKEYE_SAME(Protocol, PROTOCOL);
SOCKEYE_SAME(Host, HOST);
SOCKEYE_SAME(Shutdown, SHUTDOWN);
SOCKEYE_SAME(Internal, INTERNAL);
SOCKEYE_SAME(Truncated, TRUNCATED);
#undef SOCKEYE_SAME

inline ESockeyeCause SockeyeCauseOf(const sockeye_event& Event)
{
	const bool bIsKnown = Event.cause >= 0 && Event.cause <= SOCKEYE_CAUSE_TRUNCATED;
	return bIsKnown ? static_cast<ESockeyeCause>(Event.cause) : ESockeyeCause::Other;
}

inline ESockeyeSend SockeyeSendOf(sockeye_status Status)
{
	if (Status >= 0)
	{
		return ESockeyeSend::Sent;
	}
	switch (Status)
	{
	case SOCKEYE_ERR_AGAIN: return ESockeyeSend::Full;
	case SOCKEYE_ERR_TOO_BIG: return ESockeyeSend::TooBig;
	case SOCKEYE_ERR_CLOSED: return ESockeyeSend::Closed;
	case SOCKEYE_ERR_STALE: return ESockeyeSend::Stale;
	default: return ESockeyeSend::Refused;
	}
}

// Blueprints have no unsigned numbers of 64 bits: the same bits, signed.
inline sockeye_conn ToLibrary(FSockeyeConnection Connection)
{
	return sockeye_conn{static_cast<uint64_t>(Connection.Id)};
}

inline sockeye_listener ToLibrary(FSockeyeListener Listener)
{
	return sockeye_listener{static_cast<uint64_t>(Listener.Id)};
}

inline FSockeyeConnection FromLibrary(sockeye_conn Connection)
{
	FSockeyeConnection Made;
	Made.Id = static_cast<int64>(Connection.id);
	return Made;
}

inline FSockeyeListener FromLibrary(sockeye_listener Listener)
{
	FSockeyeListener Made;
	Made.Id = static_cast<int64>(Listener.id);
	return Made;
}

inline FString ToText(const sockeye_address* Address)
{
	char Words[64];
	const bool bHasText = Address && sockeye_address_format(Address, Words, sizeof Words) >= 0;
	return bHasText ? FString(UTF8_TO_TCHAR(Words)) : FString();
}

inline uint32_t ToLimit(int32 Setting)
{
	return Setting > 0 ? static_cast<uint32_t>(Setting) : 0;
}
