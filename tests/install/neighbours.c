/* Two static libraries written in Rust in one program: Sockeye echoes before and after the other
   one has thrown and caught a panic. */
#include <stdint.h>
#include <stdio.h>

#define main echo_main
#include "echo.c"
#undef main

uint32_t neighbour_sum(uint32_t last);

int main(void)
{
    for (int round = 0; round < 2; round++) {
        if (echo_main() != 0) return 1;
        uint32_t sum = neighbour_sum(100);
        if (sum != 5050) return fprintf(stderr, "the sum is %u\n", (unsigned)sum), 1;
    }
    return 0;
}
