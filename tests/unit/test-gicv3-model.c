/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device/gicv3 against gicv3-model.h: random operations on both, after each
 * of which lines, highest pending and running priorities must agree, and now
 * and then every interrupt's state.
 */
#include "gicv3-fixture.h"
#include "gicv3-model.h"

#include <stdlib.h>

static struct model model;
static struct model *const m = &model;
static unsigned short seed[3];
/* INTIDs that each CPU acknowledged and has not ended, the last one on top. */
static struct {
    unsigned intid[64];
    unsigned group[64];
    unsigned depth;
} taken[MODEL_CPUS];

static unsigned pick(unsigned below)
{
    return (unsigned)nrand48(seed) % below;
}

/* Mostly a few that meet often, at the ends of banks; sometimes any. */
static unsigned pick_intid(void)
{
    static const unsigned favourites[] = {0, 3, 15, 16, 27, 31, 32, 33, 40, 62, 63};
    if (pick(4) != 0)
        return favourites[pick(sizeof favourites / sizeof favourites[0])];
    return pick(m->intids);
}

static unsigned pick_priority(void)
{
    static const unsigned priorities[] = {0x00, 0x20, 0x40, 0x48, 0x80, 0xa0, 0xa8, 0xb0, 0xf8};
    return priorities[pick(sizeof priorities / sizeof priorities[0])];
}

/* --- Operations: each does the same to both. */

static void do_wire(unsigned cpu)
{
    unsigned intid = pick_intid();
    bool level = pick(2);
    if (intid < 16)
        return;
    if (intid < 32)
        ppi_set(g, cpu, intid, level);
    else
        spi_set(g, intid, level);
    model_wire(model_find(m, cpu, intid), level);
}

static void do_message(unsigned cpu)
{
    unsigned intid = 32 + pick(m->intids - 32);
    struct model_interrupt *i = model_find(m, cpu, intid);
    switch (pick(4)) {
    case 0:
        g->chip->ops->message(g->chip, intid);
        i->latched |= i->edge;
        break;
    case 1:
        region_write(&gic_of(g)->v2m_region, 0x40, intid, 4);
        i->latched |= i->edge && intid >= 64;
        break;
    case 2:
        dist_write(g, SETSPI_NSR, intid);
        i->latched |= i->edge;
        i->message |= !i->edge;
        break;
    default:
        dist_write(g, CLRSPI_NSR, intid);
        i->latched &= !i->edge;
        i->message = false;
    }
}

static void do_bit(unsigned cpu)
{
    static const uint64_t registers[] = {ISENABLER, ICENABLER, ISPENDR,
                                         ICPENDR,   ISACTIVER, ICACTIVER};
    unsigned intid = pick_intid();
    unsigned which = pick(6);
    struct model_interrupt *i = model_find(m, cpu, intid);
    bool *fields[] = {&i->enabled, &i->enabled, &i->latched, &i->latched, &i->active, &i->active};
    bit_write(g, cpu, registers[which], intid);
    *fields[which] = which % 2 == 0;
}

/* Several at once, as software that sets up a whole bank. */
static void do_word(unsigned cpu)
{
    uint32_t bits = (uint32_t)nrand48(seed) & (uint32_t)nrand48(seed);
    unsigned word = pick(m->intids / 32);
    bool enable = pick(4) != 0;
    uint64_t reg = (enable ? ISENABLER : ICENABLER) + word * 4;
    if (word == 0)
        redist_write(g, cpu, SGI_FRAME + reg, bits);
    else
        dist_write(g, reg, bits);
    for (unsigned bit = 0; bit < 32; bit++) {
        if (bits >> bit & 1)
            model_find(m, cpu, word * 32 + bit)->enabled = enable;
    }
}

static void do_configure(unsigned cpu)
{
    unsigned intid = pick_intid();
    struct model_interrupt *i = model_find(m, cpu, intid);
    switch (pick(3)) {
    case 0:
        i->group1 = pick(3) != 0;
        group_write(g, cpu, intid, i->group1);
        break;
    case 1:
        i->priority = pick_priority();
        priority_write(g, cpu, intid, (uint8_t)(i->priority | pick(8)));
        break;
    default:
        i->edge = intid < 16 || pick(2);
        edge_write(g, cpu, intid, intid < 16 ? pick(2) : i->edge);
    }
}

static void do_route(unsigned cpu)
{
    unsigned intid = 32 + pick(m->intids - 32);
    struct model_interrupt *i = model_find(m, cpu, intid);
    unsigned target = pick(m->cpus + 2); /* sometimes no CPU's */
    i->aff0 = target % 16 + (pick(32) == 0 ? 16 : 0);
    i->aff1 = target / 16;
    i->aff2 = pick(32) == 0;
    i->aff3 = pick(32) == 0;
    i->one_of_n = pick(8) == 0;
    uint64_t value = (uint64_t)i->aff3 << 32 | (uint64_t)i->one_of_n << 31 | i->aff2 << 16 |
                     i->aff1 << 8 | i->aff0;
    if (pick(2)) {
        router_write(g, intid, value);
    } else {
        dist_write(g, IROUTER + intid * 8, (uint32_t)value);
        dist_write(g, IROUTER + intid * 8 + 4, (uint32_t)(value >> 32));
    }
}

static void do_cpu_control(unsigned cpu)
{
    struct model_cpu *c = &m->cpu[cpu];
    unsigned group = pick(2);
    unsigned value;
    switch (pick(12)) {
    case 0:
        value = pick(4) == 0 ? pick_priority() : 0xff;
        icc_write(g, cpu, MV_ICC_PMR, value);
        c->mask = value & 0xf8;
        break;
    case 1:
        value = pick(8);
        icc_write(g, cpu, group ? MV_ICC_BPR1 : MV_ICC_BPR0, value);
        if (group == 0 || !c->cbpr)
            c->bpr[group] = value < 2 + group ? 2 + group : value;
        break;
    case 2:
        value = pick(4);
        icc_write(g, cpu, MV_ICC_CTLR, value);
        c->cbpr = value & 1;
        c->eoi_mode = value & 2;
        break;
    case 3:
        c->group_on[group] = pick(4) != 0;
        icc_write(g, cpu, group ? MV_ICC_IGRPEN1 : MV_ICC_IGRPEN0, c->group_on[group]);
        break;
    case 4: /* forget what is running */
        icc_write(g, cpu, group ? MV_ICC_AP1R0 : MV_ICC_AP0R0, UINT32_C(0x80010000) & -pick(2));
        memset(c->active_priority[group], 0, sizeof c->active_priority[group]);
        if (icc_read(g, cpu, group ? MV_ICC_AP1R0 : MV_ICC_AP0R0) != 0)
            c->active_priority[group][0x80] = c->active_priority[group][0xf8] = true;
        break;
    default:
        break; /* these are rare in life */
    }
}

static void do_dist_control(unsigned cpu)
{
    unsigned value = pick(3) == 0 ? pick(4) : 3;
    if (pick(4) != 0)
        return;
    dist_write(g, CTLR, value);
    m->group_on[0] = value & 1;
    m->group_on[1] = value & 2;
}

static void do_sgi(unsigned cpu)
{
    static const enum mv_icc_reg registers[] = {MV_ICC_SGI0R, MV_ICC_ASGI1R, MV_ICC_SGI1R,
                                                MV_ICC_SGI1R};
    unsigned which = pick(4);
    uint64_t value = (uint64_t)pick(16) << 24 | (uint64_t)pick(m->cpus / 16 + 2) << 16 |
                     pick(0x10000) | (uint64_t)(pick(8) == 0) << 40 |
                     (uint64_t)(pick(16) == 0) << 32 | (uint64_t)(pick(16) == 0) << 48;
    icc_write(g, cpu, registers[which], value);
    model_sgi(m, cpu, which >= 2, value);
}

static void do_acknowledge(unsigned cpu)
{
    unsigned group = pick(4) != 0;
    unsigned got = (unsigned)icc_read(g, cpu, group ? MV_ICC_IAR1 : MV_ICC_IAR0);
    unsigned right = model_iar(m, cpu, group);
    if (got != right)
        fail_msg("IAR%u of CPU %u: %u where %u is right", group, cpu, got, right);
    if (got != SPURIOUS && taken[cpu].depth < 64) {
        taken[cpu].intid[taken[cpu].depth] = got;
        taken[cpu].group[taken[cpu].depth++] = group;
    }
}

static void do_end(unsigned cpu)
{
    unsigned group = pick(2);
    unsigned intid = pick(8) == 0 ? pick(1024) : pick_intid();
    if (pick(8) != 0 && taken[cpu].depth > 0) {
        taken[cpu].depth--;
        intid = taken[cpu].intid[taken[cpu].depth];
        group = taken[cpu].group[taken[cpu].depth];
    }
    icc_write(g, cpu, group ? MV_ICC_EOIR1 : MV_ICC_EOIR0, intid);
    model_eoir(m, cpu, group, intid);
    if (pick(2)) {
        icc_write(g, cpu, MV_ICC_DIR, intid);
        model_dir(m, cpu, intid);
    }
}

static const struct {
    unsigned weight;
    void (*run)(unsigned cpu);
    const char *name;
} operations[] = {
    {6, do_wire, "wire"},
    {2, do_message, "message"},
    {4, do_bit, "bit"},
    {1, do_word, "word"},
    {3, do_configure, "configure"},
    {2, do_route, "route"},
    {2, do_cpu_control, "CPU control"},
    {1, do_dist_control, "distributor control"},
    {3, do_sgi, "SGI"},
    {8, do_acknowledge, "acknowledge"},
    {6, do_end, "end"},
};

static unsigned pick_operation(void)
{
    unsigned total = 0;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        total += operations[i].weight;
    unsigned at = pick(total);
    unsigned i = 0;
    while (at >= operations[i].weight)
        at -= operations[i++].weight;
    return i;
}

/* --- Comparison. */

static unsigned signals; /* comparisons that found a line up */

static const char *differs_at_cpu(unsigned cpu)
{
    struct model_best best = model_best(m, cpu);
    bool up = model_signalled(m, cpu, best);
    signals += up;
    if (g->irq[cpu] != (up && best.group == 1))
        return "IRQ";
    if (g->fiq[cpu] != (up && best.group == 0))
        return "FIQ";
    if (icc_read(g, cpu, MV_ICC_HPPIR0) != model_hppir(m, cpu, 0))
        return "HPPIR0";
    if (icc_read(g, cpu, MV_ICC_HPPIR1) != model_hppir(m, cpu, 1))
        return "HPPIR1";
    if (icc_read(g, cpu, MV_ICC_RPR) != model_running(m, cpu))
        return "RPR";
    return NULL;
}

static const char *differs_at_interrupt(unsigned cpu, unsigned intid)
{
    const struct model_interrupt *i = model_find(m, cpu, intid);
    if (bit_read(g, cpu, ISENABLER, intid) != i->enabled)
        return "enabled";
    if (bit_read(g, cpu, ICPENDR, intid) != model_pending(i))
        return "pending";
    if (bit_read(g, cpu, ISACTIVER, intid) != i->active)
        return "active";
    if (bit_read(g, cpu, IGROUPR, intid) != i->group1)
        return "group";
    return NULL;
}

static void compare(unsigned step, const char *operation, bool everything)
{
    for (unsigned cpu = 0; cpu < m->cpus; cpu++) {
        const char *what = differs_at_cpu(cpu);
        if (what != NULL)
            fail_msg("step %u (%s): %s of CPU %u differs", step, operation, what, cpu);
        for (unsigned intid = 0; everything && intid < (cpu == 0 ? m->intids : 32); intid++) {
            what = differs_at_interrupt(cpu, intid);
            if (what != NULL)
                fail_msg("step %u: INTID %u of CPU %u differs: %s", step, intid, cpu, what);
        }
    }
}

static void run(unsigned cpus, unsigned spis, unsigned steps)
{
    gic_create(g, cpus, spis);
    model_init(m, cpus, spis);
    memset(taken, 0, sizeof taken);
    memcpy(seed, (unsigned short[]){(unsigned short)cpus, 11, 12}, sizeof seed);
    signals = 0;
    gic_open(g);
    model_open(m);
    for (unsigned step = 0; step < steps; step++) {
        unsigned operation = pick_operation();
        operations[operation].run(pick(cpus));
        compare(step, operations[operation].name, step % 256 == 0);
    }
    assert_true(signals > steps / 8); /* it was not all masked */
    gic_destroy(g);
}

static void test_one_cpu(void **state)
{
    run(1, 64, 200000);
}

static void test_four_cpus(void **state)
{
    run(4, 96, 100000);
}

/* Two values of Aff1. */
static void test_twenty_cpus(void **state)
{
    run(20, 64, 40000);
}

static void test_most_of_all(void **state)
{
    run(64, 960, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cpu),
        cmocka_unit_test(test_four_cpus),
        cmocka_unit_test(test_twenty_cpus),
        cmocka_unit_test(test_most_of_all),
    };
    return cmocka_run_group_tests_name("gicv3-model", tests, NULL, NULL);
}
