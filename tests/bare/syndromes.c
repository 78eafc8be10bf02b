/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syndrome of every kind of access, at every alignment, in pages of every
 * state and across two of them, with SCTLR.A off and on.  What it is to be is
 * worked out here from the Arm ARM: in this order (D1.3.5) the alignment that
 * the instruction or SCTLR.A wants, translation by page, access flag,
 * permission, and the alignment that Device memory wants.  QEMU checks some of
 * this otherwise, so it is the manual that counts: the program prints what
 * differs from it behind a mark, and how many cases there were.
 */
#include "lib/bare.h"

#define FIRST (WINDOW)
#define SECOND (WINDOW + PAGE)

#define FSC_TRANSLATION 0x07
#define FSC_ACCESS_FLAG 0x0b
#define FSC_PERMISSION 0x0f
#define FSC_ALIGNMENT 0x21
#define ISS_WNR (1u << 6)

enum { READ = 1, WRITE = 2, ALIGNED = 4 }; /* ALIGNED: whatever SCTLR.A says */

#define LSE ".arch_extension lse\n\t"
#define SIMD ".arch_extension simd\n\t"
/* Each leaves its base register and what it loads as they are where it faults. */
STUB(y_ldrb, "ldrb w2, [x0]");
STUB(y_ldrh, "ldrh w2, [x0]");
STUB(y_ldrsw, "ldrsw x2, [x0]");
STUB(y_ldr_post, "ldr x2, [x0], #8");
STUB(y_ldr_q, SIMD "ldr q0, [x0]");
STUB(y_ldr_d, SIMD "ldr d0, [x0]");
STUB(y_ldtr, "ldr w2, [x0]");
STUB(y_ldp_w, "ldp w2, w3, [x0]");
STUB(y_ldp_x, "ldp x2, x3, [x0], #16");
STUB(y_ldp_q, SIMD "ldp q0, q1, [x0]");
STUB(y_ld1_b, SIMD "ld1 {v0.16b}, [x0]");
STUB(y_ld1_d, SIMD "ld1 {v0.2d}, [x0]");
STUB(y_ld4_h, SIMD "ld4 {v0.4h-v3.4h}, [x0]");
STUB(y_ld1_lane, SIMD "ld1 {v0.s}[1], [x0]");
STUB(y_ldar, "ldar x2, [x0]");
STUB(y_ldxr, "ldxr w2, [x0]\n\tclrex");
STUB(y_ldxp, "ldxp x2, x3, [x0]\n\tclrex");
STUB(y_strb, "strb w1, [x0]");
STUB(y_strh, "strh w1, [x0]");
STUB(y_str_w, "str w1, [x0]");
STUB(y_str_x, "str x1, [x0]");
STUB(y_str_q, SIMD "str q0, [x0]");
STUB(y_stp_w, "stp w1, w1, [x0]");
STUB(y_stp_x, "stp x1, x1, [x0]");
STUB(y_stp_q, SIMD "stp q0, q0, [x0]");
STUB(y_st1_b, SIMD "st1 {v0.16b}, [x0]");
STUB(y_st1_d, SIMD "st1 {v0.2d}, [x0]");
STUB(y_st4_h, SIMD "st4 {v0.4h-v3.4h}, [x0]");
STUB(y_st4_d, SIMD "st4 {v0.2d-v3.2d}, [x0]");
STUB(y_stlr, "stlr w1, [x0]");
STUB(y_stxr, "stxr w2, x1, [x0]");
STUB(y_ldadd, LSE "ldadd w1, w2, [x0]");
STUB(y_ldset, LSE "ldsetal x1, x2, [x0]");
STUB(y_swp, LSE "swph w1, w2, [x0]");
STUB(y_cas, LSE "mov x2, #1\n\tcas x2, x1, [x0]");
STUB(y_casp, LSE "mov x2, #1\n\tmov x3, #1\n\tmov x4, #1\n\tmov x5, #1\n\tcasp x2, x3, x4, x5, [x0]");

static const struct form {
    const char *name;
    const uint32_t *stub;
    uint8_t bytes;   /* in all */
    uint8_t element; /* what alignment goes by */
    uint8_t kind;
} forms[] = {
    {"ldrb", y_ldrb, 1, 1, READ},
    {"ldrh", y_ldrh, 2, 2, READ},
    {"ldrsw", y_ldrsw, 4, 4, READ},
    {"ldr x, post", y_ldr_post, 8, 8, READ},
    {"ldr d", y_ldr_d, 8, 8, READ},
    {"ldr q", y_ldr_q, 16, 16, READ},
    {"ldr w", y_ldtr, 4, 4, READ},
    {"ldp w", y_ldp_w, 8, 4, READ},
    {"ldp x, post", y_ldp_x, 16, 8, READ},
    {"ldp q", y_ldp_q, 32, 16, READ},
    {"ld1 16b", y_ld1_b, 16, 1, READ},
    {"ld1 2d", y_ld1_d, 16, 8, READ},
    {"ld4 4h", y_ld4_h, 32, 2, READ},
    {"ld1 lane", y_ld1_lane, 4, 4, READ},
    {"ldar", y_ldar, 8, 8, READ | ALIGNED},
    {"ldxr", y_ldxr, 4, 4, READ | ALIGNED},
    {"ldxp", y_ldxp, 16, 16, READ | ALIGNED},
    {"strb", y_strb, 1, 1, WRITE},
    {"strh", y_strh, 2, 2, WRITE},
    {"str w", y_str_w, 4, 4, WRITE},
    {"str x", y_str_x, 8, 8, WRITE},
    {"str q", y_str_q, 16, 16, WRITE},
    {"stp w", y_stp_w, 8, 4, WRITE},
    {"stp x", y_stp_x, 16, 8, WRITE},
    {"stp q", y_stp_q, 32, 16, WRITE},
    {"st1 16b", y_st1_b, 16, 1, WRITE},
    {"st1 2d", y_st1_d, 16, 8, WRITE},
    {"st4 4h", y_st4_h, 32, 2, WRITE},
    {"st4 2d", y_st4_d, 64, 8, WRITE},
    {"stlr", y_stlr, 4, 4, WRITE | ALIGNED},
    {"stxr", y_stxr, 8, 8, WRITE | ALIGNED},
    {"ldadd", y_ldadd, 4, 4, READ | WRITE | ALIGNED},
    {"ldset", y_ldset, 8, 8, READ | WRITE | ALIGNED},
    {"swph", y_swp, 2, 2, READ | WRITE | ALIGNED},
    {"cas", y_cas, 8, 8, READ | WRITE | ALIGNED},
    {"casp", y_casp, 16, 16, READ | WRITE | ALIGNED},
};

static const struct state {
    const char *name;
    uint64_t bits; /* of a page's descriptor; 0: invalid */
} states[] = {
    {"normal", PTE_NORMAL},
    {"invalid", 0},
    {"read-only", PTE_NORMAL | PTE_RO},
    {"no access flag", PTE_PAGE | PTE_SH},
    {"device", PTE_PAGE | PTE_ATTR(ATTR_DEVICE) | PTE_AF},
};
#define STATES (sizeof states / sizeof states[0])

static uint64_t pages[2];
static unsigned cases, wrong;

static bool is_device(const struct state *state)
{
    return state->bits & PTE_VALID && state == &states[4];
}

/* The fault that translation finds in a page; 0: none. */
static uint32_t fault_of(const struct state *state, unsigned kind)
{
    if (!(state->bits & PTE_VALID))
        return FSC_TRANSLATION;
    if (!(state->bits & PTE_AF))
        return FSC_ACCESS_FLAG;
    return (state->bits & PTE_RO) && (kind & WRITE) ? FSC_PERMISSION : 0;
}

/* The status code that the manual wants, or 0, and where FAR is to point. */
static uint32_t expect(const struct form *form, const struct state *in[2], uint64_t va,
                       bool checked, uint64_t *ret_far)
{
    bool misaligned = va & (form->element - 1);
    bool crosses = va + form->bytes > SECOND && va < SECOND;
    const struct state *first = in[va >= SECOND];
    *ret_far = va;
    if (misaligned && (checked || (form->kind & ALIGNED)))
        return FSC_ALIGNMENT;
    uint32_t fsc = fault_of(first, form->kind);
    if (fsc == 0 && crosses) {
        *ret_far = SECOND;
        fsc = fault_of(in[1], form->kind);
    }
    if (fsc != 0)
        return fsc;
    *ret_far = va;
    return misaligned && (is_device(first) || (crosses && is_device(in[1]))) ? FSC_ALIGNMENT : 0;
}

static uint32_t wnr(const struct form *form, uint32_t fsc)
{
    if ((form->kind & (READ | WRITE)) == (READ | WRITE))
        return fsc == FSC_PERMISSION ? ISS_WNR : 0;
    return form->kind & WRITE ? ISS_WNR : 0;
}

static void one(const struct form *form, const struct state *in[2], uint64_t va, bool checked)
{
    uint64_t result = 0, want_far;
    uint32_t want = expect(form, in, va, checked, &want_far);
    int faulted = trial(form->stub, va, 0, &result);
    cases++;
    uint32_t got = faulted ? (uint32_t)fault.esr & 0x1ffffff : 0;
    bool right = want == 0 ? !faulted
                           : faulted && fault.esr >> 26 == 0x25 && got == (want | wnr(form, want)) &&
                                 fault.far == want_far;
    if (right)
        return;
    if (wrong++ < 40)
        print("! %s at +%lu, %s then %s, A %u: want %x far +%lu; %s %x far +%lu\n", form->name,
              va - FIRST, in[0]->name, in[1]->name, checked, want ? want | wnr(form, want) : 0,
              want_far - FIRST, faulted ? "got" : "no fault", got, faulted ? fault.far - FIRST : 0);
}

void bare_main(void)
{
    static const uint16_t offsets[] = {0, 1, 4, 8, 12, 16, 4032, 4066, 4068, 4072,
                                       4080, 4084, 4088, 4092, 4094, 4095, 4096, 4097};
    mmu_on();
    write_sysreg(cpacr_el1, read_sysreg(cpacr_el1) | 3u << 20);
    __asm__ volatile("isb");
    for (unsigned i = 0; i < 2; i++)
        pages[i] = (uint64_t)page_alloc();
    uint64_t sctlr = read_sysreg(sctlr_el1);
    for (unsigned checked = 0; checked < 2; checked++) {
        write_sysreg(sctlr_el1, checked ? sctlr | 2 : sctlr & ~2ul);
        __asm__ volatile("isb");
        for (unsigned pair = 0; pair < STATES * STATES; pair++) {
            const struct state *in[2] = {&states[pair / STATES], &states[pair % STATES]};
            for (unsigned i = 0; i < 2; i++)
                *mmu_entry(FIRST + i * PAGE, 3) = in[i]->bits ? pages[i] | in[i]->bits : 0;
            tlbi_all();
            for (unsigned f = 0; f < sizeof forms / sizeof forms[0]; f++)
                for (unsigned o = 0; o < sizeof offsets / sizeof offsets[0]; o++)
                    one(&forms[f], in, FIRST + offsets[o], checked);
        }
    }
    write_sysreg(sctlr_el1, sctlr);
    print("%u cases, %u not as the manual has it\n", cases, wrong);

    /* EL1 is the highest level here, so the frequency may be said by it. */
    uint64_t hz = read_sysreg(cntfrq_el0);
    write_sysreg(cntfrq_el0, 1000000);
    print("cntfrq %lu\n", read_sysreg(cntfrq_el0));
    write_sysreg(cntfrq_el0, hz);
}
