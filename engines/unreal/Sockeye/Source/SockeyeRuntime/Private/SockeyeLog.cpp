#include "SockeyeLog.h"

#include "SockeyeWords.h"

DEFINE_LOG_CATEGORY(LogSockeye);

void SockeyeLogLine(void*, uint32_t Level, const char* Line)
{
	// The verbosity is part of what UE_LOG compiles to, so it cannot be a variable.
	switch (SockeyeVerbosity(Level))
	{
	case ESockeyeVerbosity::Error: UE_LOG(LogSockeye, Error, TEXT("%s"), UTF8_TO_TCHAR(Line)); break;
	case ESockeyeVerbosity::Warning:
		UE_LOG(LogSockeye, Warning, TEXT("%s"), UTF8_TO_TCHAR(Line));
		break;
	case ESockeyeVerbosity::Log: UE_LOG(LogSockeye, Log, TEXT("%s"), UTF8_TO_TCHAR(Line)); break;
	case ESockeyeVerbosity::Verbose:
		UE_LOG(LogSockeye, Verbose, TEXT("%s"), UTF8_TO_TCHAR(Line));
		break;
	}
}
