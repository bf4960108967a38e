#pragma once

#include "StubBase.h"
#include "StubContainers.h"
#include "StubObjects.h"
#include "StubText.h"

/// Set by tests.
inline bool GStubIsDedicatedServer = false;
inline bool IsRunningDedicatedServer() { return GStubIsDedicatedServer; }
