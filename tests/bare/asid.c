/* SPDX-License-Identifier: Apache-2.0 */
/* ASIDs, global pages, and what each TLBI must have dropped. */
#include "lib/bare.h"

static uint64_t pages[4];

static void switch_asid(unsigned asid)
{
    write_sysreg(ttbr0_el1, (read_sysreg(ttbr0_el1) & 0xfffffffffffful) | (uint64_t)asid << 48);
}

static void show(const char *what, uint64_t va)
{
    uint64_t result;
    int r = trial(stub_load, va, 0, &result);
    print_outcome(what, r, result);
}

static void change(uint64_t va, uint64_t pa, uint64_t attributes)
{
    *mmu_entry(va, 3) = pa | attributes;
    dsb();
}

#define TLBI(kind, value)                                                                          \
    __asm__ volatile("dsb ishst\n\ttlbi " #kind ", %0\n\tdsb ish\n\tisb" ::"r"(value) : "memory")
#define VA_ARG(va, asid) (((va) >> 12 & 0xffffffffffful) | (uint64_t)(asid) << 48)

void bare_main(void)
{
    mmu_on();
    for (unsigned i = 0; i < 4; i++) {
        pages[i] = (uint64_t)page_alloc();
        *(uint64_t *)pages[i] = 0x100 + i;
    }
    uint64_t ng = PTE_NORMAL | PTE_NG;

    /* The same address in two ASIDs, each dropped by its own TLBI. */
    mmu_set(WINDOW, pages[0], ng);
    switch_asid(1);
    show("asid 1", WINDOW);
    change(WINDOW, pages[1], ng);
    switch_asid(2);
    show("asid 2", WINDOW);
    TLBI(aside1is, 1ul << 48);
    switch_asid(1);
    show("asid 1 after aside1is", WINDOW);
    change(WINDOW, pages[2], ng);
    TLBI(vae1is, VA_ARG(WINDOW, 1));
    show("asid 1 after vae1is", WINDOW);
    switch_asid(2);
    TLBI(vaae1is, VA_ARG(WINDOW, 0));
    show("asid 2 after vaae1is", WINDOW);
    change(WINDOW, pages[3], ng);
    TLBI(vale1is, VA_ARG(WINDOW, 2));
    show("asid 2 after vale1is", WINDOW);
    change(WINDOW, pages[0], ng);
    TLBI(vaale1is, VA_ARG(WINDOW, 7));
    show("asid 2 after vaale1is", WINDOW);
    change(WINDOW, pages[1], ng);
    __asm__ volatile("dsb ishst\n\ttlbi vmalle1\n\tdsb ish\n\tisb" ::: "memory");
    show("asid 2 after vmalle1", WINDOW);

    /* Global: VAE1 of any ASID drops it; ASIDE1 need not. */
    uint64_t global = WINDOW + 0x5000;
    mmu_set(global, pages[0], PTE_NORMAL);
    show("global", global);
    switch_asid(3);
    show("global, asid 3", global);
    change(global, pages[1], PTE_NORMAL);
    TLBI(vae1is, VA_ARG(global, 9));
    show("global after vae1is of asid 9", global);
    switch_asid(2);
    show("global, asid 2", global);

    /* A block split into pages: one TLBI drops all of it. */
    uint64_t block = WINDOW + 0x40000000;
    *mmu_entry(block, 2) = (pages[0] & ~0x1ffffful) | PTE_VALID | PTE_AF | PTE_SH;
    tlbi_all();
    uint64_t inside = block + (pages[2] & 0x1fffff), first = block + (pages[0] & 0x1fffff);
    show("block", inside);
    show("block", first);
    *mmu_entry(block, 2) = 0;
    TLBI(vaae1is, VA_ARG(block, 0));
    show("block gone", inside);
    show("block gone", first);

    /* 8-bit ASIDs: the upper half of the field does not count. */
    write_sysreg(tcr_el1, read_sysreg(tcr_el1) & ~(1ul << 36));
    mmu_set(WINDOW, pages[0], ng);
    switch_asid(0x105);
    show("8-bit asid", WINDOW);

    /* More ASIDs than any TLB of ours keeps apart, and back. */
    write_sysreg(tcr_el1, read_sysreg(tcr_el1) | 1ul << 36);
    tlbi_all();
    for (unsigned asid = 100; asid < 112; asid++) {
        change(WINDOW, pages[asid % 4], ng);
        switch_asid(asid);
        print("%u ", asid);
        show("", WINDOW);
    }
    change(WINDOW, pages[3], ng);
    for (unsigned asid = 100; asid < 112; asid++) {
        switch_asid(asid);
        TLBI(aside1is, (uint64_t)asid << 48);
        print("%u ", asid);
        show("", WINDOW);
    }
}
