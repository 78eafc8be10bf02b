/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables: 4 KiB granule, 48 bits, TTBR0 only unless a test says more. */
#include "bare.h"

#define POOL_PAGES 64
static uint8_t pool[POOL_PAGES][PAGE] __attribute__((aligned(4096)));
static unsigned pool_used;
static uint64_t *root;

#define MAIR (0xfful | 0x00ul << 8 | 0x44ul << 16)
/* T0SZ = T1SZ = 16, write-back walks, 4 KiB, 48-bit output, 16-bit ASIDs. */
#define TCR (16ul | 16ul << 16 | 0x35ul << 8 | 0x35ul << 24 | 2ul << 30 | 5ul << 32 | 1ul << 36)

void *page_alloc(void)
{
    if (pool_used == POOL_PAGES) {
        print("out of pages\n");
        psci(0x84000008, 0, 0, 0);
    }
    return pool[pool_used++];
}

uint64_t *mmu_entry(uint64_t va, unsigned level)
{
    uint64_t *table = root;
    for (unsigned l = 0; l < level; l++) {
        uint64_t *entry = &table[va >> (39 - 9 * l) & 511];
        if ((*entry & 3) != 3)
            *entry = (uint64_t)page_alloc() | 3;
        table = (uint64_t *)(*entry & 0xfffffffff000ul);
    }
    return &table[va >> (39 - 9 * level) & 511];
}

void tlbi_all(void)
{
    __asm__ volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" ::: "memory");
}

void mmu_set(uint64_t va, uint64_t pa, uint64_t attributes)
{
    *mmu_entry(va, 3) = pa | attributes;
    tlbi_all();
}

static void map_blocks(uint64_t pa, uint64_t size, uint64_t attributes)
{
    for (uint64_t at = pa & ~0x1ffffful; at < pa + size; at += 0x200000)
        *mmu_entry(at, 2) = at | attributes;
}

/* The program's code is read-only, so that it runs under WXN too. */
static void map_program(uint64_t attributes)
{
    extern char text_end[];
    uint64_t block = machine.load & ~0x1ffffful;
    map_blocks(machine.load, 0x400000, attributes);
    *mmu_entry(block, 2) = 0;
    for (uint64_t at = block; at < block + 0x200000; at += PAGE) {
        bool code = at >= machine.load && at < (uint64_t)text_end;
        *mmu_entry(at, 3) = at | attributes | PTE_PAGE | (code ? PTE_RO : 0);
    }
}

void mmu_on_this_cpu(void)
{
    write_sysreg(mair_el1, MAIR);
    write_sysreg(tcr_el1, TCR);
    write_sysreg(ttbr0_el1, (uint64_t)root);
    write_sysreg(ttbr1_el1, (uint64_t)root);
    tlbi_all();
    /* SPAN, and the RES1 bits: exceptions leave PAN alone where there is one. */
    write_sysreg(sctlr_el1, 0x30d00800ul | 1 | 1 << 2 | 1 << 12 | 1 << 23);
}

void mmu_on(void)
{
    root = page_alloc();
    uint64_t normal = PTE_VALID | PTE_ATTR(ATTR_NORMAL) | PTE_SH | PTE_AF | PTE_UXN;
    uint64_t device = PTE_VALID | PTE_ATTR(ATTR_DEVICE) | PTE_AF | PTE_UXN | PTE_PXN;
    map_program(normal);
    map_blocks(machine.uart, PAGE, device);
    map_blocks(machine.gicd, 0x10000, device);
    map_blocks(machine.gicr, MAX_CPUS * 0x20000, device);
    mmu_on_this_cpu();
}

void sync_code(void *address, size_t len)
{
    for (size_t i = 0; i < len; i += 4)
        __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0" ::"r"((char *)address + i)
                         : "memory");
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
}

/* ldr x0, [x0]; svc/ret.  str x1, [x0].  For pages of their own. */
const uint32_t stub_load[] = {0xf9400000, 0xd65f03c0};
const uint32_t stub_store[] = {0xf9000001, 0xd65f03c0};
const uint32_t stub_ret[] = {0xd65f03c0};
const uint32_t stub_svc[] = {0xd401ffe1};
