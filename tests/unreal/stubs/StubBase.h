// Stand-ins for what the plugin uses of the engine: written from its public documentation, as much
// of it as the plugin needs, and working, so that tests can run it. This file: types and macros.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(_WIN32)
#define PLATFORM_WINDOWS 1
#define PLATFORM_LINUX 0
#else
#define PLATFORM_WINDOWS 0
#define PLATFORM_LINUX 1
#endif

using int8 = signed char;
using uint8 = unsigned char;
using int32 = signed int;
using uint32 = unsigned int;
using int64 = signed long long;
using uint64 = unsigned long long;
using ANSICHAR = char;
#if PLATFORM_WINDOWS
using TCHAR = wchar_t;
#define TEXT(literal) L##literal
#else
using TCHAR = char16_t;
#define TEXT(literal) u##literal
#endif

#define PI (3.1415926535897932f)
#define THIRD_PARTY_INCLUDES_START
#define THIRD_PARTY_INCLUDES_END
#define FORCEINLINE inline
#define INDEX_NONE (-1)

inline void StubFail(const char *what, const char *file, int line)
{
    std::fprintf(stderr, "%s:%d: the engine stops at %s\n", file, line, what);
    std::abort();
}
#define check(expression) ((expression) ? (void)0 : StubFail(#expression, __FILE__, __LINE__))
#define verify(expression) check(expression)
#define checkf(expression, ...) check(expression)

/// The thread that asked first is the game's.
inline bool IsInGameThread()
{
    static const std::thread::id game = std::this_thread::get_id();
    return std::this_thread::get_id() == game;
}

inline uint32 GetTypeHash(int64 value) { return static_cast<uint32>(value ^ (value >> 32)); }

struct FMath {
    template <class T> static T Max(T a, T b) { return a < b ? b : a; }
};
