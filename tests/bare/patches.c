/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintenance by address that concerns few: a kernel that patches thousands of
 * places, by a mapping that it makes for each, waits for no CPU that has seen
 * neither; one that has seen a block is told of any page in it; one that has
 * decoded a line sees the change at its next branch.
 */
#include "lib/bare.h"

#define CPUS 4
#define SITES 5000
#define SLOT WINDOW                  /* the mapping that places are patched by */
#define CODE (WINDOW + 0x1000)
#define BLOCK (WINDOW + 0x40000000ul) /* of 2 MiB */
#define ALIAS (WINDOW + 0x2000)       /* of the page in it that is stored to */
#define SOON 30                      /* seconds; waits would add up to more */

#define MOVZ_X0(value) (0xd2800000 | (uint32_t)(value) << 5)

static volatile bool over;

static void tlbi_page(uint64_t va)
{
    __asm__ volatile("dsb ishst\n\ttlbi vae1is, %0\n\tdsb ish\n\tisb" ::"r"(va >> 12) : "memory");
}

static void be_busy(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
    while (!over)
        ;
}

static void start_all(void (*fn)(unsigned cpu))
{
    over = false;
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_start(cpu, fn);
}

static void end_all(void)
{
    over = true;
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        cpu_wait(cpu);
}

static void patch_many(void)
{
    uint32_t *pages[2] = {page_alloc(), page_alloc()};
    uint64_t *entry = mmu_entry(SLOT, 3);
    start_all(be_busy);
    uint64_t since = read_sysreg(cntvct_el0);
    for (unsigned i = 0; i < SITES; i++) {
        *entry = (uint64_t)pages[i % 2] | PTE_NORMAL | PTE_PXN | PTE_UXN;
        dsb();
        *(volatile uint32_t *)(SLOT + i * 4 % PAGE) = MOVZ_X0(i);
        __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(
                             (char *)pages[i % 2] + i * 4 % PAGE)
                         : "memory");
        *entry = 0;
        tlbi_page(SLOT);
    }
    uint64_t took = read_sysreg(cntvct_el0) - since;
    end_all();
    unsigned right = 0;
    for (unsigned i = SITES - 1024; i < SITES; i++)
        right += pages[i % 2][i % 1024] == MOVZ_X0(i);
    print("patched: %u right, %s\n", right,
          took < SOON * read_sysreg(cntfrq_el0) ? "soon" : "after waits");
}

/* --- stores to one page of a block that becomes read-only by a TLBI of another page */

static volatile unsigned denied;

static bool on_denied(unsigned vector, struct frame *frame)
{
    if (vector != 4 || frame->esr >> 26 != 0x25 || (frame->esr & 0x7f) != 0x4e)
        return false;
    __atomic_fetch_add(&denied, 1, __ATOMIC_RELAXED);
    return true; /* to try again */
}

static void store_in_block(unsigned cpu)
{
    mmu_on_this_cpu();
    volatile uint64_t *mine = (volatile uint64_t *)(BLOCK + 5 * PAGE) + cpu * 8;
    for (uint64_t value = 1; !over; value++)
        *mine = value;
}

static void block_ends(void)
{
    uint64_t pa = ((uint64_t)page_alloc() + 0x4000000) & ~0x1ffffful;
    volatile uint64_t *seen_at = (volatile uint64_t *)ALIAS;
    mmu_set(ALIAS, pa + 5 * PAGE, PTE_NORMAL | PTE_PXN | PTE_UXN);
    uint64_t *entry = mmu_entry(BLOCK, 2);
    *entry = 0;
    tlbi_all();
    *entry = pa | (PTE_NORMAL & ~2ul) | PTE_PXN | PTE_UXN;
    dsb();
    unsigned moved = 0;
    sync_handler = on_denied;
    start_all(store_in_block);
    uint64_t since = read_sysreg(cntvct_el0);
    unsigned round = 0;
    for (; more_rounds(round, 20, 200, since); round++) {
        uint64_t seen[CPUS];
        *entry |= PTE_RO;
        tlbi_page(BLOCK + (100 + round) * PAGE);
        for (unsigned cpu = 1; cpu < CPUS; cpu++)
            seen[cpu] = seen_at[cpu * 8];
        for (unsigned before = denied; round < 10 && denied == before;)
            ;
        for (unsigned cpu = 1; cpu < CPUS; cpu++)
            moved += seen_at[cpu * 8] != seen[cpu];
        *entry &= ~PTE_RO;
        tlbi_page(BLOCK + (300 + round % 200) * PAGE);
        while (seen_at[(1 + round % 3) * 8] == seen[1 + round % 3])
            ;
    }
    end_all();
    sync_handler = NULL;
    print("a block that ends: %u not still, %s\n", moved, denied ? "some denied" : "none denied");
}

/* --- a line that others run, over and over; what is told them comes behind it */

static volatile unsigned version, stale;

static void run_line(unsigned cpu)
{
    (void)cpu;
    mmu_on_this_cpu();
    while (!over) {
        unsigned least = __atomic_load_n(&version, __ATOMIC_ACQUIRE);
        __asm__ volatile("isb");
        if (((uint64_t (*)(void))CODE)() < least)
            stale++;
    }
}

static void line_changes(void)
{
    uint32_t *page = page_alloc();
    page[0] = MOVZ_X0(0);
    page[1] = stub_ret[0];
    sync_code(page, 8);
    mmu_set(CODE, (uint64_t)page, PTE_NORMAL | PTE_RO | PTE_UXN);
    start_all(run_line);
    for (unsigned i = 1; i <= 2000; i++) {
        *(volatile uint32_t *)page = MOVZ_X0(i);
        __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(page)
                         : "memory");
        __atomic_store_n(&version, i, __ATOMIC_RELEASE);
    }
    end_all();
    /* B2.2.5: whoever has seen the version and synchronized itself executes it, or a later one. */
    if (stale != 0)
        print("! a line that changed: %u stale\n", stale);
    print("lines changed\n");
}

void bare_main(void)
{
    mmu_on();
    patch_many();
    block_ends();
    line_changes();
}
