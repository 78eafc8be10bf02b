/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware management of the access flag and of dirty state. */
#include "lib/bare.h"

#define FLAGS (PTE_AF | PTE_RO | PTE_DBM)

static uint64_t page;

static void flags(const char *what, int faulted)
{
    uint64_t pte = *mmu_entry(WINDOW, 3);
    print("%s: %s af %u ro %u dbm %u", what, faulted ? "fault" : "ok", !!(pte & PTE_AF),
          !!(pte & PTE_RO), !!(pte & PTE_DBM));
    if (faulted)
        print(" iss %x", (uint32_t)(fault.esr & 0x1ffffff));
    print("\n");
}

static void sequence(const char *mode, uint64_t attributes)
{
    print("%s\n", mode);
    mmu_set(WINDOW, page, PTE_PAGE | PTE_SH | attributes);
    flags(" before", 0);
    flags(" read", trial(stub_load, WINDOW, 0, NULL));
    flags(" write", trial(stub_store, WINDOW, 5, NULL));
    flags(" write again", trial(stub_store, WINDOW + 8, 6, NULL));
}

void bare_main(void)
{
    mmu_on();
    page = (uint64_t)page_alloc();
    uint64_t tcr = read_sysreg(tcr_el1);
    sequence("off, af 0", 0);
    sequence("off, dbm", PTE_AF | PTE_RO | PTE_DBM);
    write_sysreg(tcr_el1, tcr | 1ul << 39);
    sequence("ha, af 0", 0);
    sequence("ha, dbm", PTE_AF | PTE_RO | PTE_DBM);
    sequence("ha, read-only, af 0", PTE_RO);
    write_sysreg(tcr_el1, tcr | 3ul << 39);
    sequence("ha hd, af 0", 0);
    sequence("ha hd, dbm", PTE_AF | PTE_RO | PTE_DBM);
    sequence("ha hd, dbm, af 0", PTE_RO | PTE_DBM);
    sequence("ha hd, read-only", PTE_AF | PTE_RO);
    sequence("ha hd, dbm, writable", PTE_AF | PTE_DBM);
}
