/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's core: which interrupts are ready, where they go, which one is a
 * CPU's best, and whether it is signalled.  Called by the gicv3*.c files with
 * the chip's lock held.
 *
 * Cost: a CPU's best interrupt is sought among the ready ones alone, by a
 * bitmap of banks and a bitmap in each, and only when a ready one changed.
 */
#include "gicv3-state.h"

#define PRIVATE_BANK(bank) ((bank) < MV_GICV3_SPI_BANK0)
#define IDLE_PRIORITY      0xff
#define LINE_IRQ           1
#define LINE_FIQ           2

int mv_gicv3_bank_of(const struct mv_gicv3 *gic, unsigned cpu, unsigned intid)
{
    if (intid < MV_INTID_SPI_BASE)
        return (int)cpu;
    if (intid - MV_INTID_SPI_BASE >= gic->params.spi_count)
        return -1;
    return (int)(MV_GICV3_SPI_BANK0 + (intid - MV_INTID_SPI_BASE) / 32);
}

uint32_t mv_gicv3_bank_pending(const struct mv_gicv3 *gic, unsigned bank)
{
    uint32_t levels = gic->level[bank] | gic->message_level[bank];
    return gic->pending[bank] | (levels & ~gic->edge[bank]);
}

/* Those of a bank's interrupts whose group is on, by a bit for each group. */
static uint32_t mask_by_group(const struct mv_gicv3 *gic, unsigned bank, bool group0, bool group1)
{
    uint32_t group = gic->group[bank];
    return (group0 ? ~group : 0) | (group1 ? group : 0);
}

static void mark_dirty(struct mv_gicv3 *gic, unsigned cpu)
{
    gic->dirty |= UINT64_C(1) << cpu;
}

void mv_gicv3_bank_update(struct mv_gicv3 *gic, unsigned bank, uint32_t touched)
{
    uint32_t before = gic->ready[bank];
    uint32_t after = mv_gicv3_bank_pending(gic, bank) & gic->enabled[bank] & ~gic->active[bank] &
                     mask_by_group(gic, bank, (gic->group_enable & MV_GICD_CTLR_GROUP0) != 0,
                                   (gic->group_enable & MV_GICD_CTLR_GROUP1) != 0);
    gic->ready[bank] = after;
    uint32_t concerned = touched & (before | after);
    if (PRIVATE_BANK(bank)) {
        if (concerned != 0)
            mark_dirty(gic, bank);
        return;
    }

    unsigned spi_bank = bank - MV_GICV3_SPI_BANK0;
    if (after != 0)
        gic->ready_spi_banks |= UINT32_C(1) << spi_bank;
    else
        gic->ready_spi_banks &= ~(UINT32_C(1) << spi_bank);
    for (; concerned != 0; concerned &= concerned - 1) {
        uint8_t target = gic->target[spi_bank * 32 + __builtin_ctz(concerned)];
        if (target != MV_GICV3_NO_TARGET)
            mark_dirty(gic, target);
    }
}

void mv_gicv3_all_update(struct mv_gicv3 *gic)
{
    for (unsigned bank = 0; bank < gic->params.cpus; bank++)
        mv_gicv3_bank_update(gic, bank, UINT32_MAX);
    for (unsigned bank = 0; bank < gic->params.spi_count / 32; bank++)
        mv_gicv3_bank_update(gic, MV_GICV3_SPI_BANK0 + bank, UINT32_MAX);
}

void mv_gicv3_input_set(struct mv_gicv3 *gic, unsigned bank, uint32_t mask, bool level)
{
    uint32_t before = gic->level[bank];
    uint32_t after = level ? before | mask : before & ~mask;
    if (after == before)
        return;
    gic->level[bank] = after;
    gic->pending[bank] |= after & ~before & gic->edge[bank];
    mv_gicv3_bank_update(gic, bank, before ^ after);
}

/*
 * A CPU takes part in one-of-N distribution where its interface has the group
 * on.  GICR_WAKER is not asked: software that leaves the CPU asleep has turned
 * the group off before, as IHI 0069 asks, and programs that were started at EL1
 * may leave the waking to a firmware that is not there.
 */
static uint8_t choose_one_of_n(const struct mv_gicv3 *gic, unsigned spi)
{
    unsigned cpus = gic->params.cpus;
    unsigned group = gic->group[MV_GICV3_SPI_BANK0 + spi / 32] >> (spi % 32) & 1;
    for (unsigned i = 0; i < cpus; i++) {
        unsigned cpu = (spi + i) % cpus; /* spreads SPIs over CPUs */
        if (gic->cpu_group_enable[group][cpu])
            return (uint8_t)cpu;
    }
    return MV_GICV3_NO_TARGET;
}

static uint8_t find_affinity(const struct mv_gicv3 *gic, uint64_t router)
{
    int cpu = mv_arm64_cpu_of(router & MV_GICD_IROUTER_AFFINITY, gic->params.cpus);
    return cpu < 0 ? MV_GICV3_NO_TARGET : (uint8_t)cpu;
}

void mv_gicv3_spi_route(struct mv_gicv3 *gic, unsigned spi)
{
    uint64_t router = gic->router[spi];
    uint8_t before = gic->target[spi];
    uint8_t after = (router & MV_GICD_IROUTER_IRM) != 0 ? choose_one_of_n(gic, spi)
                                                        : find_affinity(gic, router);
    if (after == before)
        return;
    gic->target[spi] = after;
    if ((gic->ready[MV_GICV3_SPI_BANK0 + spi / 32] >> (spi % 32) & 1) == 0)
        return;
    if (before != MV_GICV3_NO_TARGET)
        mark_dirty(gic, before);
    if (after != MV_GICV3_NO_TARGET)
        mark_dirty(gic, after);
}

void mv_gicv3_shared_spis_route(struct mv_gicv3 *gic)
{
    for (unsigned spi = 0; spi < gic->params.spi_count; spi++) {
        if ((gic->router[spi] & MV_GICD_IROUTER_IRM) != 0)
            mv_gicv3_spi_route(gic, spi);
    }
}

/*
 * IHI 0069, 4.8: BPR0 = n splits below bit n + 1; the BPR1 of a PE without
 * Secure state counts one higher.  CBPR makes BPR0 serve both groups.
 */
uint8_t mv_gicv3_group_priority(const struct mv_gicv3 *gic, unsigned cpu, unsigned group,
                                uint8_t priority)
{
    bool common = (gic->cpu_ctlr[cpu] & MV_ICC_CTLR_CBPR) != 0;
    unsigned split = group == 1 && !common ? gic->bpr[1][cpu] : gic->bpr[0][cpu] + 1u;
    return (uint8_t)(priority & (0xffu << split));
}

uint8_t mv_gicv3_running_priority(const struct mv_gicv3 *gic, unsigned cpu)
{
    uint32_t active = gic->apr[0][cpu] | gic->apr[1][cpu];
    return active == 0 ? IDLE_PRIORITY : (uint8_t)(__builtin_ctz(active) << 3);
}

bool mv_gicv3_can_signal(const struct mv_gicv3 *gic, unsigned cpu)
{
    const struct mv_gicv3_best *best = &gic->best[cpu];
    if (best->intid == MV_GICV3_SPURIOUS || best->priority >= gic->pmr[cpu])
        return false;
    uint8_t running = mv_gicv3_running_priority(gic, cpu);
    if (running == IDLE_PRIORITY)
        return true;
    return mv_gicv3_group_priority(gic, cpu, best->group, best->priority) <
           mv_gicv3_group_priority(gic, cpu, best->group, running);
}

/* Take a ready interrupt as the best one where it is. */
static void consider(const struct mv_gicv3 *gic, unsigned bank, unsigned bit, unsigned intid,
                     struct mv_gicv3_best *best)
{
    uint8_t priority = gic->priority[bank * 32 + bit];
    if (best->intid != MV_GICV3_SPURIOUS && priority >= best->priority)
        return; /* INTIDs come in ascending order: the lowest wins a tie */
    best->intid = (uint16_t)intid;
    best->priority = priority;
    best->group = gic->group[bank] >> bit & 1;
}

static void find_best(struct mv_gicv3 *gic, unsigned cpu)
{
    struct mv_gicv3_best best = {.intid = MV_GICV3_SPURIOUS, .priority = IDLE_PRIORITY};
    bool group0 = gic->cpu_group_enable[0][cpu] != 0;
    bool group1 = gic->cpu_group_enable[1][cpu] != 0;

    uint32_t bits = gic->ready[cpu] & mask_by_group(gic, cpu, group0, group1);
    for (; bits != 0; bits &= bits - 1) {
        unsigned bit = (unsigned)__builtin_ctz(bits);
        consider(gic, cpu, bit, bit, &best);
    }
    for (uint32_t banks = gic->ready_spi_banks; banks != 0; banks &= banks - 1) {
        unsigned spi_bank = (unsigned)__builtin_ctz(banks);
        unsigned bank = MV_GICV3_SPI_BANK0 + spi_bank;
        bits = gic->ready[bank] & mask_by_group(gic, bank, group0, group1);
        for (; bits != 0; bits &= bits - 1) {
            unsigned bit = (unsigned)__builtin_ctz(bits);
            unsigned spi = spi_bank * 32 + bit;
            if (gic->target[spi] == cpu)
                consider(gic, bank, bit, MV_INTID_SPI_BASE + spi, &best);
        }
    }
    gic->best[cpu] = best;
}

/* With one Security state, Group 0 is FIQ and Group 1 IRQ (IHI 0069, 4.6.2). */
static void update_lines(struct mv_gicv3 *gic, unsigned cpu)
{
    uint8_t lines = 0;
    if (mv_gicv3_can_signal(gic, cpu))
        lines = gic->best[cpu].group == 0 ? LINE_FIQ : LINE_IRQ;
    if (lines == gic->lines[cpu])
        return;
    gic->lines[cpu] = lines;
    if (gic->sink != NULL)
        gic->sink->set_lines(gic->sink, cpu, lines == LINE_IRQ, lines == LINE_FIQ);
}

void mv_gicv3_signal(struct mv_gicv3 *gic)
{
    while (gic->dirty != 0) {
        unsigned cpu = (unsigned)__builtin_ctzll(gic->dirty);
        gic->dirty &= gic->dirty - 1;
        find_best(gic, cpu);
        update_lines(gic, cpu);
    }
}
