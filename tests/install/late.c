/* A program that loads the DLL with the first call of one of its functions: linked by lld-link with
   /DELAYLOAD, as MSVC's linker does it. What MSVC brings for that stands here. */
#include <stdint.h>
#include <windows.h>

#include "sockeye.h"

/* The head of what the linker writes for a DLL, all of it counted from the program's base. */
struct late {
    DWORD attributes, name, module, addresses, names;
};

extern const IMAGE_DOS_HEADER __ImageBase;

FARPROC WINAPI __delayLoadHelper2(const struct late *late, FARPROC *place);

FARPROC WINAPI __delayLoadHelper2(const struct late *late, FARPROC *place)
{
    const uintptr_t base = (uintptr_t)&__ImageBase;
    const IMAGE_THUNK_DATA *names = (const IMAGE_THUNK_DATA *)(base + late->names);
    const FARPROC *addresses = (const FARPROC *)(base + late->addresses);
    const uintptr_t name = base + (uintptr_t)names[place - addresses].u1.AddressOfData;
    const HMODULE module = LoadLibraryA((const char *)(base + late->name));
    return *place = GetProcAddress(module, ((const IMAGE_IMPORT_BY_NAME *)name)->Name);
}

int start(void);

int start(void)
{
    if (GetModuleHandleA("sockeye.dll") != NULL) ExitProcess(1);
    if (sockeye_abi_version() != SOCKEYE_ABI_VERSION) ExitProcess(2);
    ExitProcess(GetModuleHandleA("sockeye.dll") != NULL ? 0 : 3);
}
