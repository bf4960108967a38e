/* The plug-in of `exit.c`: its net ends with the process, as that of a static's destructor does. */
#include "../c/harness.h"

static sockeye_net *net;

__declspec(dllexport) int open_net(const char *name, uint32_t drive)
{
    uint32_t model;
    char url[64];
    sockeye_conn conn;
    REQUIRE_OK(sockeye_model_from_name(name, &model));
    net = harness_open(model, drive, drive == SOCKEYE_DRIVE_HOST ? 0 : 2);
    harness_listen(net, "", NULL, url);
    for (int i = 0; i < 5; i++) REQUIRE_OK(sockeye_connect(net, url, NULL, &conn));
    for (int i = 0; i < 10; i++) harness_expect(net, SOCKEYE_EVENT_OPENED);
    return 0;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *at_exit)
{
    DWORD written;
    (void)module;
    if (reason != DLL_PROCESS_DETACH || net == NULL) return TRUE;
    const int well = at_exit != NULL && sockeye_shutdown(net, 1000) == SOCKEYE_OK
                     && sockeye_free(net) == SOCKEYE_OK;
    const char *words = well ? "freed" : "failed";
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), words, (DWORD)strlen(words), &written, NULL);
    return TRUE;
}
