#pragma once

// The library's types to the engine's, and back.

#include "CoreMinimal.h"
#include "SockeyeTypes.h"

#include "SockeyeCauseOf.h"
#include "SockeyePump.h"

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

// What is left at "the library's own" stays as the library fills it.
inline sockeye_endpoint SockeyeEndpointOf(const FSockeyeOptions& Options)
{
	sockeye_endpoint Made;
	(void)sockeye_endpoint_init(&Made, sizeof Made);
	const auto Set = [](uint32_t& Field, int32 Value)
	{
		if (Value >= 0)
		{
			Field = static_cast<uint32_t>(Value);
		}
	};
	if (Options.bLines)
	{
		Made.framing.kind = SOCKEYE_FRAMING_DELIMITER;
		Made.framing.append_delimiter = 1;
	}
	Set(Made.framing.frame_max_bytes, Options.MaxMessageBytes);
	Set(Made.outbox_max_bytes, Options.MaxOutboxBytes);
	Set(Made.connect_timeout_ms, Options.ConnectMilliseconds);
	Set(Made.first_byte_timeout_ms, Options.FirstByteMilliseconds);
	Set(Made.idle_timeout_ms, Options.IdleMilliseconds);
	Set(Made.frame_timeout_ms, Options.FrameMilliseconds);
	Set(Made.send_timeout_ms, Options.SendMilliseconds);
	Set(Made.linger_ms, Options.LingerMilliseconds);
	return Made;
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
