/* Stands in for a library that Wine 8 lacks and Rust's standard library asks for at its start.
 * For running tests under Wine alone: Windows has its own. */

#include <windows.h>
#include <stddef.h>

BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG len);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T len);

BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T len)
{
    const ULONG most = 0x10000000;
    while (len > 0) {
        const ULONG part = len < most ? (ULONG)len : most;
        if (!SystemFunction036(bytes, part)) {
            return FALSE;
        }
        bytes += part;
        len -= part;
    }
    return TRUE;
}
