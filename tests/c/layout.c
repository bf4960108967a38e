/* The binary layout of every struct that crosses the boundary: size, offset and size of each field
   as this compiler has them against those of the library's own types, and no padding anywhere, also
   not at the end. What may change of them is for the snapshots in abi/ to say. */
#include "harness.h"

#include <stddef.h>

static size_t expected_size, next_offset;

static void begin(const char *name, size_t expected, size_t actual)
{
    if (expected != actual) {
        fprintf(stderr, "sizeof(%s) is %zu, not %zu\n", name, actual, expected);
        _exit(1);
    }
    expected_size = expected;
    next_offset = 0;
}

static void field(const char *name, size_t offset, size_t size, size_t real_offset,
                  size_t real_size)
{
    if (offset != real_offset || size != real_size) {
        fprintf(stderr, "%s is at %zu with %zu bytes, not at %zu with %zu\n", name, real_offset,
                real_size, offset, size);
        _exit(1);
    }
    if (offset != next_offset) {
        fprintf(stderr, "padding before %s\n", name);
        _exit(1);
    }
    next_offset = offset + size;
}

#define STRUCT(name, size) begin(#name, size, sizeof(name));
#define FIELD(of, name, offset, size)                                                             \
    field(#of "." #name, offset, size, offsetof(of, name), sizeof(((of *)0)->name));
#define END(name) REQUIRE_INT(expected_size, next_offset);

int main(void)
{
    harness_watchdog();
#include "interface.inc"
    REQUIRE(expected_size != 0);
    REQUIRE_INT(4, sizeof(sockeye_status));
    return 0;
}
