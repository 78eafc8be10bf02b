/* SPDX-License-Identifier: Apache-2.0 */
/* The generic timer's and the GIC CPU interface's registers. */
#include "cpu.h"
#include "emulator.h"
#include "sysreg.h"

#include <stddef.h>

/* CNTKCTL_EL1: what EL0 may reach. */
#define CNTKCTL_EL0PCTEN 1u
#define CNTKCTL_EL0VCTEN 2u
#define CNTKCTL_EL0VTEN (1u << 8)
#define CNTKCTL_EL0PTEN (1u << 9)

static void check_el0(struct mv_cpu *cpu, const struct mv_op *op, uint32_t enable, bool is_read)
{
    if (cpu->el == 0 && !(cpu->sys.cntkctl & enable))
        mv_sysreg_trap(cpu, op, is_read);
}

/* EL1 is the highest level, so it may say another one; the counter is as fast as before. */
static bool read_frequency(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    check_el0(cpu, op, CNTKCTL_EL0PCTEN | CNTKCTL_EL0VCTEN, true);
    *ret = (uint32_t)cpu->sys.cntfrq;
    return true;
}

static bool read_physical_count(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    check_el0(cpu, op, CNTKCTL_EL0PCTEN, true);
    *ret = mv_counter_read(cpu, MV_TIMER_PHYSICAL);
    return true;
}

static bool read_virtual_count(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    check_el0(cpu, op, CNTKCTL_EL0VCTEN, true);
    *ret = mv_counter_read(cpu, MV_TIMER_VIRTUAL);
    return true;
}

/* The table's value says which timer. */
static enum mv_timer_kind timer_of(struct mv_cpu *cpu, const struct mv_op *op, bool is_read)
{
    enum mv_timer_kind kind = (enum mv_timer_kind)mv_sysreg_of(op)->value;
    check_el0(cpu, op, kind == MV_TIMER_VIRTUAL ? CNTKCTL_EL0VTEN : CNTKCTL_EL0PTEN, is_read);
    return kind;
}

static bool read_tval(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = mv_timer_tval(cpu, timer_of(cpu, op, true));
    return true;
}

static bool write_tval(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    enum mv_timer_kind kind = timer_of(cpu, op, false);
    mv_timer_set_cval(cpu, kind, mv_counter_read(cpu, kind) + (uint64_t)(int32_t)value);
    return true;
}

static bool read_ctl(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = mv_timer_ctl(cpu, timer_of(cpu, op, true));
    return true;
}

static bool write_ctl(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    mv_timer_set_ctl(cpu, timer_of(cpu, op, false), value);
    return true;
}

static bool read_cval(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = mv_timer_cval(cpu, timer_of(cpu, op, true));
    return true;
}

static bool write_cval(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    mv_timer_set_cval(cpu, timer_of(cpu, op, false), value);
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

#define EL0_RW (MV_SYSREG_EL0_R | MV_SYSREG_EL0_W)
#define COUNTER(op2, reg_name, fn)                                                                 \
    {                                                                                              \
        .name = reg_name, .encoding = MV_SYSREG_ENC(3, 3, 14, 0, op2),                             \
        .flags = MV_SYSREG_EL0_R | MV_SYSREG_RO, .read = fn                                        \
    }
#define TIMER(crm, op2, reg_name, view, kind)                                                      \
    {                                                                                              \
        .name = reg_name, .encoding = MV_SYSREG_ENC(3, 3, 14, crm, op2), .flags = EL0_RW,          \
        .value = kind, .read = read_##view, .write = write_##view                                  \
    }
#define ICC(crn, crm, op2, reg)                                                                    \
    {                                                                                              \
        .name = "ICC_" #reg "_EL1", .encoding = MV_SYSREG_ENC(3, 0, crn, crm, op2),                \
        .value = MV_ICC_##reg, .read = read_icc, .write = write_icc                                \
    }

static const struct mv_sysreg rows[] = {
    {.name = "CNTKCTL_EL1",
     .encoding = MV_SYSREG_ENC(3, 0, 14, 1, 0),
     .offset = offsetof(struct mv_cpu, sys.cntkctl)},
    {.name = "CNTFRQ_EL0",
     .encoding = MV_SYSREG_ENC(3, 3, 14, 0, 0),
     .flags = MV_SYSREG_EL0_R,
     .offset = offsetof(struct mv_cpu, sys.cntfrq),
     .value = MV_COUNTER_HZ,
     .read = read_frequency},
    COUNTER(1, "CNTPCT_EL0", read_physical_count),
    COUNTER(2, "CNTVCT_EL0", read_virtual_count),
    TIMER(2, 0, "CNTP_TVAL_EL0", tval, MV_TIMER_PHYSICAL),
    TIMER(2, 1, "CNTP_CTL_EL0", ctl, MV_TIMER_PHYSICAL),
    TIMER(2, 2, "CNTP_CVAL_EL0", cval, MV_TIMER_PHYSICAL),
    TIMER(3, 0, "CNTV_TVAL_EL0", tval, MV_TIMER_VIRTUAL),
    TIMER(3, 1, "CNTV_CTL_EL0", ctl, MV_TIMER_VIRTUAL),
    TIMER(3, 2, "CNTV_CVAL_EL0", cval, MV_TIMER_VIRTUAL),
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
