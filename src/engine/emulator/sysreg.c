/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding system registers, and those of control, exceptions, translation and PSTATE
 * (Arm ARM D17.2, C5.2).
 */
#include "sysreg.h"

#include "cpu.h"
#include "exception.h"

void mv_sysreg_loaded(struct mv_cpu *cpu)
{
    mv_cpu_update_translation(cpu);
    mv_cpu_update_context(cpu);
    mv_debug_update(cpu); /* flushes the TLB */
}

static bool read_current_el(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = (uint64_t)cpu->el << 2;
    return true;
}

static bool read_spsel(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = cpu->spsel;
    return true;
}

static bool write_spsel(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    mv_cpu_set_spsel(cpu, value & 1);
    return true;
}

/* SP_EL0 is UNDEF while it is the current stack pointer (Arm ARM C5.2.19). */
static bool read_sp_el0(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = cpu->sp_el[0];
    return cpu->spsel;
}

static bool write_sp_el0(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    if (cpu->spsel)
        cpu->sp_el[0] = value;
    return cpu->spsel;
}

static bool read_isr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = (uint64_t)atomic_load(&cpu->irq_line) << 7 | (uint64_t)atomic_load(&cpu->fiq_line) << 6;
    return true;
}

#define COMPUTED(op1, crn, crm, op2, reg_name)                                                     \
    .name = reg_name, .encoding = MV_SYSREG_ENC(3, op1, crn, crm, op2)
#define STORED(op1, crn, crm, op2, reg_name, field)                                                \
    COMPUTED(op1, crn, crm, op2, reg_name), .offset = MV_SYSREG_AT(sys.field)
#define WORD(crm, op2, reg_name, field, mask)                                                      \
    COMPUTED(3, 4, crm, op2, reg_name), .word = MV_SYSREG_AT(field), .res0 = ~(uint64_t)(mask)
#define TRANSLATES .changed = mv_cpu_update_translation

static const struct mv_sysreg rows[] = {
    {STORED(0, 1, 0, 0, "SCTLR_EL1", sctlr), .value = MV_SCTLR_RES1, .res1 = MV_SCTLR_RES1,
     TRANSLATES, .flags = MV_SYSREG_EXIT},
    {STORED(0, 1, 0, 1, "ACTLR_EL1", actlr)},
    {STORED(0, 1, 0, 2, "CPACR_EL1", cpacr), .res0 = ~(uint64_t)MV_CPACR_MASK,
     .changed = mv_cpu_update_context},
    {STORED(0, 2, 0, 0, "TTBR0_EL1", ttbr0), TRANSLATES, .flags = MV_SYSREG_EXIT},
    {STORED(0, 2, 0, 1, "TTBR1_EL1", ttbr1), TRANSLATES, .flags = MV_SYSREG_EXIT},
    {STORED(0, 2, 0, 2, "TCR_EL1", tcr), TRANSLATES, .flags = MV_SYSREG_EXIT},
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
    {STORED(0, 10, 2, 0, "MAIR_EL1", mair), TRANSLATES},
    {STORED(0, 10, 3, 0, "AMAIR_EL1", amair)},
    {STORED(0, 12, 0, 0, "VBAR_EL1", vbar)},
    {COMPUTED(0, 12, 0, 1, "RVBAR_EL1"), .flags = MV_SYSREG_RO},
    {COMPUTED(0, 12, 1, 0, "ISR_EL1"), .read = read_isr, .flags = MV_SYSREG_RO},
    {STORED(0, 13, 0, 1, "CONTEXTIDR_EL1", contextidr)},
    {STORED(0, 13, 0, 4, "TPIDR_EL1", tpidr_el1)},
    {STORED(2, 0, 0, 0, "CSSELR_EL1", csselr)},
    {STORED(3, 13, 0, 2, "TPIDR_EL0", tpidr_el0), .flags = MV_SYSREG_EL0_RW},
    {STORED(3, 13, 0, 3, "TPIDRRO_EL0", tpidrro_el0), .flags = MV_SYSREG_EL0_R},
    {WORD(2, 0, "NZCV", nzcv, MV_NZCV_ALL), .flags = MV_SYSREG_EL0_RW},
    {WORD(2, 1, "DAIF", daif, MV_DAIF_ALL), MV_SYSREG_GATE(sctlr, MV_SCTLR_UMA),
     .flags = MV_SYSREG_EL0_RW | MV_SYSREG_EXIT},
    {WORD(4, 0, "FPCR", fpcr, MV_FPCR_MASK), .flags = MV_SYSREG_EL0_RW | MV_SYSREG_FP},
    {WORD(4, 1, "FPSR", fpsr, MV_FPSR_MASK), .flags = MV_SYSREG_EL0_RW | MV_SYSREG_FP},
};
MV_SYSREG_TABLE(mv_sysreg_control, rows);

static const struct mv_sysreg_table *const tables[] = {
    &mv_sysreg_control, &mv_sysreg_id, &mv_sysreg_device, &mv_sysreg_debug,
    &mv_sysreg_maintenance,
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

/* ID space that is not allocated reads as zero (Arm ARM D17.3.1). */
static const struct mv_sysreg reserved_id = {
    .name = "reserved ID register", .flags = MV_SYSREG_RO};

static bool is_id_space(uint16_t encoding)
{
    return encoding >= MV_SYSREG_ENC(3, 0, 0, 1, 0) && encoding <= MV_SYSREG_ENC(3, 0, 0, 7, 7);
}

const struct mv_sysreg *mv_sysreg_find(uint16_t encoding)
{
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < tables[t]->count; i++)
            if (tables[t]->rows[i].encoding == encoding)
                return &tables[t]->rows[i];
    return is_id_space(encoding) ? &reserved_id : NULL;
}

void mv_sysreg_reset(struct mv_cpu *cpu)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct mv_sysreg *reg = &tables[t]->rows[i];
            if (reg->offset != 0)
                *(uint64_t *)((char *)cpu + reg->offset) = reg->value;
        }
    }
    cpu->id.mpidr = mv_arm64_mpidr(cpu->vcpu.index);
    cpu->id.counter_hz = MV_COUNTER_HZ;
}

/* ISS of EC 0x18: Op0, Op2, Op1, CRn, Rt, CRm, direction (Arm ARM D17.2.37). */
static uint32_t iss_of(uint16_t encoding, unsigned rt, bool is_read)
{
    uint32_t op0 = encoding >> 14 & 3, op1 = encoding >> 11 & 7, crn = encoding >> 7 & 15,
             crm = encoding >> 3 & 15, op2 = encoding & 7;
    return op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | is_read;
}

bool mv_sysreg_admits(struct mv_cpu *cpu, const struct mv_op *op, bool is_read)
{
    const struct mv_sysreg *reg = mv_sysreg_of(op);
    const uint64_t *gate = (const uint64_t *)((const char *)cpu + reg->gate);
    if (cpu->el == 0 && !(reg->flags & (is_read ? MV_SYSREG_EL0_R : MV_SYSREG_EL0_W)))
        return false;
    if (cpu->el == 0 && reg->gate != 0 &&
        !(*gate & reg->gate_bits) == !(reg->flags & MV_SYSREG_SHUT)) {
        unsigned rt = op->rd == MV_REG_SINK ? 31 : op->rd;
        mv_exception_at(cpu, op, MV_EC_SYSREG, iss_of(reg->encoding, rt, is_read));
        mv_exception_unwind(cpu);
    }
    if ((reg->flags & MV_SYSREG_FP) && !cpu->fp_enabled) {
        mv_exception_fp(cpu, op);
        mv_exception_unwind(cpu);
    }
    return true;
}
