/* The library is instrumented by a newer compiler than the program may be: what its code calls and
   an older runtime does not have is given here, by way of the functions that every runtime sees. */
#if defined(__SANITIZE_THREAD__)
#include <cstddef>
#include <cstring>

extern "C" void *__tsan_memcpy(void *to, const void *from, std::size_t len)
{
    return std::memcpy(to, from, len);
}

extern "C" void *__tsan_memmove(void *to, const void *from, std::size_t len)
{
    return std::memmove(to, from, len);
}

extern "C" void *__tsan_memset(void *to, int byte, std::size_t len)
{
    return std::memset(to, byte, len);
}
#endif
