/* Replaces imports of sockeye.dll, so that they give answers which Windows documents and Wine never
   gives. One fault is armed at a time; all other calls go through. */
#ifndef SOCKEYE_TESTS_HOOK_H
#define SOCKEYE_TESTS_HOOK_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>

#include "../c/harness.h"

/* What the next calls of one import answer. */
static struct {
    const char *volatile import;
    int error;
    volatile LONG left, hits;
} fault;

#define FOR_EVER 0x7fffffff

static void arm(const char *import, int error, LONG times)
{
    fault.import = NULL;
    fault.error = error;
    fault.hits = 0;
    InterlockedExchange(&fault.left, times);
    fault.import = import;
}

static void disarm(void)
{
    fault.import = NULL;
}

/* Whether a call of this import fails, with its error set. */
static int is_refused(const char *import)
{
    const char *armed = fault.import;
    if (armed == NULL || strcmp(armed, import) != 0) return 0;
    if (InterlockedDecrement(&fault.left) < 0) return 0;
    InterlockedIncrement(&fault.hits);
    SetLastError((DWORD)fault.error);
    return 1;
}

/* Gives the function that was there. */
static FARPROC hook(const char *import, FARPROC with)
{
    unsigned char *module = (unsigned char *)GetModuleHandleA("sockeye.dll");
    const IMAGE_NT_HEADERS *headers =
        (const void *)(module + ((const IMAGE_DOS_HEADER *)(void *)module)->e_lfanew);
    const IMAGE_DATA_DIRECTORY *directory =
        &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    const IMAGE_IMPORT_DESCRIPTOR *library = (const void *)(module + directory->VirtualAddress);
    FARPROC before = NULL;
    for (; library->Name != 0; library++) {
        const IMAGE_THUNK_DATA *name = (const void *)(module + library->OriginalFirstThunk);
        IMAGE_THUNK_DATA *place = (void *)(module + library->FirstThunk);
        for (; name->u1.AddressOfData != 0; name++, place++) {
            const IMAGE_IMPORT_BY_NAME *entry = (const void *)(module + name->u1.AddressOfData);
            DWORD access;
            if (IMAGE_SNAP_BY_ORDINAL(name->u1.Ordinal) || strcmp(entry->Name, import) != 0)
                continue;
            REQUIRE(VirtualProtect(place, sizeof *place, PAGE_READWRITE, &access));
            before = (FARPROC)(uintptr_t)place->u1.Function;
            place->u1.Function = (ULONGLONG)(uintptr_t)with;
            REQUIRE(VirtualProtect(place, sizeof *place, access, &access));
        }
    }
    return before;
}

/* Declares `before_NAME` and begins the function that stands in for it. */
#define HOOK(answer, name, arguments)                                                             \
    static answer(WINAPI *before_##name) arguments;                                               \
    static answer WINAPI in_place_of_##name arguments

/* Installs it. */
#define INSTALL(name)                                                                             \
    do {                                                                                          \
        const FARPROC before = hook(#name, (FARPROC)(uintptr_t)in_place_of_##name);               \
        memcpy(&before_##name, &before, sizeof before);                                           \
    } while (0)

#endif
