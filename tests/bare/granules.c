/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation granules of 4, 16 and 64 KiB, by TTBR1: walks that start at each
 * level and end at each, and each fault with its level; then the program itself
 * by TTBR0.
 */
#include "lib/bare.h"

struct granule {
    const char *name;
    unsigned shift, tg0, tg1;
};
static const struct granule granules[] = {{"4k", 12, 0, 2}, {"16k", 14, 2, 1}, {"64k", 16, 1, 3}};

#define TABLE_BYTES 65536
static uint64_t tables[4][TABLE_BYTES / 8] __attribute__((aligned(TABLE_BYTES)));
/* What is mapped: two pages of the largest size. */
static uint8_t data[2][TABLE_BYTES] __attribute__((aligned(TABLE_BYTES)));

#define ATTRIBUTES (PTE_VALID | PTE_ATTR(ATTR_NORMAL) | PTE_SH | PTE_AF)
#define OUTSIDE (1ul << 33) /* an address of more than 32 bits */
#define FSC 0x3f

static uint64_t tcr;

/* --- one walk: the path of tables to one leaf */

struct walk {
    const struct granule *granule;
    unsigned bits, start, leaf;
    uint64_t va;           /* of data[0] */
    uint64_t *entry[4];    /* the descriptors on the way */
    uint64_t *table[4];
};

static unsigned shift_of(const struct granule *g, unsigned level)
{
    return g->shift + (g->shift - 3) * (3 - level);
}

static unsigned start_of(const struct granule *g, unsigned bits)
{
    unsigned stride = g->shift - 3;
    return 4 - (bits - g->shift + stride - 1) / stride;
}

static bool has_blocks(const struct granule *g, unsigned level)
{
    return level == 2 || (level == 1 && g->shift == 12);
}

static void clear(void)
{
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < TABLE_BYTES / 8; k++)
            tables[i][k] = 0;
}

/* The first table is no larger than it has to be, and lies behind one of its size. */
static uint64_t *first_table(unsigned bytes)
{
    if (bytes < 64)
        bytes = 64;
    return bytes < TABLE_BYTES ? tables[0] + bytes / 8 : tables[0];
}

static void make(struct walk *w, const struct granule *g, unsigned bits, unsigned leaf)
{
    unsigned shift = shift_of(g, leaf), stride = g->shift - 3;
    uint64_t low = (1ul << shift) - 1, mask = (1ul << bits) - 1;
    *w = (struct walk){.granule = g, .bits = bits, .start = start_of(g, bits), .leaf = leaf};
    w->va = ~mask | (0x0000a5c69d3b7000ul & mask & ~low) | ((uint64_t)data[0] & low);
    clear();
    for (unsigned level = w->start; level <= leaf; level++) {
        unsigned at = shift_of(g, level);
        unsigned width = level == w->start ? bits - at : stride;
        w->table[level] = level == w->start ? first_table(8u << width) : tables[level];
        w->entry[level] = &w->table[level][w->va >> at & ((1ul << width) - 1)];
        if (level > w->start)
            *w->entry[level - 1] = (uint64_t)w->table[level] | 3;
    }
    *w->entry[leaf] = ((uint64_t)data[0] & ~low) | ATTRIBUTES | (leaf == 3 ? 2 : 0);
    write_sysreg(tcr_el1, (tcr & ~(0x3ful << 16 | 3ul << 30)) | (uint64_t)(64 - bits) << 16 |
                              (uint64_t)g->tg1 << 30);
    write_sysreg(ttbr1_el1, (uint64_t)w->table[w->start]);
    tlbi_all();
}

static void outcome(const char *what, const void *code, uint64_t address)
{
    uint64_t result;
    if (trial(code, address, 0x77, &result))
        print(" %s:%lx/%lx", what, fault.esr >> 26, fault.esr & FSC);
    else
        print(" %s:%lx", what, code == stub_store ? 0 : result);
}

static void load(const char *what, uint64_t va)
{
    outcome(what, stub_load, va);
}

/* Load with one descriptor changed. */
static void with(const struct walk *w, const char *what, unsigned level, uint64_t clear_bits,
                 uint64_t set_bits)
{
    uint64_t old = *w->entry[level];
    *w->entry[level] = (old & ~clear_bits) | set_bits;
    tlbi_all();
    load(what, w->va);
    *w->entry[level] = old;
    tlbi_all();
}

static void rights(const struct walk *w)
{
    uint64_t old = *w->entry[w->leaf];
    *w->entry[w->leaf] |= PTE_RO;
    tlbi_all();
    outcome("ro", stub_store, w->va);
    *w->entry[w->leaf] = old | PTE_PXN;
    tlbi_all();
    outcome("pxn", (const void *)(w->va + 0x40), 0);
    *w->entry[w->leaf] = old;
    if (w->leaf > w->start) {
        *w->entry[w->start] |= 1ul << 62;
        tlbi_all();
        outcome("table-ro", stub_store, w->va);
        *w->entry[w->start] &= ~(1ul << 62);
    }
    tlbi_all();
}

static void sizes(const struct walk *w)
{
    uint64_t ttbr = (uint64_t)w->table[w->start], narrow = read_sysreg(tcr_el1) & ~(7ul << 32);
    write_sysreg(tcr_el1, narrow);
    tlbi_all();
    load("32-bit", w->va);
    for (unsigned level = w->start; level <= w->leaf; level++)
        with(w, "size", level, 0, OUTSIDE);
    write_sysreg(ttbr1_el1, ttbr | OUTSIDE);
    tlbi_all();
    load("ttbr", w->va);
    write_sysreg(ttbr1_el1, ttbr);
    write_sysreg(tcr_el1, narrow | 5ul << 32);
    tlbi_all();
}

/* One TLBI takes all of a page or block with it, whichever part it names. */
static void invalidation(const struct walk *w)
{
    uint64_t old = *w->entry[w->leaf], dropped = w->leaf < 3 || w->granule->shift > 12 ? 0x2000 : 0;
    for (uint64_t offset = 0; offset <= dropped; offset += 0x1000)
        load("in", w->va + offset);
    *w->entry[w->leaf] = 0;
    uint64_t operand = (w->va + dropped / 2) >> 12 & 0xfffffffffff;
    __asm__ volatile("dsb ishst\n\ttlbi vaae1is, %0\n\tdsb ish\n\tisb" ::"r"(operand) : "memory");
    for (uint64_t offset = 0; offset <= dropped; offset += 0x1000)
        load("out", w->va + offset);
    *w->entry[w->leaf] = old;
    tlbi_all();
}

static void look(const struct granule *g, unsigned bits, unsigned leaf)
{
    struct walk w;
    make(&w, g, bits, leaf);
    print("%s, %u bits, level %u to %u:", g->name, bits, w.start, leaf);
    load("load", w.va);
    if (leaf < 3 && !has_blocks(g, leaf)) {
        print("\n");
        return;
    }
    load("end", w.va + 0xff8);
    outcome("run", (const void *)(w.va + 0x40), 0);
    load("below", ~((1ul << bits) - 1) - 8);
    for (unsigned level = w.start; level <= leaf; level++)
        with(&w, "invalid", level, PTE_VALID, 0);
    if (leaf == 3)
        with(&w, "reserved", 3, 2, 0);
    with(&w, "flag", leaf, PTE_AF, 0);
    with(&w, "contiguous", leaf, 0, 1ul << 52);
    rights(&w);
    sizes(&w);
    invalidation(&w);
    uint64_t par;
    __asm__ volatile("at s1e1r, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(w.va) : "memory");
    print(" at:%s\n", (par & 0xfffffffff001ul) == (uint64_t)data[0] ? "right" : "other");
}

/* --- the program itself */

/* Other tables, which have no break in them: it is done with the MMU off. */
static void use(uint64_t new_tcr, uint64_t ttbr)
{
    uint64_t sctlr = read_sysreg(sctlr_el1);
    __asm__ volatile("dsb sy\n\tmsr sctlr_el1, %0\n\tisb\n\tmsr tcr_el1, %1\n\tmsr ttbr0_el1, %2\n\t"
                     "isb\n\ttlbi vmalle1\n\tdsb sy\n\tisb\n\tmsr sctlr_el1, %3\n\tisb" ::"r"(
                         sctlr & ~1ul),
                     "r"(new_tcr), "r"(ttbr), "r"(sctlr)
                     : "memory");
}

/* Blocks of level 2, from a table that starts there or below others. */
static uint64_t identity(const struct granule *g, unsigned bits)
{
    unsigned start = start_of(g, bits), shift = shift_of(g, 2), stride = g->shift - 3;
    uint64_t device = PTE_VALID | PTE_ATTR(ATTR_DEVICE) | PTE_AF | PTE_PXN;
    clear();
    for (unsigned level = start; level < 2; level++)
        tables[level][0] = (uint64_t)tables[level + 1] | 3;
    for (uint64_t at = 0; at < 0x100000000ul; at += 1ul << shift) {
        bool ram = at + (1ul << shift) > machine.ram && at < machine.ram + machine.ram_size;
        bool uart = machine.uart - at < 1ul << shift;
        /* A block of 4 KiB granules is in one of several tables. */
        if (at >> shift < 1ul << (start == 2 ? bits - shift : stride) && (ram || uart))
            tables[2][at >> shift] = at | (ram ? ATTRIBUTES : device);
    }
    return (uint64_t)tables[start];
}

static void live(const struct granule *g, unsigned bits)
{
    uint64_t old = read_sysreg(ttbr0_el1), result;
    uint64_t ttbr = identity(g, bits);
    use((tcr & ~(0x3ful | 3ul << 14)) | (64 - bits) | (uint64_t)g->tg0 << 14, ttbr);
    print("program, %s, %u bits: runs", g->name, bits);
    load("data", (uint64_t)data[0]);
    load("hole", (1ul << 31) - 8 - (1ul << 25));
    load("beyond", 1ul << bits);
    print(" misaligned:%u\n", trial(stub_load, (uint64_t)data[0] + 0xffc, 0, &result));
    use(tcr, old);
}

void bare_main(void)
{
    mmu_on();
    tcr = read_sysreg(tcr_el1);
    for (unsigned i = 0; i < TABLE_BYTES / 8; i++)
        ((uint64_t *)data[0])[i] = 0xda7a0000 + i;
    ((uint32_t *)data[0])[0x40 / 4] = stub_ret[0];
    sync_code(data[0], 0x80);
    print("mmfr0 %lx\n", read_sysreg(id_aa64mmfr0_el1) >> 20 & 0xfff);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned bits = 25; bits <= 48; bits++)
            for (unsigned leaf = start_of(&granules[i], bits); leaf < 4; leaf++)
                look(&granules[i], bits, leaf);
    }
    for (unsigned i = 1; i < 3; i++)
        for (unsigned bits = 33; bits <= 48; bits += bits < 36 ? 1 : 3)
            live(&granules[i], bits);
}
