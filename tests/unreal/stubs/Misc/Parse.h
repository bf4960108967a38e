#pragma once

#include "StubText.h"

struct FParse {
    /// What stands behind `key` up to a blank.
    static bool Value(const TCHAR *line, const TCHAR *key, FString &out)
    {
        const std::string text = StubNarrow(line), name = StubNarrow(key);
        const std::size_t found = text.find(name);
        if (found == std::string::npos) return false;
        const std::size_t from = found + name.size();
        const std::size_t length = text.find(' ', from) - from;
        out = UTF8_TO_TCHAR(text.substr(from, length).c_str());
        return true;
    }
};
