/* The DLL says which version it is, in numbers and in words. */
#include "../c/harness.h"

static const char *text_of(const void *info, const char *name)
{
    char path[80];
    void *text = NULL;
    UINT len = 0;
    /* The language that the resource is in stands in its table. */
    const WORD *language = NULL;
    REQUIRE(VerQueryValueA(info, "\\VarFileInfo\\Translation", (void **)&language, &len));
    REQUIRE(len >= 2 * sizeof *language);
    snprintf(path, sizeof path, "\\StringFileInfo\\%04x%04x\\%s", language[0], language[1], name);
    REQUIRE(VerQueryValueA(info, path, &text, &len));
    return (const char *)text;
}

int main(int argc, char **argv)
{
    harness_watchdog();
    REQUIRE(argc == 2);
    HMODULE module = GetModuleHandleA("sockeye.dll");
    REQUIRE(module != NULL);
    char path[MAX_PATH];
    REQUIRE(GetModuleFileNameA(module, path, sizeof path) > 0);
    REQUIRE(strstr(argv[1], "sockeye.dll") != NULL && strstr(path, "sockeye.dll") != NULL);
    DWORD none = 0;
    const DWORD size = GetFileVersionInfoSizeA(path, &none);
    REQUIRE(size > 0);
    void *info = malloc(size);
    REQUIRE(info != NULL && GetFileVersionInfoA(path, 0, size, info));

    VS_FIXEDFILEINFO *fixed = NULL;
    UINT len = 0;
    REQUIRE(VerQueryValueA(info, "\\", (void **)&fixed, &len) && len >= sizeof *fixed);
    REQUIRE_INT(SOCKEYE_VERSION_MAJOR, HIWORD(fixed->dwFileVersionMS));
    REQUIRE_INT(SOCKEYE_VERSION_MINOR, LOWORD(fixed->dwFileVersionMS));
    REQUIRE_INT(SOCKEYE_VERSION_PATCH, HIWORD(fixed->dwFileVersionLS));
    REQUIRE_INT(VFT_DLL, fixed->dwFileType);
    REQUIRE(strcmp(text_of(info, "ProductVersion"), sockeye_version()) == 0);
    REQUIRE(strcmp(text_of(info, "FileVersion"), sockeye_version()) == 0);
    REQUIRE(strcmp(text_of(info, "ProductName"), "Sockeye") == 0);
    REQUIRE(strcmp(text_of(info, "OriginalFilename"), "sockeye.dll") == 0);
    free(info);
    return 0;
}
