/* Nets that a plug-in frees when the process ends: the system has ended the workers by then, in
   the middle of whatever they did. Nothing is waited for, nothing said, and the answer is OK.

   Without a model it runs itself for each of them. */
#include "../c/harness.h"

#define WORDS_MAX 4096

typedef int (*open_net)(const char *, uint32_t);

static int live_and_leave(const char *model, uint32_t drive)
{
    const HMODULE plugin = LoadLibraryA("exit_plugin.dll");
    open_net open_net_there;
    REQUIRE(plugin != NULL);
    const FARPROC function = GetProcAddress(plugin, "open_net");
    REQUIRE(function != NULL);
    memcpy(&open_net_there, &function, sizeof function);
    return open_net_there(model, drive);
}

static void check(const char *program, const char *name, uint32_t drive)
{
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    STARTUPINFOA start;
    PROCESS_INFORMATION process;
    HANDLE from, to;
    char line[512], words[WORDS_MAX];
    DWORD code = 1, all = 0, count = 0;
    memset(&start, 0, sizeof start);
    REQUIRE(CreatePipe(&from, &to, &inherited, WORDS_MAX));
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdOutput = start.hStdError = to;
    snprintf(line, sizeof line, "\"%s\" sockeye.dll %s %" PRIu32, program, name, drive);
    REQUIRE(CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process));
    CloseHandle(to);
    if (WaitForSingleObject(process.hProcess, 3 * HARNESS_DEADLINE_MS) != WAIT_OBJECT_0)
        TerminateProcess(process.hProcess, 2);
    REQUIRE(GetExitCodeProcess(process.hProcess, &code));
    while (all < sizeof words - 1
           && ReadFile(from, words + all, (DWORD)sizeof words - 1 - all, &count, NULL) && count > 0)
        all += count;
    words[all] = 0;
    if (code != 0 || strcmp(words, "freed") != 0)
        fprintf(stderr, "%s, %" PRIu32 ": %lu, %s\n", name, drive, (unsigned long)code, words);
    REQUIRE(code == 0 && strcmp(words, "freed") == 0);
    CloseHandle(from);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
}

int main(int argc, char **argv)
{
    sockeye_model_info info;
    if (argc > 3) return live_and_leave(argv[2], (uint32_t)atoi(argv[3]));
    for (uint32_t model = SOCKEYE_MODEL_BLOCKING; model <= SOCKEYE_MODEL_IOCP; model++) {
        if (sockeye_model_probe(model, &info, sizeof info) < 0 || !info.available) continue;
        check(argv[0], (const char *)info.name, SOCKEYE_DRIVE_POOL);
        if (model != SOCKEYE_MODEL_BLOCKING && model != SOCKEYE_MODEL_OVERLAPPED_ROUTINE) {
            check(argv[0], (const char *)info.name, SOCKEYE_DRIVE_LEND);
            check(argv[0], (const char *)info.name, SOCKEYE_DRIVE_HOST);
        }
    }
    return 0;
}
