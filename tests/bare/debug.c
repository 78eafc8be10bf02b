/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own breakpoints, watchpoints and software step (Arm ARM D2). */
#include "lib/bare.h"

#define CODE (WINDOW + 0x1000)
#define DATA (WINDOW + 0x2000)
#define MDE (1u << 15)
#define KDE (1u << 13)
#define SS 1u
#define SPSR_SS (1u << 21)
#define SPSR_D (1u << 9)

#define BCR(pmc, bt, lbn) (1u | (pmc) << 1 | 0xfu << 5 | (lbn) << 16 | (bt) << 20)
#define WCR(pac, lsc, bas, mask) (1u | (pac) << 1 | (lsc) << 3 | (bas) << 5 | (mask) << 24)

static uint32_t *code;
static uint8_t *data;

STUB(s_unmask_call, "msr daifclr, #8\n\tmov x9, x30\n\tblr x0\n\tmov x30, x9\n\tmsr daifset, #8");
STUB(s_masked_call, "mov x9, x30\n\tblr x0\n\tmov x30, x9");

static void debug_off(void)
{
    write_sysreg(mdscr_el1, 0);
    write_sysreg(dbgbcr0_el1, 0);
    write_sysreg(dbgbcr1_el1, 0);
    write_sysreg(dbgbcr4_el1, 0);
    write_sysreg(dbgbcr5_el1, 0);
    write_sysreg(dbgwcr0_el1, 0);
    write_sysreg(dbgwcr1_el1, 0);
}

static void fill_code(void)
{
    for (unsigned i = 0; i < 16; i++)
        code[i] = 0xd503201f;
    code[16] = 0xd65f03c0;
    sync_code(code, 17 * 4);
}

static void outcome(const char *what, int faulted)
{
    if (faulted)
        print("%s: vector %u esr %lx elr +%lx\n", what, fault.vector, fault.esr, fault.elr - CODE);
    else
        print("%s: passed\n", what);
}

static void run_el1(const char *what)
{
    outcome(what, trial(s_unmask_call, CODE, 0, NULL));
}

static void run_el0(const char *what)
{
    uint64_t result;
    code[16] = stub_svc[0];
    sync_code(code, 17 * 4);
    int faulted = trial_el0((const void *)CODE, 0, 0, &result);
    fill_code();
    outcome(what, faulted);
}

static void breakpoints(void)
{
    print("breakpoints\n");
    write_sysreg(dbgbvr0_el1, CODE + 8);
    write_sysreg(dbgbcr0_el1, BCR(3u, 0u, 0u));
    run_el1(" mde off");
    write_sysreg(mdscr_el1, MDE);
    run_el1(" kde off");
    run_el0(" kde off, el0");
    write_sysreg(mdscr_el1, MDE | KDE);
    run_el1(" on");
    run_el0(" on, el0");
    outcome(" masked", trial(s_masked_call, CODE, 0, NULL));
    write_sysreg(oslar_el1, 1);
    run_el1(" os lock");
    run_el0(" os lock, el0");
    write_sysreg(oslar_el1, 0);
    for (unsigned pmc = 0; pmc < 4; pmc++) {
        write_sysreg(dbgbcr0_el1, BCR(pmc, 0u, 0u));
        print(" pmc %u", pmc);
        run_el1(" el1");
        print(" pmc %u", pmc);
        run_el0(" el0");
    }
    write_sysreg(dbgbcr0_el1, BCR(3u, 0u, 0u) & ~1u);
    run_el1(" not enabled");
    write_sysreg(dbgbcr0_el1, BCR(3u, 0u, 0u) | 1u << 14);
    run_el1(" ssc 1");
    write_sysreg(dbgbcr0_el1, BCR(3u, 0u, 0u) | 2u << 14);
    run_el1(" ssc 2");
    /* The first and the last instruction, two at once. */
    write_sysreg(dbgbvr0_el1, CODE);
    write_sysreg(dbgbcr0_el1, BCR(1u, 0u, 0u));
    run_el1(" first");
    write_sysreg(dbgbvr0_el1, CODE + 64);
    write_sysreg(dbgbvr1_el1, CODE + 60);
    write_sysreg(dbgbcr1_el1, BCR(1u, 0u, 0u));
    run_el1(" two");
    write_sysreg(dbgbcr1_el1, 0);
    run_el1(" last");
    /* Code that ran before is met by a breakpoint that is set later. */
    debug_off();
}

static void contexts(void)
{
    print("contexts\n");
    uint64_t before = read_sysreg(contextidr_el1);
    write_sysreg(mdscr_el1, MDE | KDE);
    write_sysreg(contextidr_el1, 77);
    write_sysreg(dbgbvr4_el1, 77);
    write_sysreg(dbgbcr4_el1, BCR(3u, 3u, 0u));
    run_el1(" linked alone");
    write_sysreg(dbgbvr0_el1, CODE + 12);
    write_sysreg(dbgbcr0_el1, BCR(3u, 1u, 4u));
    run_el1(" linked");
    write_sysreg(contextidr_el1, 78);
    run_el1(" linked, other context");
    write_sysreg(contextidr_el1, 77);
    write_sysreg(dbgbcr4_el1, BCR(3u, 3u, 0u) & ~1u);
    run_el1(" linked to none");
    write_sysreg(dbgbcr0_el1, 0);
    write_sysreg(dbgbvr5_el1, 77);
    write_sysreg(dbgbcr5_el1, BCR(2u, 2u, 0u));
    run_el0(" context alone, el0");
    write_sysreg(dbgbcr5_el1, 0);
    debug_off();
    write_sysreg(contextidr_el1, before);
}

/* --- watchpoints */

STUB(w_ldrb, "ldrb w0, [x0]");
STUB(w_ldr, "ldr x0, [x0]");
STUB(w_ldr_q, "ldr q0, [x0]");
STUB(w_ldp, "ldp x0, x2, [x0]");
STUB(w_ldp_q, "ldp q0, q1, [x0]");
STUB(w_ld1, "ld1 {v0.16b, v1.16b}, [x0]");
STUB(w_ldxr, "ldxr x0, [x0]");
STUB(w_ldar, "ldar x0, [x0]");
STUB(w_ldtr, "ldtr x0, [x0]");
STUB(w_strb, "strb w1, [x0]");
STUB(w_str, "str x1, [x0]");
STUB(w_str_q, "str q0, [x0]");
STUB(w_stp, "stp x1, x1, [x0]");
STUB(w_st1, "st1 {v0.16b, v1.16b}, [x0]");
STUB(w_stlr, "stlr x1, [x0]");
STUB(w_sttr, "sttr x1, [x0]");
STUB(w_ldadd, "ldadd x1, x2, [x0]");
STUB(w_cas, "mov x2, #1\n\tcas x2, x1, [x0]");
STUB(w_zva, "dc zva, x0");
STUB(w_cvac, "dc cvac, x0");
STUB(w_prfm, "prfm pldl1keep, [x0]");

static const struct {
    const char *name;
    const void *code;
} accesses[] = {
    {"ldrb", w_ldrb},   {"ldr", w_ldr},   {"ldr q", w_ldr_q}, {"ldp", w_ldp},   {"ldp q", w_ldp_q},
    {"ld1", w_ld1},     {"ldxr", w_ldxr}, {"ldar", w_ldar},   {"ldtr", w_ldtr}, {"strb", w_strb},
    {"str", w_str},     {"str q", w_str_q}, {"stp", w_stp},   {"st1", w_st1},   {"stlr", w_stlr},
    {"sttr", w_sttr},   {"ldadd", w_ldadd}, {"cas", w_cas},   {"zva", w_zva},   {"cvac", w_cvac},
    {"prfm", w_prfm},
};
#define ACCESSES (sizeof accesses / sizeof accesses[0])

static uint64_t watched_address;
static const void *watched_code;

static uint64_t unmasked_access(void)
{
    uint64_t result;
    __asm__ volatile("msr daifclr, #8\n\tmov x0, %1\n\tmov x1, #1\n\tblr %2\n\t"
                     "msr daifset, #8\n\tmov %0, x0"
                     : "=r"(result)
                     : "r"(watched_address), "r"(watched_code)
                     : "x0", "x1", "x2", "x30", "v0", "v1", "memory");
    return result;
}

static void access(const char *what, const char *name, const void *stub, uint64_t address)
{
    watched_address = address;
    watched_code = stub;
    *(uint64_t *)(data + ((address - DATA) & 0xff8)) = 0;
    int faulted = trial((const void *)unmasked_access, 0, 0, NULL);
    print("%s %s +%lx: ", what, name, address - DATA);
    if (faulted)
        print("vector %u esr %lx far %lx\n", fault.vector, fault.esr, fault.far - DATA);
    else
        print("passed\n");
}

static void all_accesses(const char *what, uint64_t address)
{
    for (unsigned i = 0; i < ACCESSES; i++)
        access(what, accesses[i].name, accesses[i].code, address);
}

static void watchpoints(void)
{
    print("watchpoints\n");
    write_sysreg(mdscr_el1, MDE | KDE);
    write_sysreg(dbgwvr0_el1, DATA + 64);
    write_sysreg(dbgwcr0_el1, WCR(1u, 3u, 0xffu, 0u));
    all_accesses(" both", DATA + 64);
    write_sysreg(dbgwcr0_el1, WCR(1u, 1u, 0xffu, 0u));
    all_accesses(" loads", DATA + 64);
    write_sysreg(dbgwcr0_el1, WCR(1u, 2u, 0xffu, 0u));
    all_accesses(" stores", DATA + 64);
    write_sysreg(dbgwcr0_el1, WCR(2u, 3u, 0xffu, 0u));
    all_accesses(" el0", DATA + 64);
    write_sysreg(dbgwcr0_el1, WCR(0u, 3u, 0xffu, 0u));
    access(" nobody", "ldr", w_ldr, DATA + 64);
    /* Bytes. */
    for (unsigned bas = 1; bas < 0x100; bas <<= 1) {
        write_sysreg(dbgwcr0_el1, WCR(1u, 3u, bas, 0u));
        print(" bas %x\n", bas);
        access(" ", "ldrb", w_ldrb, DATA + 64);
        access(" ", "ldrb", w_ldrb, DATA + 71);
        access(" ", "ldr", w_ldr, DATA + 64);
        access(" ", "str", w_str, DATA + 60);
        access(" ", "ldr", w_ldr, DATA + 68);
    }
    write_sysreg(dbgwcr0_el1, WCR(1u, 3u, 0x3cu, 0u));
    access(" bas 3c", "ldrb", w_ldrb, DATA + 65);
    access(" bas 3c", "ldrb", w_ldrb, DATA + 66);
    access(" bas 3c", "ldrb", w_ldrb, DATA + 69);
    access(" bas 3c", "ldrb", w_ldrb, DATA + 70);
    /* The second half of a pair; one that begins before. */
    write_sysreg(dbgwcr0_el1, WCR(1u, 3u, 0xffu, 0u));
    all_accesses(" behind", DATA + 56);
    all_accesses(" far behind", DATA + 48);
    all_accesses(" beyond", DATA + 72);
    /* Ranges by mask. */
    for (unsigned mask = 3; mask < 13; mask += 3) {
        write_sysreg(dbgwvr0_el1, DATA + 0x800);
        write_sysreg(dbgwcr0_el1, WCR(1u, 3u, 0xffu, mask));
        print(" mask %u\n", mask);
        access(" ", "ldrb", w_ldrb, DATA + 0x7ff);
        access(" ", "ldrb", w_ldrb, DATA + 0x800);
        access(" ", "strb", w_strb, DATA + 0x7ff + (1u << mask));
        access(" ", "strb", w_strb, DATA + ((0x800 + (1u << mask)) & 0xfff));
    }
    /* Off, one by one. */
    write_sysreg(mdscr_el1, KDE);
    access(" mde off", "ldrb", w_ldrb, DATA + 0x800);
    write_sysreg(mdscr_el1, MDE);
    access(" kde off", "ldrb", w_ldrb, DATA + 0x800);
    write_sysreg(mdscr_el1, MDE | KDE);
    write_sysreg(oslar_el1, 1);
    access(" os lock", "ldrb", w_ldrb, DATA + 0x800);
    write_sysreg(oslar_el1, 0);
    access(" on", "ldrb", w_ldrb, DATA + 0x800);
    /* An abort comes before. */
    mmu_set(DATA, (uint64_t)data, PTE_NORMAL | PTE_RO);
    access(" read-only", "strb", w_strb, DATA + 0x800);
    access(" read-only", "ldrb", w_ldrb, DATA + 0x800);
    mmu_set(DATA, (uint64_t)data, PTE_NORMAL | PTE_USER);
    debug_off();
}

/* --- software step */

static unsigned steps;
static bool advance_only;

/* BRK #1 begins to step, BRK #2 ends it; each step is told. */
static bool step_handler(unsigned vector, struct frame *frame)
{
    uint64_t ec = frame->esr >> 26;
    if (ec == 0x3c && (frame->esr & 0xffff) == 1) {
        write_sysreg(mdscr_el1, SS | KDE);
        frame->spsr = (frame->spsr & ~(uint64_t)SPSR_D) | (advance_only ? 0 : SPSR_SS);
        frame->elr += 4;
        return true;
    }
    if (ec == 0x3c && (frame->esr & 0xffff) == 2) {
        print("  end, vector %u ss %lu\n", vector, frame->spsr >> 21 & 1);
        write_sysreg(mdscr_el1, 0);
        frame->spsr = (frame->spsr | SPSR_D) & ~(uint64_t)SPSR_SS;
        frame->elr += 4;
        return true;
    }
    if (ec == 0x15 && vector == 4) {
        print("  svc, ss %lu\n", frame->spsr >> 21 & 1);
        return true;
    }
    if (ec != 0x32 && ec != 0x33)
        return false;
    print("  step: vector %u esr %lx elr +%lx ss %lu\n", vector, frame->esr,
          frame->elr - CODE, frame->spsr >> 21 & 1);
    if (++steps < 64)
        frame->spsr |= SPSR_SS;
    else
        write_sysreg(mdscr_el1, 0);
    return true;
}

static void step_code(const uint32_t *words, unsigned count, bool el0)
{
    for (unsigned i = 0; i < count; i++)
        code[i] = words[i];
    code[count] = el0 ? stub_svc[0] : 0xd65f03c0;
    sync_code(code, (count + 1) * 4);
    uint64_t result;
    steps = 0;
    int faulted = el0 ? trial_el0((const void *)CODE, DATA + 128, 0, &result)
                      : trial((const void *)CODE, DATA + 128, 0, &result);
    outcome(el0 ? "  at el0" : "  at el1", faulted);
}

#define BRK(n) (0xd4200000 | (n) << 5)
#define NOP 0xd503201f
static const uint32_t straight[] = {BRK(1), NOP, 0xd2800022 /* mov x2, #1 */, NOP, BRK(2)};
static const uint32_t branches[] = {
    BRK(1),
    0xd2800042, /* mov x2, #2 */
    0xd1000442, /* sub x2, x2, #1 */
    0xb5ffffe2, /* cbnz x2, -4 */
    0x14000002, /* b +8 */
    NOP,
    0x10000063, /* adr x3, +12 */
    0xd61f0060, /* br x3 */
    NOP,
    BRK(2),
};
static const uint32_t memory_words[] = {
    BRK(1),
    0xf9400004, /* ldr x4, [x0] */
    0xc85f7c05, /* ldxr x5, [x0] */
    0xc8067c05, /* stxr w6, x5, [x0] */
    0xc87f1805, /* ldxp x5, x6, [x0] */
    0xf9000004, /* str x4, [x0] */
    BRK(2),
};
static const uint32_t calls[] = {BRK(1), 0xd40000a1 /* svc #5 */, NOP, BRK(2)};
static const uint32_t undefined[] = {BRK(1), NOP, 0x00000000, BRK(2)};

static void software_step(void)
{
    sync_handler = step_handler;
    for (unsigned el0 = 0; el0 < 2; el0++) {
        print("step, straight\n");
        step_code(straight, sizeof straight / 4, el0);
        print("step, branches\n");
        step_code(branches, sizeof branches / 4, el0);
        print("step, memory\n");
        step_code(memory_words, sizeof memory_words / 4, el0);
        print("step, an undefined instruction\n");
        step_code(undefined, sizeof undefined / 4, el0);
        debug_off();
        advance_only = true;
        print("step, ss clear\n");
        step_code(straight, sizeof straight / 4, el0);
        advance_only = false;
    }
    print("step, a call\n");
    step_code(calls, sizeof calls / 4, false);
    sync_handler = NULL;
    debug_off();
}

void bare_main(void)
{
    mmu_on();
    code = page_alloc();
    data = page_alloc();
    mmu_set(CODE, (uint64_t)code, PTE_NORMAL | PTE_USER | PTE_RO);
    mmu_set(DATA, (uint64_t)data, PTE_NORMAL | PTE_USER);
    write_sysreg(cpacr_el1, 3ul << 20);
    write_sysreg(oslar_el1, 0);
    print("breakpoints %lu watchpoints %lu contexts %lu\n",
          read_sysreg(id_aa64dfr0_el1) >> 12 & 15, read_sysreg(id_aa64dfr0_el1) >> 20 & 15,
          read_sysreg(id_aa64dfr0_el1) >> 28 & 15);
    print("mdccsr %lx\n", read_sysreg(mdccsr_el0));
    fill_code();
    breakpoints();
    contexts();
    watchpoints();
    software_step();
}
