/* SPDX-License-Identifier: Apache-2.0 */
/* PSTATE, reset, and what follows from the exception level (Arm ARM D1). */
#include "cpu.h"

#include "code-cache.h"

#include <string.h>

#define CPACR_FPEN(cpacr) ((cpacr) >> 20 & 3)

void mv_cpu_update_context(struct mv_cpu *cpu)
{
    unsigned fpen = CPACR_FPEN(cpu->sys.cpacr);
    cpu->fp_enabled = fpen == 3 || (fpen == 1 && cpu->el == 1);
    cpu->tlb[0] = &cpu->tlbs.low[cpu->tlbs.slot][cpu->el];
    cpu->tlb[1] = &cpu->tlbs.high[cpu->el];
}

uint32_t mv_cpu_pstate(const struct mv_cpu *cpu)
{
    return cpu->nzcv | cpu->daif | (cpu->pstate_il ? MV_SPSR_IL : 0) |
           (cpu->pstate_ss ? MV_SPSR_SS : 0) | (uint32_t)cpu->el << 2 |
           (cpu->el == 1 ? cpu->spsel : 0);
}

/* Which banked stack pointer is in x[MV_REG_SP]. */
static unsigned sp_bank(const struct mv_cpu *cpu)
{
    return cpu->el == 1 && cpu->spsel;
}

void mv_cpu_set_pstate(struct mv_cpu *cpu, uint32_t pstate)
{
    cpu->sp_el[sp_bank(cpu)] = cpu->x[MV_REG_SP];
    cpu->nzcv = pstate & 0xf0000000;
    cpu->daif = pstate & MV_DAIF_ALL;
    cpu->pstate_il = pstate & MV_SPSR_IL;
    cpu->pstate_ss = pstate & MV_SPSR_SS;
    cpu->el = pstate >> 2 & 1;
    cpu->spsel = pstate & 1;
    cpu->x[MV_REG_SP] = cpu->sp_el[sp_bank(cpu)];
    mv_cpu_update_context(cpu);
}

void mv_cpu_set_spsel(struct mv_cpu *cpu, unsigned spsel)
{
    cpu->sp_el[sp_bank(cpu)] = cpu->x[MV_REG_SP];
    cpu->spsel = (uint8_t)spsel;
    cpu->x[MV_REG_SP] = cpu->sp_el[sp_bank(cpu)];
}

void mv_cpu_reset(struct mv_cpu *cpu)
{
    memset(cpu->x, 0, sizeof cpu->x);
    memset(cpu->v, 0, sizeof cpu->v);
    memset(&cpu->sys, 0, sizeof cpu->sys);
    memset(&cpu->monitor, 0, sizeof cpu->monitor);
    cpu->sp_el[0] = cpu->sp_el[1] = 0;
    cpu->fpcr = cpu->fpsr = 0;
    cpu->pc = 0;
    cpu->exit_wanted = false;
    mv_sysreg_reset(cpu);
    mv_timers_reset(cpu);
    mv_cpu_set_pstate(cpu, 0x5 | MV_DAIF_ALL);
    mv_debug_update(cpu); /* flushes the TLB */
    mv_code_cache_drop_all(cpu->code);
    /* What asks for attention stays: others may be waiting for their mail to be done. */
}

#define FIELD(name, type) MV_STATE_ANY(#name, struct mv_cpu, name, type)
#define SYSREG(name) MV_STATE_ANY(#name, struct mv_cpu, sys.name, MV_STATE_U64)
static const struct mv_state_field cpu_fields[] = {
    MV_STATE_ANY("x", struct mv_cpu, x, MV_STATE_U64),
    FIELD(pc, MV_STATE_U64),
    FIELD(nzcv, MV_STATE_U32),
    FIELD(daif, MV_STATE_U32),
    FIELD(el, MV_STATE_U8),
    FIELD(spsel, MV_STATE_U8),
    MV_STATE_FLAG("pstate_il", struct mv_cpu, pstate_il),
    MV_STATE_FLAG("pstate_ss", struct mv_cpu, pstate_ss),
    MV_STATE_ANY("sp_el", struct mv_cpu, sp_el, MV_STATE_U64),
    MV_STATE_ANY("v", struct mv_cpu, v, MV_STATE_U64),
    FIELD(fpcr, MV_STATE_U32),
    FIELD(fpsr, MV_STATE_U32),
    SYSREG(sctlr),
    SYSREG(actlr),
    SYSREG(cpacr),
    SYSREG(ttbr0),
    SYSREG(ttbr1),
    SYSREG(tcr),
    SYSREG(mair),
    SYSREG(amair),
    SYSREG(vbar),
    SYSREG(contextidr),
    SYSREG(esr),
    SYSREG(far),
    SYSREG(afsr0),
    SYSREG(afsr1),
    SYSREG(elr),
    SYSREG(spsr),
    SYSREG(par),
    SYSREG(tpidr_el0),
    SYSREG(tpidrro_el0),
    SYSREG(tpidr_el1),
    SYSREG(cntkctl),
    SYSREG(cntfrq),
    SYSREG(csselr),
    SYSREG(mdscr),
    SYSREG(osdlr),
    SYSREG(oslsr),
    SYSREG(mdccint),
    SYSREG(dbgclaim),
    MV_STATE_ANY("dbgbvr", struct mv_cpu, sys.dbgbvr, MV_STATE_U64),
    MV_STATE_ANY("dbgbcr", struct mv_cpu, sys.dbgbcr, MV_STATE_U64),
    MV_STATE_ANY("dbgwvr", struct mv_cpu, sys.dbgwvr, MV_STATE_U64),
    MV_STATE_ANY("dbgwcr", struct mv_cpu, sys.dbgwcr, MV_STATE_U64),
    FIELD(timers.timer[MV_TIMER_VIRTUAL].ctl, MV_STATE_U64),
    FIELD(timers.timer[MV_TIMER_VIRTUAL].cval, MV_STATE_U64),
    FIELD(timers.timer[MV_TIMER_PHYSICAL].ctl, MV_STATE_U64),
    FIELD(timers.timer[MV_TIMER_PHYSICAL].cval, MV_STATE_U64),
};
const struct mv_state_table mv_cpu_state = MV_STATE_TABLE(struct mv_cpu, "a64-cpu", 1, cpu_fields);
