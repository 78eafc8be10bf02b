/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GICv3 as simple as the specification's words (Arm IHI 0069): an array of
 * interrupts, everything found by looking at all of them each time.  No
 * bitmaps, no caches, nothing shared with device/gicv3.
 */
#ifndef MV_TESTS_GICV3_MODEL_H
#define MV_TESTS_GICV3_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MODEL_CPUS     64
#define MODEL_INTIDS   992
#define MODEL_SPURIOUS 1023

struct model_interrupt {
    bool group1, enabled, latched, active, edge, wire, message;
    unsigned priority;
    bool one_of_n;
    unsigned aff3, aff2, aff1, aff0;
};

struct model_cpu {
    struct model_interrupt private_interrupts[32];
    unsigned mask; /* ICC_PMR */
    unsigned bpr[2];
    bool group_on[2];
    bool cbpr, eoi_mode;
    bool active_priority[2][256]; /* by group; only multiples of 8 occur */
};

struct model {
    unsigned cpus, intids;
    bool group_on[2]; /* GICD_CTLR */
    struct model_cpu cpu[MODEL_CPUS];
    struct model_interrupt spis[MODEL_INTIDS]; /* from 32 on */
};

struct model_best {
    unsigned intid, priority, group;
};

static inline void model_init(struct model *m, unsigned cpus, unsigned spis)
{
    memset(m, 0, sizeof *m);
    m->cpus = cpus;
    m->intids = 32 + spis;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        m->cpu[cpu].bpr[0] = 2;
        m->cpu[cpu].bpr[1] = 3;
        for (unsigned sgi = 0; sgi < 16; sgi++)
            m->cpu[cpu].private_interrupts[sgi].edge = true;
    }
}

/* NULL where the INTID does not exist. */
static inline struct model_interrupt *model_find(struct model *m, unsigned cpu, unsigned intid)
{
    if (intid < 32)
        return &m->cpu[cpu].private_interrupts[intid];
    return intid < m->intids ? &m->spis[intid] : NULL;
}

static inline bool model_pending(const struct model_interrupt *i)
{
    return i->latched || (!i->edge && (i->wire || i->message));
}

static inline void model_wire(struct model_interrupt *i, bool level)
{
    if (level && !i->wire && i->edge)
        i->latched = true;
    i->wire = level;
}

/* What gic_open of gicv3-fixture.h writes. */
static inline void model_open(struct model *m)
{
    m->group_on[0] = m->group_on[1] = true;
    for (unsigned cpu = 0; cpu < m->cpus; cpu++) {
        m->cpu[cpu].mask = 0xf0;
        m->cpu[cpu].group_on[0] = m->cpu[cpu].group_on[1] = true;
        for (unsigned intid = 0; intid < m->intids; intid++) {
            struct model_interrupt *i = model_find(m, cpu, intid);
            i->group1 = i->enabled = true;
            i->priority = 0xa0;
        }
    }
}

/* Whether an SPI is for this CPU.  Which one of N is the implementation's
 * choice; ours is the first that takes part, from the SPI's number on. */
static inline bool model_routed(const struct model *m, unsigned intid, unsigned cpu)
{
    const struct model_interrupt *i = &m->spis[intid];
    if (!i->one_of_n)
        return i->aff3 == 0 && i->aff2 == 0 && i->aff1 == cpu / 16 && i->aff0 == cpu % 16;
    for (unsigned n = 0; n < m->cpus; n++) {
        unsigned candidate = (intid - 32 + n) % m->cpus;
        if (m->cpu[candidate].group_on[i->group1])
            return candidate == cpu;
    }
    return false;
}

static inline struct model_best model_best(struct model *m, unsigned cpu)
{
    struct model_best best = {MODEL_SPURIOUS, 0x100, 0};
    for (unsigned intid = 0; intid < m->intids; intid++) {
        const struct model_interrupt *i = model_find(m, cpu, intid);
        if (!model_pending(i) || !i->enabled || i->active || i->priority >= best.priority)
            continue;
        if (!m->group_on[i->group1] || !m->cpu[cpu].group_on[i->group1])
            continue;
        if (intid >= 32 && !model_routed(m, intid, cpu))
            continue;
        best = (struct model_best){intid, i->priority, i->group1};
    }
    return best;
}

static inline unsigned model_running(const struct model *m, unsigned cpu)
{
    for (unsigned priority = 0; priority < 256; priority++) {
        if (m->cpu[cpu].active_priority[0][priority] || m->cpu[cpu].active_priority[1][priority])
            return priority;
    }
    return 0xff;
}

/* The tables of binary points: for Group 0 from 2 (fffff.000) to 7 (none). */
static inline unsigned model_group_priority(const struct model *m, unsigned cpu, unsigned group,
                                            unsigned priority)
{
    const struct model_cpu *c = &m->cpu[cpu];
    unsigned subpriority_bits = group == 0 || c->cbpr ? c->bpr[0] + 1 : c->bpr[1];
    return priority >> subpriority_bits << subpriority_bits;
}

static inline bool model_signalled(struct model *m, unsigned cpu, struct model_best best)
{
    if (best.intid == MODEL_SPURIOUS || best.priority >= m->cpu[cpu].mask)
        return false;
    unsigned running = model_running(m, cpu);
    return running == 0xff || model_group_priority(m, cpu, best.group, best.priority) <
                                  model_group_priority(m, cpu, best.group, running);
}

static inline unsigned model_hppir(struct model *m, unsigned cpu, unsigned group)
{
    struct model_best best = model_best(m, cpu);
    return best.intid != MODEL_SPURIOUS && best.group == group ? best.intid : MODEL_SPURIOUS;
}

static inline unsigned model_iar(struct model *m, unsigned cpu, unsigned group)
{
    struct model_best best = model_best(m, cpu);
    if (!model_signalled(m, cpu, best) || best.group != group)
        return MODEL_SPURIOUS;
    struct model_interrupt *i = model_find(m, cpu, best.intid);
    i->latched = false;
    i->active = true;
    unsigned priority = model_group_priority(m, cpu, group, best.priority);
    m->cpu[cpu].active_priority[group][priority] = true;
    return best.intid;
}

static inline void model_deactivate(struct model *m, unsigned cpu, unsigned intid)
{
    struct model_interrupt *i = model_find(m, cpu, intid);
    if (i != NULL)
        i->active = false;
}

static inline void model_eoir(struct model *m, unsigned cpu, unsigned group, unsigned intid)
{
    struct model_cpu *c = &m->cpu[cpu];
    unsigned running = model_running(m, cpu);
    if (running == 0xff || model_find(m, cpu, intid) == NULL)
        return;
    /* What both groups have active counts as Group 0's. */
    unsigned running_group = c->active_priority[0][running] ? 0 : 1;
    if (running_group != group)
        return;
    c->active_priority[group][running] = false;
    if (!c->eoi_mode)
        model_deactivate(m, cpu, intid);
}

static inline void model_dir(struct model *m, unsigned cpu, unsigned intid)
{
    if (m->cpu[cpu].eoi_mode)
        model_deactivate(m, cpu, intid);
}

/* An SGI of a group to Aff3.Aff2.Aff1.<list>, or to all others. */
static inline void model_sgi(struct model *m, unsigned sender, unsigned group, uint64_t value)
{
    unsigned sgi = value >> 24 & 15;
    for (unsigned cpu = 0; cpu < m->cpus; cpu++) {
        bool named = (value >> 48 & 0xff) == 0 && (value >> 32 & 0xff) == 0 &&
                     (value >> 16 & 0xff) == cpu / 16 && (value >> cpu % 16 & 1) != 0;
        struct model_interrupt *i = &m->cpu[cpu].private_interrupts[sgi];
        if ((value >> 40 & 1 ? cpu != sender : named) && i->group1 == group)
            i->latched = true;
    }
}

#endif
