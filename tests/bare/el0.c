/* SPDX-License-Identifier: Apache-2.0 */
/* EL0: calls, traps, what is undefined there, LDTR and STTR from EL1. */
#include "lib/bare.h"

#define CODE (WINDOW + 0x1000)
#define DATA (WINDOW + 0x2000)

static uint32_t *code;

/* Run one instruction word at EL0 with x0 = a, x1 = b. */
static void one(const char *what, uint32_t word, uint64_t a, bool show)
{
    uint64_t result;
    code[0] = word;
    code[1] = stub_svc[0];
    sync_code(code, 8);
    int r = trial_el0((const void *)CODE, a, 0x5555, &result);
    print_outcome(what, r, show ? result : 0);
}

static void el0_words(void)
{
    one("nop", 0xd503201f, 7, true);
    one("svc 5", 0xd40000a1, 0, true);
    one("brk 9", 0xd4200120, 0, true);
    one("hvc", 0xd4000002, 0, true);
    one("smc", 0xd4000003, 0, true);
    one("udf", 0x00000000, 0, true);
    one("eret", 0xd69f03e0, 0, true);
    one("mrs midr", 0xd5380000, 0, true);
    one("mrs sctlr", 0xd5381000, 0, true);
    one("msr vbar", 0xd518c000, 0, true);
    one("msr spsel", 0xd50040bf, 0, true);
    one("mrs currentel", 0xd5384240, 0, true);
    one("mrs tpidr_el0", 0xd53bd040, 0, true);
    one("msr tpidr_el0", 0xd51bd040, 9, true);
    one("mrs tpidrro", 0xd53bd060, 0, true);
    one("msr tpidrro", 0xd51bd060, 0, true);
    one("mrs nzcv", 0xd53b4200, 0, true);
    one("tlbi", 0xd508871f, 0, true);
    one("at", 0xd5087800, 0, true);
    one("ic iallu", 0xd508751f, 0, true);
    one("dc isw", 0xd5087640, 0, true);
    one("dc ivac", 0xd5087620, 0, true);
}

static void controlled(const char *state)
{
    print("%s\n", state);
    one(" msr daifset", 0xd50341df, 0, true);
    one(" mrs daif", 0xd53b4220, 0, false);
    one(" msr daif", 0xd51b4220, 0, true);
    one(" dc zva", 0xd50b7420, DATA, false);
    one(" mrs ctr", 0xd53b0020, 0, false);
    one(" mrs dczid", 0xd53b00e0, 0, true);
    one(" dc cvau", 0xd50b7b20, DATA, false);
    one(" dc civac", 0xd50b7e20, DATA, false);
    one(" ic ivau", 0xd50b7520, DATA, false);
    one(" mrs cntvct", 0xd53be040, 0, false);
    one(" mrs cntpct", 0xd53be020, 0, false);
    one(" mrs cntfrq", 0xd53be000, 0, false);
    one(" mrs cntv_ctl", 0xd53be320, 0, true);
    one(" msr cntp_cval", 0xd51be240, 0, true);
    one(" fmov", 0x9e660000, 0, false);
    one(" mrs fpcr", 0xd53b4400, 0, true);
}

STUB(s_ldtr, "ldtr x0, [x0]");
STUB(s_sttr, "sttr x1, [x0]");
STUB(s_fp, "fmov x0, d0");

void bare_main(void)
{
    mmu_on();
    code = page_alloc();
    uint64_t data = (uint64_t)page_alloc();
    mmu_set(CODE, (uint64_t)code, PTE_NORMAL | PTE_USER | PTE_RO | PTE_PXN);
    mmu_set(DATA, data, PTE_NORMAL | PTE_USER | PTE_UXN | PTE_PXN);
    write_sysreg(tpidr_el0, 3);
    write_sysreg(tpidrro_el0, 4);
    el0_words();

    uint64_t sctlr = read_sysreg(sctlr_el1);
    uint64_t bits = 1ul << 9 | 1ul << 14 | 1ul << 15 | 1ul << 16 | 1ul << 18 | 1ul << 26;
    write_sysreg(sctlr_el1, sctlr & ~bits);
    write_sysreg(cntkctl_el1, 0);
    write_sysreg(cpacr_el1, 0);
    /* Allowed, it would wait: what wakes it is in gic.c and timers.c. */
    one("wfi", 0xd503207f, 0, true);
    one("wfe", 0xd503205f, 0, true);
    controlled("all trapped");
    write_sysreg(sctlr_el1, sctlr | bits);
    write_sysreg(cntkctl_el1, 0x303);
    write_sysreg(cpacr_el1, 3ul << 20);
    controlled("all allowed");
    write_sysreg(cpacr_el1, 1ul << 20);
    write_sysreg(sctlr_el1, sctlr & ~(1ul << 9));
    one("fmov, el1 only", 0x9e660000, 0, false);
    print_outcome("fp at el1", trial(s_fp, 0, 0, NULL), 0);

    write_sysreg(cpacr_el1, 2ul << 20);
    print_outcome("fp at el1, fpen 2", trial(s_fp, 0, 0, NULL), 0);

    /* What EL0 may, by LDTR and STTR. */
    *(uint64_t *)data = 42;
    uint64_t result;
    for (unsigned ap = 0; ap < 4; ap++) {
        mmu_set(DATA, data, PTE_NORMAL | (uint64_t)ap << 6);
        int r = trial(s_ldtr, DATA, 0, &result);
        print("ap %u ", ap);
        print_outcome("ldtr", r, result);
        r = trial(s_sttr, DATA, 42, &result);
        print("ap %u ", ap);
        print_outcome("sttr", r, 0);
    }
    /* Maintenance by address of what is not mapped, at EL0. */
    write_sysreg(sctlr_el1, sctlr | bits);
    one("ic ivau unmapped", 0xd50b7520, WINDOW + 0x100000, false);
    one("dc zva unmapped", 0xd50b7420, WINDOW + 0x100024, false);
    print(" far +%lx\n", fault.far - WINDOW);
}
