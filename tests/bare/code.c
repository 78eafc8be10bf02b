/* SPDX-License-Identifier: Apache-2.0 */
/* Code that changes: in place, through an alias, on two CPUs. */
#include "lib/bare.h"

#define CODE (WINDOW + 0x1000)
#define ALIAS (WINDOW + 0x400000)

static uint32_t *page;

static uint32_t movz(unsigned value)
{
    return 0xd2800000 | value << 5;
}

typedef uint64_t fn(void);

static uint64_t call(uint64_t address)
{
    return ((fn *)address)();
}

static volatile unsigned phase, seen;

static void runner(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
    for (unsigned want = 1; want <= 50; want++) {
        while (phase != want)
            ;
        __asm__ volatile("isb");
        if (call(CODE) == want)
            seen++;
        dsb();
        phase = 1000 + want;
    }
}

void bare_main(void)
{
    mmu_on();
    page = page_alloc();
    mmu_set(CODE, (uint64_t)page, PTE_NORMAL | PTE_UXN);
    mmu_set(ALIAS, (uint64_t)page, PTE_NORMAL | PTE_UXN | PTE_PXN);
    uint32_t *alias = (uint32_t *)ALIAS;
    alias[1] = stub_ret[0];
    unsigned right = 0;
    for (unsigned i = 1; i <= 200; i++) {
        alias[0] = movz(i);
        sync_code(alias, 8);
        right += call(CODE) == i;
    }
    print("by an alias: %u\n", right);

    /* Several lines, the whole cache dropped at once. */
    right = 0;
    for (unsigned i = 1; i <= 20; i++) {
        for (unsigned line = 0; line < 64; line++) {
            alias[line * 16] = movz(i * 64 + line);
            alias[line * 16 + 1] = stub_ret[0];
        }
        __asm__ volatile("dsb ish\n\tic ialluis\n\tdsb ish\n\tisb" ::: "memory");
        for (unsigned line = 0; line < 64; line++)
            right += call(CODE + line * 64) == i * 64 + line;
    }
    print("lines: %u\n", right);

    /* A page remapped to another one: no cache maintenance is due. */
    uint32_t *other = page_alloc();
    other[0] = movz(77);
    other[1] = stub_ret[0];
    sync_code(other, 8);
    alias[0] = movz(66);
    sync_code(alias, 8);
    print("before %lu", call(CODE));
    mmu_set(CODE, (uint64_t)other, PTE_NORMAL | PTE_UXN);
    print(" after %lu\n", call(CODE));
    mmu_set(CODE, (uint64_t)page, PTE_NORMAL | PTE_UXN);

    /* An instruction across nothing: the last slot of a page runs into the next. */
    uint32_t *next = page_alloc();
    mmu_set(CODE + PAGE, (uint64_t)next, PTE_NORMAL | PTE_UXN);
    page[1023] = movz(5);
    next[0] = 0x91000400; /* add x0, x0, #1 */
    next[1] = stub_ret[0];
    sync_code(page, PAGE);
    sync_code(next, 8);
    print("into the next page: %lu\n", call(CODE + PAGE - 4));

    cpu_start(1, runner);
    for (unsigned i = 1; i <= 50; i++) {
        alias[0] = movz(i);
        sync_code(alias, 8);
        phase = i;
        while (phase != 1000 + i)
            ;
    }
    cpu_wait(1);
    print("on another cpu: %u\n", seen);
}
