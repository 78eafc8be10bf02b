/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that caches of translations put in one place: what is changed and
 * dropped by its address is never seen again.
 */
#include "lib/bare.h"

#define PLACES 12
#define PAGES 24
#define STEPS 6000

static uint64_t pages[PAGES], values[PAGES];
static struct place {
    unsigned page;
    bool read_only, gone;
} places[PLACES];
static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* Some a power of two apart, some so that page and page / 256 add up to the same. */
static uint64_t address(unsigned i)
{
    return WINDOW + (i % 2 ? (i + 1) * 255 * PAGE : i * 0x100000ul);
}

static void map(unsigned i)
{
    const struct place *p = &places[i];
    *mmu_entry(address(i), 3) =
        p->gone ? 0 : pages[p->page] | PTE_NORMAL | (p->read_only ? PTE_RO : 0);
}

/* Of this address in all ASIDs, in this ASID, or everything. */
static void drop(unsigned i, unsigned how)
{
    uint64_t arg = address(i) >> 12 & 0xffffffffffful;
    __asm__ volatile("dsb ishst");
    if (how == 0)
        __asm__ volatile("tlbi vaae1is, %0" ::"r"(arg));
    else if (how == 1)
        __asm__ volatile("tlbi vae1, %0" ::"r"(arg));
    else
        __asm__ volatile("tlbi vmalle1");
    dsb();
}

static bool load_right(unsigned i)
{
    uint64_t value = 0;
    int faulted = trial(stub_load, address(i), 0, &value);
    return faulted ? places[i].gone : !places[i].gone && value == values[places[i].page];
}

static bool store_right(unsigned i, uint64_t value)
{
    uint64_t result;
    const struct place *p = &places[i];
    bool faulted = trial(stub_store, address(i), value, &result) != 0;
    if (!faulted)
        values[p->page] = value;
    return faulted == (p->gone || p->read_only);
}

void bare_main(void)
{
    unsigned wrong = 0, loads = 0, stores = 0, changes = 0;
    mmu_on();
    for (unsigned i = 0; i < PAGES; i++)
        pages[i] = (uint64_t)page_alloc();
    for (unsigned i = 0; i < PLACES; i++) {
        places[i].page = i;
        map(i);
    }
    tlbi_all();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = any(PLACES), what = any(8);
        if (what == 0) {
            places[i] = (struct place){any(PAGES), any(3) == 0, any(6) == 0};
            map(i);
            drop(i, any(20) == 0 ? 2 : any(2));
            changes++;
        } else if (what < 4) {
            wrong += !store_right(i, step);
            stores++;
        } else {
            wrong += !load_right(i);
            loads++;
        }
    }
    print("%u loads, %u stores, %u changes: %u wrong\n", loads, stores, changes, wrong);
}
