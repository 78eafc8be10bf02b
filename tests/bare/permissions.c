/* SPDX-License-Identifier: Apache-2.0 */
/* Permissions: AP, UXN, PXN, tables' limits and WXN, for EL1 and EL0. */
#include "lib/bare.h"

#define CODE (WINDOW + 0x1000)   /* what EL0 runs to load or store */
#define TARGET (WINDOW + 0x2000) /* what it runs against */

static uint32_t *code_page, *target_page;

static char attempt(bool el0, char kind)
{
    uint64_t result;
    const uint32_t *stub = (const uint32_t *)(CODE + (kind == 'r' ? 0 : 0x10));
    if (kind == 'x')
        stub = (const uint32_t *)TARGET;
    int r;
    if (el0)
        r = trial_el0(stub, TARGET + 0x100, 1, &result);
    else
        r = trial(kind == 'r'   ? (const void *)stub_load
                  : kind == 'w' ? (const void *)stub_store
                                : (const void *)(TARGET + 8),
                  TARGET + 0x100, 1, &result);
    if (!r)
        return kind;
    return (fault.esr & 0x3f) == 0xf ? '-' : '?';
}

static void matrix(const char *what, uint64_t table_bits)
{
    for (unsigned ap = 0; ap < 4; ap++) {
        for (unsigned xn = 0; xn < 4; xn++) {
            mmu_set(TARGET, (uint64_t)target_page,
                    PTE_NORMAL | (uint64_t)ap << 6 | (uint64_t)xn << 53);
            *mmu_entry(TARGET, 2) |= table_bits;
            tlbi_all();
            print("%s ap %u uxn %u pxn %u: el1 %c%c%c el0 ", what, ap, xn >> 1, xn & 1,
                  attempt(false, 'r'), attempt(false, 'w'), attempt(false, 'x'));
            /* EL0's code lies under the same table. */
            *mmu_entry(TARGET, 2) &= ~table_bits;
            tlbi_all();
            print("%c%c%c\n", attempt(true, 'r'), attempt(true, 'w'), attempt(true, 'x'));
        }
    }
}

void bare_main(void)
{
    mmu_on();
    code_page = page_alloc();
    target_page = page_alloc();
    code_page[0] = stub_load[0];
    code_page[1] = stub_svc[0];
    code_page[4] = stub_store[0];
    code_page[5] = stub_svc[0];
    target_page[0] = stub_svc[0];
    target_page[2] = stub_ret[0];
    sync_code(code_page, 64);
    sync_code(target_page, 64);
    mmu_set(CODE, (uint64_t)code_page, PTE_NORMAL | PTE_USER | PTE_RO | PTE_PXN);
    matrix("plain", 0);
    matrix("table read-only", 1ul << 62);
    matrix("table no el0", 1ul << 61);
    matrix("table pxn", 1ul << 59);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1ul << 19);
    matrix("wxn", 0);
}
