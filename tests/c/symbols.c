/* Every function that the header declares is in the library, under its own address: one that is not
   exported does not link here. */
#include "harness.h"

typedef void (*any_function)(void);

struct symbol {
    const char *name;
    any_function address;
};

static const struct symbol symbols[] = {
#define FUNCTION(name) {#name, (any_function)name},
#include "interface.inc"
};

#define COUNT (sizeof symbols / sizeof symbols[0])

int main(void)
{
    harness_watchdog();
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(symbols[i].address != NULL);
        for (size_t j = 0; j < i; j++) {
            if (symbols[i].address != symbols[j].address) continue;
            fprintf(stderr, "%s is %s\n", symbols[i].name, symbols[j].name);
            return 1;
        }
    }
    return 0;
}
