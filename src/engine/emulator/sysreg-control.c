/* SPDX-License-Identifier: Apache-2.0 */
/* Control, exception, translation and PSTATE registers (Arm ARM D17.2, C5.2). */
#include "cpu.h"
#include "exception.h"
#include "sysreg.h"

#include <stddef.h>

void mv_sysreg_loaded(struct mv_cpu *cpu)
{
    mv_cpu_update_translation(cpu);
    mv_cpu_update_context(cpu);
    mv_debug_update(cpu); /* flushes the TLB */
}

static bool write_sctlr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)op;
    cpu->sys.sctlr = value | MV_SCTLR_RES1;
    mv_cpu_update_translation(cpu);
    return true;
}

/* TTBR0, TTBR1, TCR, MAIR. */
static bool write_translation(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    *(uint64_t *)((char *)cpu + mv_sysreg_of(op)->offset) = value;
    mv_cpu_update_translation(cpu);
    return true;
}

static bool write_cpacr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)op;
    cpu->sys.cpacr = value & MV_CPACR_MASK;
    mv_cpu_update_context(cpu);
    return true;
}

static bool read_current_el(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = (uint64_t)cpu->el << 2;
    return true;
}

static bool read_spsel(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = cpu->spsel;
    return true;
}

static bool write_spsel(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)op;
    mv_cpu_set_spsel(cpu, value & 1);
    return true;
}

/* SP_EL0 is UNDEF while it is the current stack pointer (Arm ARM C5.2.19). */
static bool read_sp_el0(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = cpu->sp_el[0];
    return cpu->spsel;
}

static bool write_sp_el0(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)op;
    if (!cpu->spsel)
        return false;
    cpu->sp_el[0] = value;
    return true;
}

static bool read_nzcv(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = cpu->nzcv;
    return true;
}

static bool write_nzcv(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)op;
    cpu->nzcv = (uint32_t)value & MV_NZCV_ALL;
    return true;
}

static bool read_daif(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_UMA))
        mv_sysreg_trap(cpu, op, true);
    *ret = cpu->daif;
    return true;
}

static bool write_daif(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_UMA))
        mv_sysreg_trap(cpu, op, false);
    cpu->daif = (uint32_t)value & MV_DAIF_ALL;
    return true;
}

static void check_fp(struct mv_cpu *cpu, const struct mv_op *op)
{
    if (!cpu->fp_enabled) {
        mv_exception_fp(cpu, op);
        mv_exception_unwind(cpu);
    }
}

static bool read_fpcr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    check_fp(cpu, op);
    *ret = cpu->fpcr;
    return true;
}

static bool write_fpcr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    check_fp(cpu, op);
    cpu->fpcr = (uint32_t)value & MV_FPCR_MASK;
    return true;
}

static bool read_fpsr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    check_fp(cpu, op);
    *ret = cpu->fpsr;
    return true;
}

static bool write_fpsr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    check_fp(cpu, op);
    cpu->fpsr = (uint32_t)value & MV_FPSR_MASK;
    return true;
}

static bool read_isr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = (uint64_t)atomic_load(&cpu->irq_line) << 7 | (uint64_t)atomic_load(&cpu->fiq_line) << 6;
    return true;
}

#define STORED(op1, crn, crm, op2, reg_name, field)                                                \
    .name = reg_name, .encoding = MV_SYSREG_ENC(3, op1, crn, crm, op2),                            \
    .offset = offsetof(struct mv_cpu, sys.field)
#define COMPUTED(op1, crn, crm, op2, reg_name)                                                     \
    .name = reg_name, .encoding = MV_SYSREG_ENC(3, op1, crn, crm, op2)
#define EL0_RW (MV_SYSREG_EL0_R | MV_SYSREG_EL0_W)

static const struct mv_sysreg rows[] = {
    {STORED(0, 1, 0, 0, "SCTLR_EL1", sctlr), .value = MV_SCTLR_RES1, .write = write_sctlr,
     .flags = MV_SYSREG_EXIT},
    {STORED(0, 1, 0, 1, "ACTLR_EL1", actlr)},
    {STORED(0, 1, 0, 2, "CPACR_EL1", cpacr), .write = write_cpacr},
    {STORED(0, 2, 0, 0, "TTBR0_EL1", ttbr0), .write = write_translation, .flags = MV_SYSREG_EXIT},
    {STORED(0, 2, 0, 1, "TTBR1_EL1", ttbr1), .write = write_translation, .flags = MV_SYSREG_EXIT},
    {STORED(0, 2, 0, 2, "TCR_EL1", tcr), .write = write_translation, .flags = MV_SYSREG_EXIT},
    {STORED(0, 4, 0, 0, "SPSR_EL1", spsr)},
    {STORED(0, 4, 0, 1, "ELR_EL1", elr)},
    {COMPUTED(0, 4, 1, 0, "SP_EL0"), .read = read_sp_el0, .write = write_sp_el0},
    {COMPUTED(0, 4, 2, 0, "SPSel"), .read = read_spsel, .write = write_spsel},
    {COMPUTED(0, 4, 2, 2, "CurrentEL"), .read = read_current_el, .flags = MV_SYSREG_RO},
    {STORED(0, 5, 1, 0, "AFSR0_EL1", afsr0)},
    {STORED(0, 5, 1, 1, "AFSR1_EL1", afsr1)},
    {STORED(0, 5, 2, 0, "ESR_EL1", esr)},
    {STORED(0, 6, 0, 0, "FAR_EL1", far)},
    {STORED(0, 7, 4, 0, "PAR_EL1", par)},
    {STORED(0, 10, 2, 0, "MAIR_EL1", mair), .write = write_translation},
    {STORED(0, 10, 3, 0, "AMAIR_EL1", amair)},
    {STORED(0, 12, 0, 0, "VBAR_EL1", vbar)},
    {COMPUTED(0, 12, 0, 1, "RVBAR_EL1"), .flags = MV_SYSREG_RO},
    {COMPUTED(0, 12, 1, 0, "ISR_EL1"), .read = read_isr, .flags = MV_SYSREG_RO},
    {STORED(0, 13, 0, 1, "CONTEXTIDR_EL1", contextidr)},
    {STORED(0, 13, 0, 4, "TPIDR_EL1", tpidr_el1)},
    {STORED(2, 0, 0, 0, "CSSELR_EL1", csselr)},
    {STORED(3, 13, 0, 2, "TPIDR_EL0", tpidr_el0), .flags = EL0_RW},
    {STORED(3, 13, 0, 3, "TPIDRRO_EL0", tpidrro_el0), .flags = MV_SYSREG_EL0_R},
    {COMPUTED(3, 4, 2, 0, "NZCV"), .read = read_nzcv, .write = write_nzcv, .flags = EL0_RW},
    {COMPUTED(3, 4, 2, 1, "DAIF"), .read = read_daif, .write = write_daif,
     .flags = EL0_RW | MV_SYSREG_EXIT},
    {COMPUTED(3, 4, 4, 0, "FPCR"), .read = read_fpcr, .write = write_fpcr, .flags = EL0_RW},
    {COMPUTED(3, 4, 4, 1, "FPSR"), .read = read_fpsr, .write = write_fpsr, .flags = EL0_RW},
};
MV_SYSREG_TABLE(mv_sysreg_control, rows);
