/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alignment: ordinary accesses on Normal and Device memory, with SCTLR.A, SP,
 * ordered, exclusive and atomic ones; and accesses across a page that faults.
 */
#include "lib/bare.h"

#define NORMAL (WINDOW)
#define DEVICE (WINDOW + 0x10000)
#define CODE (WINDOW + 0x20000)
#define STACK (WINDOW + 0x21000)

STUB(s_ldrb, "ldrb w0, [x0]");
STUB(s_ldrh, "ldrh w0, [x0]");
STUB(s_ldr, "ldr w0, [x0]");
STUB(s_ldrx, "ldr x0, [x0]");
STUB(s_ldp, "ldp x0, x2, [x0]\n\teor x0, x0, x2");
STUB(s_ldpw, "ldp w0, w2, [x0]\n\teor x0, x0, x2");
STUB(s_strh, "strh w1, [x0]");
STUB(s_strx, "str x1, [x0]");
STUB(s_stp, "stp x1, x1, [x0]");
STUB(s_ldar, "ldar w0, [x0]");
STUB(s_ldarh, "ldarh w0, [x0]");
STUB(s_stlr, "stlr x1, [x0]");
STUB(s_ldxr, "ldxr x0, [x0]\n\tclrex");
STUB(s_ldxp, "ldxp x0, x2, [x0]\n\tclrex");
STUB(s_post, "mov x2, x0\n\tldr x1, [x2], #8\n\tmov x0, x2");

static const struct {
    const char *name;
    const uint32_t *stub;
} stubs[] = {
    {"ldrb", s_ldrb}, {"ldrh", s_ldrh}, {"ldr w", s_ldr},   {"ldr x", s_ldrx}, {"ldp x", s_ldp},
    {"ldp w", s_ldpw}, {"strh", s_strh}, {"str x", s_strx}, {"stp x", s_stp},  {"ldar", s_ldar},
    {"ldarh", s_ldarh}, {"stlr", s_stlr}, {"ldxr", s_ldxr}, {"ldxp", s_ldxp},
};

static void each(const char *where, uint64_t base, unsigned offset)
{
    for (unsigned i = 0; i < sizeof stubs / sizeof stubs[0]; i++) {
        uint64_t result;
        int r = trial(stubs[i].stub, base + offset, 0x1122334455667788, &result);
        print("%s +%u %s: ", where, offset, stubs[i].name);
        if (r)
            print("ec %x iss %x far +%ld\n", (uint32_t)(fault.esr >> 26),
                  (uint32_t)(fault.esr & 0x1ffffff), fault.far - base);
        else
            print("ok\n");
    }
}

void bare_main(void)
{
    mmu_on();
    uint64_t a = (uint64_t)page_alloc(), b = (uint64_t)page_alloc();
    for (unsigned i = 0; i < PAGE; i++)
        ((uint8_t *)a)[i] = (uint8_t)(i * 7), ((uint8_t *)b)[i] = (uint8_t)(i * 5 + 1);
    mmu_set(NORMAL, a, PTE_NORMAL);
    mmu_set(NORMAL + PAGE, b, PTE_NORMAL);
    mmu_set(DEVICE, a, PTE_PAGE | PTE_ATTR(ATTR_DEVICE) | PTE_AF);
    for (unsigned offset = 0; offset < 9; offset++)
        each("normal", NORMAL, offset);
    for (unsigned offset = 0; offset < 9; offset++)
        each("device", DEVICE, offset);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 2);
    for (unsigned offset = 0; offset < 9; offset += 1)
        each("checked", NORMAL, offset);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~2ul);

    /* Across the two pages, byte order right; then with the second one gone. */
    uint64_t result;
    for (unsigned before = 1; before < 16; before++) {
        int r = trial(s_ldrx, NORMAL + PAGE - before, 0, &result);
        print("across -%u ldr ", before);
        print_outcome("x", r, result);
        r = trial(s_ldp, NORMAL + PAGE - before, 0, &result);
        print("across -%u ldp ", before);
        print_outcome("x", r, result);
    }
    trial(s_strx, NORMAL + PAGE - 3, 0x8877665544332211, NULL);
    print("stored %lx %lx\n", *(uint64_t *)(a + PAGE - 8), *(uint64_t *)b);
    *mmu_entry(NORMAL + PAGE, 3) = 0;
    tlbi_all();
    uint64_t before_store = *(uint64_t *)(a + PAGE - 8);
    for (unsigned before = 1; before < 16; before += 2) {
        int r = trial(s_ldrx, NORMAL + PAGE - before, 0, &result);
        print("gone -%u ldr: %u far +%ld\n", before, r, r ? fault.far - NORMAL : 0);
        r = trial(s_ldp, NORMAL + PAGE - before, 0, &result);
        print("gone -%u ldp: %u far +%ld\n", before, r, r ? fault.far - NORMAL : 0);
    }
    trial(s_strx, NORMAL + PAGE - 3, 0, NULL);
    trial(s_stp, NORMAL + PAGE - 8, 0, NULL);
    print("first page after stores that abort: %s\n",
          *(uint64_t *)(a + PAGE - 8) == before_store ? "unchanged" : "changed");
    int r = trial(s_post, NORMAL + 8, 0, &result);
    print_outcome("post-index", r, result - NORMAL);
    r = trial(s_post, NORMAL + PAGE, 0, &result);
    print_outcome("post-index that aborts", r, result);

    /* SP's alignment at EL0, as its code has no handler that needs SP. */
    uint32_t *code = page_alloc();
    code[0] = 0x9100001f; /* mov sp, x0 */
    code[1] = 0xf94003e0; /* ldr x0, [sp] */
    code[2] = stub_svc[0];
    sync_code(code, 12);
    mmu_set(CODE, (uint64_t)code, PTE_NORMAL | PTE_USER | PTE_RO);
    mmu_set(STACK, b, PTE_NORMAL | PTE_USER | PTE_UXN);
    uint64_t sctlr = read_sysreg(sctlr_el1) & ~0x10ul;
    write_sysreg(sctlr_el1, sctlr | 0x10);
    r = trial_el0((const void *)CODE, STACK + 16, 0, &result);
    print_outcome("sp aligned", r, result);
    r = trial_el0((const void *)CODE, STACK + 8, 0, &result);
    print_outcome("sp unaligned", r, result);
    write_sysreg(sctlr_el1, sctlr);
    r = trial_el0((const void *)CODE, STACK + 8, 0, &result);
    print_outcome("sp unaligned, unchecked", r, result);
}
