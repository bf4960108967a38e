#pragma once

#include "StubText.h"

struct FPaths {
    static FString Combine(const FString &folder, const FString &file)
    { return FString::Printf(TEXT("%s/%s"), *folder, *file); }
    static FString ConvertRelativePathToFull(const FString &path) { return path; }
};
