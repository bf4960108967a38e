#pragma once

#include "StubText.h"

struct FCommandLine {
    static const TCHAR *Get() { return *StubLine(); }
    /// Set by tests.
    static FString &StubLine()
    {
        static FString line;
        return line;
    }
};
