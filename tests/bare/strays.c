/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops whose accesses go to any of many pages, by a base that stays where it is: often enough
 * that whoever remembers pages by bases learns that it is of no use.
 */
#include "lib/bare.h"

#define PAGES 32
#define STEPS 20000ul

/* x4 goes through all values of 17 bits at random; x2 (and x3) is loaded, or changed and stored. */
#define WALK(name, access)                                                                         \
    static uint64_t name(uint64_t base, uint64_t steps)                                            \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        __asm__ volatile("mov x5, #1\n1: mov x6, #0x4c95\n\tmovk x6, #0x5851, lsl #16\n\t"          \
                         "madd x5, x5, x6, x6\n\tubfx x4, x5, #14, #17\n\t" access                \
                         "\n\teor %0, x2, %0, ror #7\n\tsubs %2, %2, #1\n\tb.ne 1b"               \
                         : "+r"(sum), "+r"(base), "+r"(steps)::"x2", "x3", "x4", "x5", "x6", "cc", \
                           "memory");                                                              \
        return sum;                                                                                \
    }
WALK(loads8, "ldrb w2, [%1, x4]")
WALK(loads64, "bic x4, x4, #7\n\tldr x2, [%1, x4]")
WALK(loads_any, "ldr x2, [%1, x4]")
WALK(stores8, "ldrb w2, [%1, x4]\n\tadd w2, w2, #3\n\tstrb w2, [%1, x4]")
WALK(stores64, "bic x4, x4, #7\n\tmul x2, x5, %0\n\tstr x2, [%1, x4]")
WALK(stores_any, "mul x2, x5, %0\n\tstr x2, [%1, x4]")
WALK(loads_vector, "bic x4, x4, #15\n\tldr q0, [%1, x4]\n\tmov x2, v0.d[1]")

void bare_main(void)
{
    static const struct {
        const char *name;
        uint64_t (*walk)(uint64_t base, uint64_t steps);
    } walks[] = {{"loads8", loads8},         {"loads64", loads64},       {"loads_any", loads_any},
                 {"stores8", stores8},       {"stores64", stores64},     {"stores_any", stores_any},
                 {"loads_vector", loads_vector}};
    mmu_on();
    write_sysreg(cpacr_el1, 3ul << 20);
    /* One page more: an access may begin in the last one. */
    for (uint64_t page = 0; page <= PAGES; page++)
        mmu_set(WINDOW + page * PAGE, (uint64_t)page_alloc(), PTE_NORMAL);
    for (unsigned times = 0; times < 2; times++) {
        for (unsigned i = 0; i < sizeof walks / sizeof walks[0]; i++)
            print("%s: %lx\n", walks[i].name, walks[i].walk(WINDOW, STEPS));
    }
    uint64_t sum = 0;
    for (uint64_t at = 0; at < PAGES * PAGE; at += 8)
        sum = sum * 31 + *(volatile uint64_t *)(WINDOW + at);
    print("memory: %lx\n", sum);
}
