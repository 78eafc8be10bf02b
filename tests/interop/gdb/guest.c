/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to be debugged: it says where its code and data are, waits until a
 * debugger sets `go`, and then stores to `value` for ever, on the first CPU.
 * The others count.
 */
#include "../bare/lib/bare.h"

static volatile uint64_t go, value, counts[4];

void store(volatile uint64_t *to, uint64_t n);
extern const char store_next[];
__asm__(".global store, store_next\n"
        "store: str x1, [x0]\n"
        "store_next: nop\n"
        " ret\n");

static void count(unsigned cpu)
{
    for (;;)
        counts[cpu]++;
}

void bare_main(void)
{
    print("ram %lx %lx free %lx store %lx next %lx value %lx go %lx\n", machine.ram,
          machine.ram_size, machine.load + 0x400000, (uint64_t)store, (uint64_t)store_next,
          (uint64_t)&value, (uint64_t)&go);
    for (unsigned cpu = 1; cpu < 4; cpu++)
        cpu_start(cpu, count);
    for (;;) {
        if (go)
            store(&value, value + 1);
    }
}
