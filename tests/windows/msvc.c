/* A host as MSVC sees it: compiled by clang-cl and linked with sockeye.lib by lld-link, without a C
   library and without the headers of Windows. It is linked twice: what begins at `start` loads the
   DLL as it begins, what begins at `start_late` with the first call (/DELAYLOAD). What MSVC brings
   for the second stands here. The exit code says which call failed. */
#include "sockeye.h"

#define OF_WINDOWS __declspec(dllimport)

OF_WINDOWS void *GetModuleHandleA(const char *name);
OF_WINDOWS void *LoadLibraryA(const char *name);
OF_WINDOWS void *GetProcAddress(void *module, const char *name);
OF_WINDOWS void ExitProcess(unsigned int code);

/* The head of what the linker writes for a DLL, all of it counted from the program's base. */
struct late {
    uint32_t attributes, name, module, addresses, names;
};

extern char __ImageBase[];

void *__delayLoadHelper2(const struct late *late, void **place);

void *__delayLoadHelper2(const struct late *late, void **place)
{
    void **addresses = (void **)(__ImageBase + late->addresses);
    const uint64_t *names = (const uint64_t *)(__ImageBase + late->names);
    /* In front of the name stands its number. */
    const char *name = __ImageBase + names[place - addresses] + sizeof(uint16_t);
    return *place = GetProcAddress(LoadLibraryA(__ImageBase + late->name), name);
}

static unsigned int call(void)
{
    sockeye_config config;
    sockeye_net *net;
    sockeye_listener door;
    sockeye_event events[4];
    if (sockeye_abi_version() != SOCKEYE_ABI_VERSION) return 1;
    if (sockeye_config_init(&config, sizeof config) < 0) return 2;
    if (config.struct_size != sizeof config) return 3;
    if (sockeye_init(&config, &net) < 0) return 4;
    if (sockeye_listen(net, "tcp://127.0.0.1:0?frame=u32be", NULL, &door) < 0) return 5;
    if (sockeye_poll_events(net, events, 4, 0) < 0) return 6;
    return sockeye_free(net) < 0 ? 7 : 0;
}

void start(void);
void start_late(void);

void start(void)
{
    ExitProcess(GetModuleHandleA("sockeye.dll") == NULL ? 8 : call());
}

void start_late(void)
{
    if (GetModuleHandleA("sockeye.dll") != NULL) ExitProcess(9);
    const unsigned int code = call();
    ExitProcess(GetModuleHandleA("sockeye.dll") == NULL ? 10 : code);
}
