/* A library of another age, as a plugin may find it: it says its version and nothing else. */
#include <stdint.h>

const char *sockeye_version(void);
uint32_t sockeye_abi_version(void);

const char *sockeye_version(void)
{
    return "9.0.0";
}

uint32_t sockeye_abi_version(void)
{
    return 7;
}
