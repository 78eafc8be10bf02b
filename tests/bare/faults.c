/* SPDX-License-Identifier: Apache-2.0 */
/* Fault levels and syndromes of data and instruction aborts, with FAR. */
#include "lib/bare.h"

#define AT(level) (WINDOW + ((uint64_t)(level) << 32))

static void show(const char *what, uint64_t va, int faulted, uint64_t result)
{
    print_outcome(what, faulted, result);
    if (faulted)
        print("  far %s%ld\n", fault.far == va ? "+" : "?", fault.far - va);
}

/* Read, write and execute va; it must fault. */
static void all_accesses(const char *what, uint64_t va)
{
    uint64_t result;
    int r = trial(stub_load, va, 0, &result);
    print("%s ", what);
    show("read", va, r, result);
    r = trial(stub_store, va, 1, &result);
    print("%s ", what);
    show("write", va, r, result);
    r = trial((const void *)va, 0, 0, &result);
    print("%s ", what);
    show("execute", va, r, result);
}

void bare_main(void)
{
    mmu_on();
    uint64_t page = (uint64_t)page_alloc();

    all_accesses("translation level 0", AT(0) + 0x18000000000);
    mmu_entry(AT(1), 1);
    all_accesses("translation level 1", AT(1));
    mmu_entry(AT(1), 2);
    tlbi_all();
    all_accesses("translation level 2", AT(1));
    mmu_entry(AT(1), 3);
    tlbi_all();
    all_accesses("translation level 3", AT(1) + 0x3000);

    *mmu_entry(AT(3), 1) = (machine.ram & ~0x3ffffffful) | PTE_VALID | PTE_SH;
    tlbi_all();
    all_accesses("access flag level 1", AT(3));
    *mmu_entry(AT(4), 2) = (page & ~0x1ffffful) | PTE_VALID | PTE_SH;
    tlbi_all();
    all_accesses("access flag level 2", AT(4) + 0x40);
    mmu_set(AT(5), page, PTE_PAGE | PTE_SH);
    all_accesses("access flag level 3", AT(5) + 0x40);

    *mmu_entry(AT(6), 1) = (machine.ram & ~0x3ffffffful) | PTE_VALID | PTE_AF | PTE_RO | PTE_PXN;
    tlbi_all();
    uint64_t result;
    int r = trial(stub_store, AT(6), 1, &result);
    show("permission level 1 write", AT(6), r, result);
    r = trial((const void *)AT(6), 1, 0, &result);
    show("permission level 1 execute", AT(6), r, result);
    *mmu_entry(AT(7), 2) = (page & ~0x1ffffful) | PTE_VALID | PTE_AF | PTE_RO | PTE_PXN;
    tlbi_all();
    r = trial(stub_store, AT(7), 1, &result);
    show("permission level 2 write", AT(7), r, result);
    mmu_set(AT(8), page, PTE_NORMAL | PTE_RO | PTE_PXN);
    r = trial(stub_store, AT(8), 1, &result);
    show("permission level 3 write", AT(8), r, result);
    r = trial((const void *)AT(8), 1, 0, &result);
    show("permission level 3 execute", AT(8), r, result);

    /* Not in either half, and beyond the output size. */
    r = trial(stub_load, 0x0010000000000000, 0, &result);
    show("no half", 0x0010000000000000, r, result);
    r = trial(stub_load, 0xff00000000000000, 0, &result);
    show("no upper half", 0xff00000000000000, r, result);
    uint64_t tcr = read_sysreg(tcr_el1);
    write_sysreg(tcr_el1, (tcr & ~(7ul << 32)) | 1ul << 32); /* 36 bits */
    mmu_set(AT(9), 1ul << 40, PTE_NORMAL);
    r = trial(stub_load, AT(9), 0, &result);
    show("address size level 3", AT(9), r, result);
    *mmu_entry(AT(10), 2) = 1ul << 40 | 3;
    tlbi_all();
    r = trial(stub_load, AT(10), 0, &result);
    show("address size of a table", AT(10), r, result);
    write_sysreg(tcr_el1, tcr);
    tlbi_all();

    /* EPD, and PC alignment. */
    write_sysreg(tcr_el1, tcr | 1ul << 23);
    tlbi_all();
    r = trial(stub_load, 0xffff000000000000, 0, &result);
    show("walk disabled", 0xffff000000000000, r, result);
    write_sysreg(tcr_el1, tcr);
    tlbi_all();
    r = trial((const char *)stub_ret + 2, 0, 0, &result);
    print_outcome("pc alignment", r, result);
    print("  far +%ld\n", fault.far - (uint64_t)stub_ret);
}
