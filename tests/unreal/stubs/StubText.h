// Texts: UTF-16 as the engine has them, with its conversions and its Printf; and the log.
#pragma once

#include "StubBase.h"

inline std::basic_string<TCHAR> StubWiden(const char *text)
{
    std::basic_string<TCHAR> made;
    for (const unsigned char *at = reinterpret_cast<const unsigned char *>(text); *at;) {
        const int extra = *at < 0x80 ? 0 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : 3;
        uint32 code = extra == 0 ? *at : *at & (0x3Fu >> extra);
        at++;
        for (int i = 0; i < extra && *at; i++) code = (code << 6) | (*at++ & 0x3F);
        if (code >= 0x10000) {
            made += static_cast<TCHAR>(0xD800 + ((code - 0x10000) >> 10));
            code = 0xDC00 + (code & 0x3FF);
        }
        made += static_cast<TCHAR>(code);
    }
    return made;
}

inline std::string StubNarrow(const TCHAR *text)
{
    std::string made;
    while (*text) {
        uint32 code = static_cast<uint32>(*text++);
        if (code >= 0xD800 && code < 0xDC00 && *text)
            code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<uint32>(*text++) - 0xDC00);
        const int extra = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        static const uint32 lead[] = {0, 0xC0, 0xE0, 0xF0};
        made += static_cast<char>(lead[extra] | (code >> (6 * extra)));
        for (int i = extra - 1; i >= 0; i--)
            made += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
    }
    return made;
}

#define UTF8_TO_TCHAR(text) (StubWiden(text).c_str())
#define TCHAR_TO_UTF8(text) (StubNarrow(text).c_str())

class FString {
public:
    FString() = default;
    FString(const TCHAR *text) : text_(text) {}
    const TCHAR *operator*() const { return text_.c_str(); }
    int32 Len() const { return static_cast<int32>(text_.size()); }
    bool IsEmpty() const { return text_.empty(); }
    bool operator==(const FString &other) const { return text_ == other.text_; }
    bool operator!=(const FString &other) const { return text_ != other.text_; }

    /// Knows %s, of a TCHAR text, %d and %u. Whatever else is given stops the compiler or the test.
    template <class... A> static FString Printf(const TCHAR *format, A... arguments)
    {
        const std::vector<FString> given = {Argument(arguments)...};
        FString made;
        std::size_t next = 0;
        for (; *format; format++) {
            if (*format != TEXT('%')) {
                made.text_ += *format;
                continue;
            }
            format++;
            check(*format == TEXT('s') || *format == TEXT('d') || *format == TEXT('u'));
            check(next < given.size());
            made.text_ += given[next++].text_;
        }
        check(next == given.size());
        return made;
    }

private:
    static FString Argument(const TCHAR *text) { return text; }
    static FString Argument(int32 number) { return UTF8_TO_TCHAR(std::to_string(number).c_str()); }
    static FString Argument(uint32 number)
    { return UTF8_TO_TCHAR(std::to_string(number).c_str()); }

    std::basic_string<TCHAR> text_;
};

class FName {
public:
    FName(const TCHAR *text) : text_(text) {}
    bool operator==(const FName &other) const { return text_ == other.text_; }

private:
    FString text_;
};

namespace ELogVerbosity {
enum Type { Fatal = 1, Error, Warning, Display, Log, Verbose, VeryVerbose };
}

struct FStubCategory {
    const char *Name;
};

/// What was logged, for tests.
struct FStubLog {
    struct FLine {
        std::string Category;
        ELogVerbosity::Type Verbosity;
        std::string Text;
        bool bOnGameThread;
    };
    static std::mutex &Lock()
    {
        static std::mutex lock;
        return lock;
    }
    static std::vector<FLine> &Lines()
    {
        static std::vector<FLine> lines;
        return lines;
    }
    static void Write(const FStubCategory &category, ELogVerbosity::Type level, const FString &text)
    {
        check(level != ELogVerbosity::Fatal);
        const std::lock_guard<std::mutex> held(Lock());
        Lines().push_back({category.Name, level, StubNarrow(*text), IsInGameThread()});
    }
    /// Lines so far with these words in them.
    static int Count(ELogVerbosity::Type level, const char *words)
    {
        const std::lock_guard<std::mutex> held(Lock());
        int count = 0;
        for (const FLine &line : Lines())
            count += line.Verbosity == level && line.Text.find(words) != std::string::npos;
        return count;
    }
};

#define DECLARE_LOG_CATEGORY_EXTERN(Name, Default, CompileTime) extern FStubCategory Name
#define DEFINE_LOG_CATEGORY(Name) FStubCategory Name{#Name}
#define DEFINE_LOG_CATEGORY_STATIC(Name, Default, CompileTime) static FStubCategory Name{#Name}
#define UE_LOG(Category, Verbosity, ...)                                                          \
    FStubLog::Write(Category, ELogVerbosity::Verbosity, FString::Printf(__VA_ARGS__))
