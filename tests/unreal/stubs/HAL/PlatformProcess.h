#pragma once

#include "StubText.h"

#include <functional>
#if PLATFORM_LINUX
#include <dlfcn.h>
#endif

struct FPlatformProcess {
    static void *GetDllHandle(const TCHAR *path)
    {
        StubAsked() = path;
#if PLATFORM_LINUX
        return dlopen(StubNarrow(path).c_str(), RTLD_NOW | RTLD_GLOBAL);
#else
        return nullptr;
#endif
    }
    static void FreeDllHandle(void *handle)
    {
        check(handle);
        if (StubOnFree()) StubOnFree()();
#if PLATFORM_LINUX
        check(dlclose(handle) == 0);
#endif
    }
    /// For tests: the path that was asked for, and what is called when the DLL is let go.
    static FString &StubAsked()
    {
        static FString path;
        return path;
    }
    static std::function<void()> &StubOnFree()
    {
        static std::function<void()> call;
        return call;
    }
};
