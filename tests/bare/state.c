/* SPDX-License-Identifier: Apache-2.0 */
/* The state at entry, PSTATE, stack pointers, illegal returns, and PSCI. */
#include "lib/bare.h"

static uint64_t illegal_return(uint64_t spsr, uint64_t unused)
{
    (void)unused;
    __asm__ volatile("msr spsr_el1, %0\n\tadr x9, 1f\n\tmsr elr_el1, x9\n\teret\n1:" ::"r"(spsr)
                     : "x9", "memory");
    return 1;
}

static uint64_t read_sp_el0_as_current(uint64_t a, uint64_t b)
{
    (void)a, (void)b;
    uint64_t value;
    __asm__ volatile("msr spsel, #0\n\tmrs %0, sp_el0" : "=r"(value));
    return value;
}

static uint64_t fp_at_el1(uint64_t a, uint64_t b)
{
    (void)b;
    __asm__ volatile("fmov d0, %0" ::"r"(a));
    return a;
}

static void second(unsigned cpu)
{
    print("cpu %u: currentel %lx spsel %lx daif %lx sctlr.m %lu\n", cpu, read_sysreg(currentel),
          read_sysreg(spsel), read_sysreg(daif), read_sysreg(sctlr_el1) & 1);
    print("affinity of 1 from itself %ld, on again %ld\n", psci(0xc4000004, 1, 0, 0),
          psci(0xc4000003, 1, 0, 0));
}

static void psci_calls(void)
{
    print("version %s\n", psci(0x84000000, 0, 0, 0) >= 0x10000 ? "1.x" : "old");
    print("affinity of 0 %ld, of 1 %ld, of none %ld\n", psci(0xc4000004, 0, 0, 0),
          psci(0xc4000004, 1, 0, 0), psci(0xc4000004, 0x900, 0, 0));
    print("cpu_on of self %ld, of none %ld\n", psci(0xc4000003, 0, 0, 0),
          psci(0xc4000003, 0x900, 0, 0));
    print("migrate %ld, features of cpu_on %ld, of nothing %ld\n", psci(0x84000006, 0, 0, 0),
          psci(0x8400000a, 0xc4000003, 0, 0), psci(0x8400000a, 0x8400ffff, 0, 0));
    print("unknown %ld\n", psci(0x8400ffff, 0, 0, 0));
    for (unsigned i = 0; i < 3; i++) {
        cpu_start(1, second);
        cpu_wait(1);
        print("affinity of 1 when off %ld\n", psci(0xc4000004, 1, 0, 0));
    }
}

void bare_main(void)
{
    print("currentel %lx spsel %lx daif %lx\n", read_sysreg(currentel), read_sysreg(spsel),
          read_sysreg(daif));
    print("sctlr m %lu a %lu\n", read_sysreg(sctlr_el1) & 1, read_sysreg(sctlr_el1) >> 1 & 1);
    print("cpacr.fpen %lu\n", read_sysreg(cpacr_el1) >> 20 & 3);
    uint64_t result;
    print_outcome("fp", trial(fp_at_el1, 0x1234, 0, &result), 0);
    write_sysreg(cpacr_el1, 3ul << 20);
    print_outcome("fp enabled", trial(fp_at_el1, 0x1234, 0, &result), 0);

    __asm__ volatile("msr daifclr, #5");
    print("daif %lx\n", read_sysreg(daif));
    __asm__ volatile("msr daifset, #15");
    print("daif %lx\n", read_sysreg(daif));
    write_sysreg(nzcv, 0xffffffffffffffff);
    print("nzcv %lx\n", read_sysreg(nzcv));
    write_sysreg(sp_el0, 0x1230);
    print("sp_el0 %lx\n", read_sysreg(sp_el0));
    print_outcome("sp_el0 while it is sp", trial(read_sp_el0_as_current, 0, 0, &result), 0);

    static const struct {
        const char *what;
        uint64_t spsr;
    } returns[] = {
        {"el2h", 0x3c9}, {"el3h", 0x3cd}, {"el0 with sp bit", 0x3c1}, {"reserved", 0x3c2},
        {"aarch32", 0x1d3}, {"il", 0x1003c5}, {"el1h", 0x3c5}};
    for (unsigned i = 0; i < sizeof returns / sizeof returns[0]; i++) {
        int r = trial(illegal_return, returns[i].spsr, 0, &result);
        print_outcome(returns[i].what, r, result);
        if (r)
            print("  spsr %lx\n", fault.spsr & 0xf01003ff);
    }
    psci_calls();
}
