/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops whose accesses go from one page into its neighbour, which is elsewhere in memory, a byte
 * further each time, upwards and downwards; and the same loop once its page is another one, or read-only.
 */
#include "lib/bare.h"

#define START (WINDOW + PAGE - 40)
#define STEPS 80

static uint8_t *low, *high, *other;

static void fill(uint8_t *page, uint64_t seed)
{
    for (uint64_t i = 0; i < PAGE; i++) {
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        page[i] = (uint8_t)(seed >> 56);
    }
}

static uint64_t sum_of(const uint8_t *page)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < PAGE; i++)
        sum = sum * 31 + page[i];
    return sum;
}

/* Loads into x2 (and x3), and stores of x2 (and x3) there; the base steps by one. */
#define LOADS(name, loads)                                                                         \
    static uint64_t name(uint64_t at, uint64_t steps)                                              \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        __asm__ volatile("mov x3, #0\n1: " loads "\n\teor %0, x2, %0, ror #7\n\teor %0, %0, x3\n\t"\
                         "subs %2, %2, #1\n\tb.ne 1b"                                              \
                         : "+r"(sum), "+r"(at), "+r"(steps)::"x2", "x3", "cc",                     \
                           "memory");                                                              \
        return sum;                                                                                \
    }
#define STORES(name, stores)                                                                       \
    static uint64_t name(uint64_t at, uint64_t steps)                                              \
    {                                                                                              \
        __asm__ volatile("1: mul x2, %0, %1\n\tmvn x3, x2\n\t" stores                              \
                         "\n\tsubs %1, %1, #1\n\tb.ne 1b"                                          \
                         : "+r"(at), "+r"(steps)::"x2", "x3", "cc", "memory");                     \
        return 0;                                                                                  \
    }
#define STEP "1"
LOADS(load8_up, "ldrb w2, [%1], #" STEP)
LOADS(load16_up, "ldrh w2, [%1], #" STEP)
LOADS(load32_up, "ldr w2, [%1], #" STEP)
LOADS(load64_up, "ldr x2, [%1], #" STEP)
LOADS(load_signed_up, "ldrsw x2, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_pair_up, "ldp x2, x3, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_words_up, "ldp w2, w3, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_vector_up, "ldr q0, [%1], #" STEP "\n\tmov x2, v0.d[0]\n\tmov x3, v0.d[1]")
LOADS(load_vectors_up, "ldp q0, q1, [%1]\n\tadd %1, %1, #" STEP "\n\tmov x2, v0.d[1]\n\tmov x3, v1.d[0]")
LOADS(load_indexed_up, "ldr x2, [%1, %2]")
STORES(store8_up, "strb w2, [%0], #" STEP)
STORES(store16_up, "strh w2, [%0], #" STEP)
STORES(store32_up, "str w2, [%0], #" STEP)
STORES(store64_up, "str x2, [%0], #" STEP)
STORES(store_pair_up, "stp x2, x3, [%0]\n\tadd %0, %0, #" STEP)
STORES(store_vector_up, "fmov d0, x2\n\tmov v0.d[1], x3\n\tstr q0, [%0], #" STEP)
STORES(store_vectors_up, "fmov d0, x2\n\tfmov d1, x3\n\tstp q0, q1, [%0]\n\tadd %0, %0, #" STEP)
#undef STEP
#define STEP "-1"
LOADS(load8_down, "ldrb w2, [%1], #" STEP)
LOADS(load16_down, "ldrh w2, [%1], #" STEP)
LOADS(load32_down, "ldr w2, [%1], #" STEP)
LOADS(load64_down, "ldr x2, [%1], #" STEP)
LOADS(load_signed_down, "ldrsw x2, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_pair_down, "ldp x2, x3, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_words_down, "ldp w2, w3, [%1]\n\tadd %1, %1, #" STEP)
LOADS(load_vector_down, "ldr q0, [%1], #" STEP "\n\tmov x2, v0.d[0]\n\tmov x3, v0.d[1]")
LOADS(load_vectors_down, "ldp q0, q1, [%1]\n\tadd %1, %1, #" STEP "\n\tmov x2, v0.d[1]\n\tmov x3, v1.d[0]")
LOADS(load_indexed_down, "ldr x2, [%1, %2]")
STORES(store8_down, "strb w2, [%0], #" STEP)
STORES(store16_down, "strh w2, [%0], #" STEP)
STORES(store32_down, "str w2, [%0], #" STEP)
STORES(store64_down, "str x2, [%0], #" STEP)
STORES(store_pair_down, "stp x2, x3, [%0]\n\tadd %0, %0, #" STEP)
STORES(store_vector_down, "fmov d0, x2\n\tmov v0.d[1], x3\n\tstr q0, [%0], #" STEP)
STORES(store_vectors_down, "fmov d0, x2\n\tfmov d1, x3\n\tstp q0, q1, [%0]\n\tadd %0, %0, #" STEP)
#undef STEP

#define BOTH(name) {#name, name##_up, name##_down}
static const struct {
    const char *name;
    uint64_t (*up)(uint64_t at, uint64_t steps);
    uint64_t (*down)(uint64_t at, uint64_t steps);
} walks[] = {
    BOTH(load8),
    BOTH(load16),
    BOTH(load32),
    BOTH(load64),
    BOTH(load_signed),
    BOTH(load_pair),
    BOTH(load_words),
    BOTH(load_vector),
    BOTH(load_vectors),
    BOTH(load_indexed),
    BOTH(store8),
    BOTH(store16),
    BOTH(store32),
    BOTH(store64),
    BOTH(store_pair),
    BOTH(store_vector),
    BOTH(store_vectors),
};
#define WALKS (sizeof walks / sizeof walks[0])

static void walk_all(const char *when)
{
    for (unsigned i = 0; i < WALKS; i++) {
        uint64_t sum = 0;
        for (unsigned times = 0; times < 3; times++) {
            sum += walks[i].up(START, STEPS);
            sum = sum * 3 + walks[i].down(START + STEPS, STEPS);
        }
        print("%s, %s: %lx %lx %lx %lx\n", when, walks[i].name, sum, sum_of(low), sum_of(high),
              sum_of(other));
    }
}

void bare_main(void)
{
    mmu_on();
    write_sysreg(cpacr_el1, 3ul << 20);
    /* In memory they come in the opposite order. */
    high = page_alloc();
    other = page_alloc();
    low = page_alloc();
    fill(low, 1);
    fill(high, 2);
    fill(other, 3);
    mmu_set(WINDOW, (uint64_t)low, PTE_NORMAL);
    mmu_set(WINDOW + PAGE, (uint64_t)high, PTE_NORMAL);
    walk_all("two pages");
    mmu_set(WINDOW, (uint64_t)other, PTE_NORMAL);
    walk_all("another first one");
    mmu_set(WINDOW + PAGE, (uint64_t)low, PTE_NORMAL);
    walk_all("another second one");
    mmu_set(WINDOW + PAGE, (uint64_t)low, PTE_NORMAL | PTE_RO);
    for (unsigned i = 0; i < WALKS; i++) {
        uint64_t sum = 0;
        print_outcome(walks[i].name, trial(walks[i].up, START, STEPS, &sum), sum);
        print("  %lx\n", sum_of(low)); /* what was written before it aborts is UNKNOWN */
    }
}
