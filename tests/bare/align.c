/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alignment: ordinary accesses on Normal and Device memory, with SCTLR.A, SP,
 * ordered, exclusive and atomic ones; and accesses across a page that faults.
 */
#include "lib/bare.h"

#define NORMAL (WINDOW)
#define DEVICE (WINDOW + 0x10000)

#define STUB(name, insn)                                                                           \
    __asm__(".pushsection .text\n" #name ": " insn "\n\tret\n.popsection\n");                      \
    extern const uint32_t name[]
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
STUB(s_sp, "mov x2, sp\n\tsub sp, sp, #8\n\tldr x0, [sp]\n\tmov sp, x2");

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

    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 8);
    r = trial(s_sp, 0, 0, &result);
    print_outcome("sp alignment", r, 0);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~8ul);
    r = trial(s_sp, 0, 0, &result);
    print_outcome("sp alignment off", r, 0);
}
