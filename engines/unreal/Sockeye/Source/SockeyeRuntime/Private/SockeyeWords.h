#pragma once

// Words and levels for the engine's log, and whether a library fits. Needs no engine.

#ifdef THIRD_PARTY_INCLUDES_START
THIRD_PARTY_INCLUDES_START
#endif
#include "sockeye.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#ifdef THIRD_PARTY_INCLUDES_END
THIRD_PARTY_INCLUDES_END
#endif

/// How loud a line of the library's is in the engine's log. Never fatal, which would end the game.
enum class ESockeyeVerbosity : uint8_t
{
	Error,
	Warning,
	Log,
	/// Levels of later versions.
	Verbose,
};

inline ESockeyeVerbosity SockeyeVerbosity(uint32_t Level)
{
	switch (Level)
	{
	case SOCKEYE_LOG_ERROR: return ESockeyeVerbosity::Error;
	case SOCKEYE_LOG_WARNING: return ESockeyeVerbosity::Warning;
	case SOCKEYE_LOG_INFO: return ESockeyeVerbosity::Log;
	default: return ESockeyeVerbosity::Verbose;
	}
}

/// Why a library of this version does not fit sockeye.h; empty if it does: the same major version
/// (while that is 0, the same minor one), and a binary interface that is no older.
inline std::string SockeyeMisfit(const char* Version, uint32_t Abi)
{
	char* End = nullptr;
	const unsigned long Major = std::strtoul(Version, &End, 10);
	const unsigned long Minor = *End == '.' ? std::strtoul(End + 1, nullptr, 10) : 0;
	const bool bIsSame = *End == '.' && Major == SOCKEYE_VERSION_MAJOR &&
		(Major > 0 || Minor == SOCKEYE_VERSION_MINOR);
	if (bIsSame && Abi >= SOCKEYE_ABI_VERSION)
	{
		return std::string();
	}
	char Words[256];
	std::snprintf(Words, sizeof Words,
		"the plugin was built for Sockeye %u.%u.%u (ABI %u), the library is %.32s (ABI %u)",
		unsigned{SOCKEYE_VERSION_MAJOR}, unsigned{SOCKEYE_VERSION_MINOR},
		unsigned{SOCKEYE_VERSION_PATCH}, unsigned{SOCKEYE_ABI_VERSION}, Version, unsigned{Abi});
	return Words;
}

/// Words for the refusal of this thread's last call: "cannot listen on tcp://[::]:80: denied".
inline std::string SockeyeRefusal(const char* Deed, const char* Url, sockeye_status Status)
{
	const char* Why = sockeye_last_error();
	const char* Words = *Why ? Why : sockeye_status_text(Status);
	return std::string("cannot ") + Deed + " " + Url + ": " + Words;
}
