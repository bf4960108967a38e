#pragma once

#include "CoreMinimal.h"

DECLARE_LOG_CATEGORY_EXTERN(LogSockeye, Log, All);

/**
 * The log's function of every net. The library calls it on its own threads and on the game's,
 * several at a time, and a shutdown waits for it. So it writes the line, which any thread may, and
 * does nothing else: it knows no object, and calls nothing of the library.
 */
void SockeyeLogLine(void* User, uint32_t Level, const char* Line);
