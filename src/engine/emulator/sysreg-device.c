/* SPDX-License-Identifier: Apache-2.0 */
/* The generic timer's and the GIC CPU interface's registers. */
#include "cpu.h"
#include "emulator.h"
#include "sysreg.h"

/* CNTKCTL_EL1: what EL0 may reach. */
#define CNTKCTL_EL0PCTEN 1u
#define CNTKCTL_EL0VCTEN 2u
#define CNTKCTL_EL0VTEN (1u << 8)
#define CNTKCTL_EL0PTEN (1u << 9)

/* EL1 is the highest level, so it may say another one; the counter is as fast as before. */
static bool read_frequency(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = (uint32_t)cpu->sys.cntfrq;
    return true;
}

/* The table's value says which timer. */
static bool read_count(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = mv_counter_read(cpu, (enum mv_timer_kind)mv_sysreg_of(op)->value);
    return true;
}

/* The table's value says which register of which timer. */
#define TIMER_VALUE(kind, reg) ((kind) * MV_TIMER_REGS + (reg))

static bool read_timer(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    unsigned value = (unsigned)mv_sysreg_of(op)->value;
    *ret = mv_timer_read(cpu, value / MV_TIMER_REGS, value % MV_TIMER_REGS);
    return true;
}

static bool write_timer(struct mv_cpu *cpu, const struct mv_op *op, uint64_t to)
{
    unsigned value = (unsigned)mv_sysreg_of(op)->value;
    mv_timer_write(cpu, value / MV_TIMER_REGS, value % MV_TIMER_REGS, to);
    return true;
}

/* The table's value is the chip's name of the register. */
static bool read_icc(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    struct mv_irqchip *chip = cpu->emulator->irqchip;
    return chip->ops->cpu_read(chip, cpu->vcpu.index, (unsigned)mv_sysreg_of(op)->value, ret);
}

static bool write_icc(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    struct mv_irqchip *chip = cpu->emulator->irqchip;
    return chip->ops->cpu_write(chip, cpu->vcpu.index, (unsigned)mv_sysreg_of(op)->value, value);
}

#define COUNTER(op2, reg_name, kind, enable)                                                       \
    {                                                                                              \
        .name = reg_name, .encoding = MV_SYSREG_ENC(3, 3, 14, 0, op2), .value = kind,              \
        MV_SYSREG_GATE(cntkctl, enable), .flags = MV_SYSREG_EL0_R | MV_SYSREG_RO,                  \
        .read = read_count                                                                         \
    }
#define TIMER(crm, op2, reg_name, reg, kind, enable)                                               \
    {                                                                                              \
        .name = reg_name, .encoding = MV_SYSREG_ENC(3, 3, 14, crm, op2),                           \
        .flags = MV_SYSREG_EL0_RW, MV_SYSREG_GATE(cntkctl, enable),                                \
        .value = TIMER_VALUE(MV_TIMER_##kind, MV_TIMER_##reg), .read = read_timer,                 \
        .write = write_timer                                                                       \
    }
#define ICC(crn, crm, op2, reg)                                                                    \
    {                                                                                              \
        .name = "ICC_" #reg "_EL1", .encoding = MV_SYSREG_ENC(3, 0, crn, crm, op2),                \
        .value = MV_ICC_##reg, .read = read_icc, .write = write_icc                                \
    }

static const struct mv_sysreg rows[] = {
    {.name = "CNTKCTL_EL1",
     .encoding = MV_SYSREG_ENC(3, 0, 14, 1, 0),
     .offset = MV_SYSREG_AT(sys.cntkctl)},
    {.name = "CNTFRQ_EL0",
     .encoding = MV_SYSREG_ENC(3, 3, 14, 0, 0),
     .flags = MV_SYSREG_EL0_R,
     .offset = MV_SYSREG_AT(sys.cntfrq),
     .value = MV_COUNTER_HZ,
     .read = read_frequency,
     MV_SYSREG_GATE(cntkctl, CNTKCTL_EL0PCTEN | CNTKCTL_EL0VCTEN)},
    COUNTER(1, "CNTPCT_EL0", MV_TIMER_PHYSICAL, CNTKCTL_EL0PCTEN),
    COUNTER(2, "CNTVCT_EL0", MV_TIMER_VIRTUAL, CNTKCTL_EL0VCTEN),
    TIMER(2, 0, "CNTP_TVAL_EL0", TVAL, PHYSICAL, CNTKCTL_EL0PTEN),
    TIMER(2, 1, "CNTP_CTL_EL0", CTL, PHYSICAL, CNTKCTL_EL0PTEN),
    TIMER(2, 2, "CNTP_CVAL_EL0", CVAL, PHYSICAL, CNTKCTL_EL0PTEN),
    TIMER(3, 0, "CNTV_TVAL_EL0", TVAL, VIRTUAL, CNTKCTL_EL0VTEN),
    TIMER(3, 1, "CNTV_CTL_EL0", CTL, VIRTUAL, CNTKCTL_EL0VTEN),
    TIMER(3, 2, "CNTV_CVAL_EL0", CVAL, VIRTUAL, CNTKCTL_EL0VTEN),
    ICC(4, 6, 0, PMR),
    ICC(12, 8, 0, IAR0),
    ICC(12, 8, 1, EOIR0),
    ICC(12, 8, 2, HPPIR0),
    ICC(12, 8, 3, BPR0),
    ICC(12, 8, 4, AP0R0),
    ICC(12, 9, 0, AP1R0),
    ICC(12, 11, 1, DIR),
    ICC(12, 11, 3, RPR),
    ICC(12, 11, 5, SGI1R),
    ICC(12, 11, 6, ASGI1R),
    ICC(12, 11, 7, SGI0R),
    ICC(12, 12, 0, IAR1),
    ICC(12, 12, 1, EOIR1),
    ICC(12, 12, 2, HPPIR1),
    ICC(12, 12, 3, BPR1),
    ICC(12, 12, 4, CTLR),
    ICC(12, 12, 5, SRE),
    ICC(12, 12, 6, IGRPEN0),
    ICC(12, 12, 7, IGRPEN1),
};
MV_SYSREG_TABLE(mv_sysreg_device, rows);
