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
    mv_softmmu_set_el(&cpu->mmu, cpu->el);
}

void mv_cpu_update_translation(struct mv_cpu *cpu)
{
    const struct mv_softmmu_registers registers = {
        .sctlr = cpu->sys.sctlr,
        .tcr = cpu->sys.tcr,
        .ttbr = {cpu->sys.ttbr0, cpu->sys.ttbr1},
        .mair = cpu->sys.mair,
    };
    mv_softmmu_set_registers(&cpu->mmu, &registers);
}

uint32_t mv_cpu_pstate(const struct mv_cpu *cpu)
{
    uint32_t nzcv = cpu->jit_flags != 0 ? mv_flags_to_nzcv(cpu->jit_flags) : cpu->nzcv;
    return nzcv | cpu->daif | (cpu->pstate_il ? MV_SPSR_IL : 0) |
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
    cpu->nzcv = pstate & MV_NZCV_ALL;
    cpu->jit_flags = 0;
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

void mv_cpu_reset(struct mv_vcpu *vcpu)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    memset(cpu->x, 0, sizeof cpu->x);
    memset(cpu->v, 0, sizeof cpu->v);
    memset(&cpu->sys, 0, sizeof cpu->sys);
    memset(&cpu->monitor, 0, sizeof cpu->monitor);
    cpu->sp_el[0] = cpu->sp_el[1] = 0;
    cpu->fpcr = cpu->fpsr = 0;
    cpu->pc = 0;
    atomic_store(&cpu->event, false);
    cpu->debug.stepped = cpu->debug.stepped_exclusive = false;
    cpu->exit_wanted = false;
    mv_sysreg_reset(cpu);
    mv_timers_set_state(cpu, &(struct mv_arm64_state){0});
    mv_cpu_set_pstate(cpu, MV_SPSR_EL1 | MV_SPSR_SP | MV_DAIF_ALL);
    mv_sysreg_loaded(cpu);
    mv_code_cache_drop_all(cpu->code);
    /* What asks for attention stays: others may be waiting for their mail to be done. */
}

/* --- the whole state, as the architecture has it */

void mv_cpu_get_state(struct mv_vcpu *vcpu, void *ret)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    struct mv_arm64_state *state = ret;
    uint64_t sp[2] = {cpu->sp_el[0], cpu->sp_el[1]};
    memset(state, 0, sizeof *state);
    memcpy(state->x, cpu->x, sizeof state->x);
    sp[sp_bank(cpu)] = cpu->x[MV_REG_SP];
    state->sp_el0 = sp[0];
    state->sp_el1 = sp[1];
    state->pc = cpu->pc;
    state->pstate = mv_cpu_pstate(cpu);
    state->fpcr = cpu->fpcr;
    state->fpsr = cpu->fpsr;
    memcpy(state->v, cpu->v, sizeof state->v);
    state->sys = cpu->sys;
    state->id = cpu->id;
    mv_timers_get_state(cpu, state);
    state->event = atomic_load(&cpu->event);
    state->monitor = cpu->monitor;
    state->step_valid = cpu->debug.stepped;
    state->step_exclusive = cpu->debug.stepped_exclusive;
}

int mv_cpu_set_state(struct mv_vcpu *vcpu, const void *opaque, struct mv_error *err)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    const struct mv_arm64_state *state = opaque;
    struct mv_arm64_state own;
    mv_cpu_get_state(vcpu, &own);
    int r = mv_arch_check(&mv_arm64, state, &own, err);
    if (r < 0)
        return r;
    memcpy(cpu->x, state->x, sizeof state->x);
    mv_cpu_set_pstate(cpu, state->pstate);
    const uint64_t sp[2] = {state->sp_el0, state->sp_el1};
    cpu->x[MV_REG_SP] = sp[sp_bank(cpu)];
    memcpy(cpu->sp_el, sp, sizeof sp);
    cpu->pc = state->pc;
    cpu->fpcr = state->fpcr;
    cpu->fpsr = state->fpsr;
    memcpy(cpu->v, state->v, sizeof state->v);
    if (memcmp(&cpu->sys, &state->sys, sizeof cpu->sys) != 0) {
        cpu->sys = state->sys;
        mv_sysreg_loaded(cpu);
    }
    mv_timers_set_state(cpu, state);
    atomic_store(&cpu->event, state->event);
    cpu->monitor = state->monitor;
    cpu->debug.stepped = state->step_valid;
    cpu->debug.stepped_exclusive = state->step_exclusive;
    return 0;
}
