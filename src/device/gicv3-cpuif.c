/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's CPU interface: the ICC_*_EL1 registers of a PE that has EL1 and
 * EL0 alone and one Security state (IHI 0069, 12.2).  Called by the engine in
 * the accessing vCPU's thread; each access takes the chip's lock.
 */
#include "gicv3-state.h"

#define CTLR_PRIBITS(bits) (((bits)-1u) << 8)
#define CTLR_A3V           (1u << 15)
#define SRE_VALUE          7 /* SRE, DFB, DIB: system registers alone, no bypass */
#define INTID_MASK         0xffffff

static uint64_t read_pmr(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return gic->pmr[cpu];
}

static void write_pmr(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    gic->pmr[cpu] = value & MV_GICV3_PRIORITY_MASK;
}

static unsigned best_of_group(const struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    const struct mv_gicv3_best *best = &gic->best[cpu];
    return best->group == group ? best->intid : MV_GICV3_SPURIOUS;
}

static uint64_t read_hppir(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return best_of_group(gic, cpu, group);
}

/* Acknowledge: pending becomes active, and the running priority rises. */
static uint64_t read_iar(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    unsigned intid = best_of_group(gic, cpu, group);
    if (intid == MV_GICV3_SPURIOUS || !mv_gicv3_can_signal(gic, cpu))
        return MV_GICV3_SPURIOUS;
    uint8_t priority = mv_gicv3_group_priority(gic, cpu, group, gic->best[cpu].priority);
    gic->apr[group][cpu] |= UINT32_C(1) << (priority >> 3);

    unsigned bank = (unsigned)mv_gicv3_bank_of(gic, cpu, intid);
    uint32_t bit = UINT32_C(1) << (intid % 32);
    gic->active[bank] |= bit;
    gic->pending[bank] &= ~bit;
    mv_gicv3_bank_update(gic, bank, bit);
    return intid;
}

static void deactivate(struct mv_gicv3 *gic, unsigned cpu, unsigned intid)
{
    int bank = mv_gicv3_bank_of(gic, cpu, intid);
    if (bank < 0)
        return;
    uint32_t bit = UINT32_C(1) << (intid % 32);
    gic->active[bank] &= ~bit;
    mv_gicv3_bank_update(gic, (unsigned)bank, bit);
}

/* The group of the highest active priority; Group 0 where both have it. */
static unsigned highest_active_group(const struct mv_gicv3 *gic, unsigned cpu)
{
    uint32_t group0 = gic->apr[0][cpu];
    uint32_t group1 = gic->apr[1][cpu];
    uint32_t lowest = (group0 | group1) & -(group0 | group1);
    return (group0 & lowest) != 0 ? 0 : 1;
}

/*
 * End of interrupt: drop the running priority and, unless EOImode splits the
 * two, deactivate.  Writes that do not match the last acknowledgement are
 * UNPREDICTABLE: those of an INTID that does not exist or of the group that
 * is not running are ignored.
 */
static void write_eoir(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    unsigned intid = value & INTID_MASK;
    if (mv_gicv3_bank_of(gic, cpu, intid) < 0 || gic->apr[group][cpu] == 0 ||
        highest_active_group(gic, cpu) != group)
        return;
    gic->apr[group][cpu] &= gic->apr[group][cpu] - 1;
    if ((gic->cpu_ctlr[cpu] & MV_ICC_CTLR_EOIMODE) == 0)
        deactivate(gic, cpu, intid);
}

static void write_dir(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    if ((gic->cpu_ctlr[cpu] & MV_ICC_CTLR_EOIMODE) != 0)
        deactivate(gic, cpu, value & INTID_MASK);
}

/* With CBPR, BPR1 reads as BPR0 + 1 and ignores writes. */
static uint64_t read_bpr(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    if (group == 0 || (gic->cpu_ctlr[cpu] & MV_ICC_CTLR_CBPR) == 0)
        return gic->bpr[group][cpu];
    return gic->bpr[0][cpu] < MV_GICV3_BPR_MAX ? gic->bpr[0][cpu] + 1u : MV_GICV3_BPR_MAX;
}

static void write_bpr(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    if (group == 1 && (gic->cpu_ctlr[cpu] & MV_ICC_CTLR_CBPR) != 0)
        return;
    uint8_t least = group == 0 ? MV_GICV3_BPR0_MIN : MV_GICV3_BPR1_MIN;
    uint8_t bpr = value & MV_GICV3_BPR_MAX;
    gic->bpr[group][cpu] = bpr < least ? least : bpr;
}

static uint64_t read_apr(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return gic->apr[group][cpu];
}

static void write_apr(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    gic->apr[group][cpu] = (uint32_t)value;
}

static uint64_t read_rpr(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return mv_gicv3_running_priority(gic, cpu);
}

static uint64_t read_ctlr(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return CTLR_A3V | CTLR_PRIBITS(5) | gic->cpu_ctlr[cpu];
}

static void write_ctlr(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    gic->cpu_ctlr[cpu] = value & (MV_ICC_CTLR_CBPR | MV_ICC_CTLR_EOIMODE);
}

static uint64_t read_sre(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return SRE_VALUE;
}

static void write_sre(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
}

static uint64_t read_igrpen(struct mv_gicv3 *gic, unsigned cpu, unsigned group)
{
    return gic->cpu_group_enable[group][cpu];
}

static void write_igrpen(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    uint8_t enable = value & 1;
    if (gic->cpu_group_enable[group][cpu] == enable)
        return;
    gic->cpu_group_enable[group][cpu] = enable;
    mv_gicv3_shared_spis_route(gic);
}

static void send_sgi(struct mv_gicv3 *gic, unsigned cpu, unsigned intid, unsigned group)
{
    uint32_t bit = UINT32_C(1) << intid;
    if ((gic->group[cpu] >> intid & 1) != group)
        return; /* not forwarded: configured to the other group */
    gic->pending[cpu] |= bit;
    mv_gicv3_bank_update(gic, cpu, bit);
}

/*
 * IHI 0069, 12.2, ICC_SGI1R_EL1: to all others, or to Aff0 0-15 of one
 * Aff3.Aff2.Aff1.  ASGI1R is for the other Security state: with one state it
 * makes Group 0's, as SGI0R does.
 */
static void write_sgir(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value)
{
    unsigned intid = value >> 24 & 15;
    if ((value >> 40 & 1) != 0) {
        for (unsigned other = 0; other < gic->params.cpus; other++) {
            if (other != cpu)
                send_sgi(gic, other, intid, group);
        }
        return;
    }
    /* Aff3, Aff2 and Aff1 stand as they do in MPIDR_EL1. */
    uint64_t others =
        (value >> 48 & 0xff) << 32 | (value >> 32 & 0xff) << 16 | (value >> 16 & 0xff) << 8;
    for (unsigned aff0 = 0; aff0 < 16; aff0++) {
        int target = mv_arm64_cpu_of(others | aff0, gic->params.cpus);
        if ((value >> aff0 & 1) != 0 && target >= 0)
            send_sgi(gic, (unsigned)target, intid, group);
    }
}

static const struct {
    uint64_t (*read)(struct mv_gicv3 *gic, unsigned cpu, unsigned group);
    void (*write)(struct mv_gicv3 *gic, unsigned cpu, unsigned group, uint64_t value);
    unsigned group;
} registers[] = {
    [MV_ICC_PMR] = {read_pmr, write_pmr, 0},
    [MV_ICC_IAR0] = {read_iar, NULL, 0},
    [MV_ICC_EOIR0] = {NULL, write_eoir, 0},
    [MV_ICC_HPPIR0] = {read_hppir, NULL, 0},
    [MV_ICC_BPR0] = {read_bpr, write_bpr, 0},
    [MV_ICC_AP0R0] = {read_apr, write_apr, 0},
    [MV_ICC_AP1R0] = {read_apr, write_apr, 1},
    [MV_ICC_DIR] = {NULL, write_dir, 0},
    [MV_ICC_RPR] = {read_rpr, NULL, 0},
    [MV_ICC_SGI1R] = {NULL, write_sgir, 1},
    [MV_ICC_ASGI1R] = {NULL, write_sgir, 0},
    [MV_ICC_SGI0R] = {NULL, write_sgir, 0},
    [MV_ICC_IAR1] = {read_iar, NULL, 1},
    [MV_ICC_EOIR1] = {NULL, write_eoir, 1},
    [MV_ICC_HPPIR1] = {read_hppir, NULL, 1},
    [MV_ICC_BPR1] = {read_bpr, write_bpr, 1},
    [MV_ICC_CTLR] = {read_ctlr, write_ctlr, 0},
    [MV_ICC_SRE] = {read_sre, write_sre, 0},
    [MV_ICC_IGRPEN0] = {read_igrpen, write_igrpen, 0},
    [MV_ICC_IGRPEN1] = {read_igrpen, write_igrpen, 1},
};

#define REGISTER_COUNT (sizeof registers / sizeof registers[0])

bool mv_gicv3_cpu_read(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t *ret)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    if (cpu >= gic->params.cpus || (size_t)reg >= REGISTER_COUNT || registers[reg].read == NULL)
        return false;
    MV_LOCK_SCOPE(&gic->device.lock);
    *ret = registers[reg].read(gic, cpu, registers[reg].group);
    mv_gicv3_signal(gic);
    return true;
}

/* Whatever is written may change what the CPU is signalled: look again. */
bool mv_gicv3_cpu_write(struct mv_irqchip *chip, unsigned cpu, unsigned reg, uint64_t value)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    if (cpu >= gic->params.cpus || (size_t)reg >= REGISTER_COUNT || registers[reg].write == NULL)
        return false;
    MV_LOCK_SCOPE(&gic->device.lock);
    registers[reg].write(gic, cpu, registers[reg].group, value);
    gic->dirty |= UINT64_C(1) << cpu;
    mv_gicv3_signal(gic);
    return true;
}
