/* The value of every constant, as this compiler has it, against the library's own. They are
   compiled into hosts: the snapshots in abi/ hold that none ever changes. */
#include "harness.h"

#define ENUMERATOR(of, name, value) REQUIRE_INT(value, name);
#define CONSTANT(name, value) REQUIRE_INT(value, name);

int main(void)
{
    harness_watchdog();
#include "interface.inc"
    REQUIRE_INT(0, SOCKEYE_OK);
    return 0;
}
