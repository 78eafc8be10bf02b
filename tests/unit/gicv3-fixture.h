/* SPDX-License-Identifier: Apache-2.0 */
/* A GIC with a sink that keeps the CPUs' lines, and short ways to reach it. */
#ifndef MV_TESTS_GICV3_FIXTURE_H
#define MV_TESTS_GICV3_FIXTURE_H

#include "arm64.h"
#include "gicv3-state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CTLR       0x0000
#define TYPER      0x0004
#define IIDR       0x0008
#define SETSPI_NSR 0x0040
#define CLRSPI_NSR 0x0048
#define IGROUPR    0x0080
#define ISENABLER  0x0100
#define ICENABLER  0x0180
#define ISPENDR    0x0200
#define ICPENDR    0x0280
#define ISACTIVER  0x0300
#define ICACTIVER  0x0380
#define IPRIORITYR 0x0400
#define ITARGETSR  0x0800
#define ICFGR      0x0c00
#define IGRPMODR   0x0d00
#define NSACR      0x0e00
#define IROUTER    0x6000
#define PIDR2      0xffe8

#define SGI_FRAME UINT64_C(0x10000)
#define SPURIOUS  1023

struct gic {
    struct mv_irq_sink sink; /* first */
    struct mv_device *device;
    struct mv_irqchip *chip;
    unsigned cpus;
    bool irq[64];
    bool fiq[64];
    unsigned calls; /* of set_lines */
    bool repeated;  /* set_lines was called without a change */
};

static void gic_set_lines(struct mv_irq_sink *sink, unsigned cpu, bool irq, bool fiq)
{
    struct gic *g = (struct gic *)sink;
    g->calls++;
    g->repeated |= g->irq[cpu] == irq && g->fiq[cpu] == fiq;
    g->irq[cpu] = irq;
    g->fiq[cpu] = fiq;
}

static inline struct mv_gicv3 *gic_of(struct gic *g)
{
    return (struct mv_gicv3 *)g->device;
}

static inline void gic_create(struct gic *g, unsigned cpus, unsigned spis)
{
    struct mv_gicv3_wiring wiring = {.params.spi_count = spis};
    const struct mv_platform platform = {.cpus = cpus};
    const struct mv_platform_row row = {.wiring = &wiring};
    if (spis > 32) {
        wiring.params.msi_base_intid = 64;
        wiring.params.msi_count = spis - 32;
    }
    memset(g, 0, sizeof *g);
    g->cpus = cpus;
    g->sink.set_lines = gic_set_lines;
    struct mv_error err = {""};
    if (mv_gicv3_type.create(&platform, &row, &g->device, &err) < 0)
        fail_msg("%s", err.text);
    g->chip = &gic_of(g)->chip;
    g->chip->ops->set_sink(g->chip, &g->sink);
}

static inline void gic_destroy(struct gic *g)
{
    assert_false(g->repeated);
    mv_device_destroy(g->device);
}

static inline uint64_t region_read(const struct mv_mmio_region *region, uint64_t offset,
                                   unsigned size)
{
    return region->ops->read(region->opaque, offset, size);
}

static inline void region_write(const struct mv_mmio_region *region, uint64_t offset,
                                uint64_t value, unsigned size)
{
    region->ops->write(region->opaque, offset, value, size);
}

static inline uint32_t dist_read(struct gic *g, uint64_t offset)
{
    return (uint32_t)region_read(&g->device->region, offset, 4);
}

static inline void dist_write(struct gic *g, uint64_t offset, uint32_t value)
{
    region_write(&g->device->region, offset, value, 4);
}

static inline uint32_t redist_read(struct gic *g, unsigned cpu, uint64_t offset)
{
    return (uint32_t)region_read(&gic_of(g)->redist_region,
                                 cpu * (uint64_t)MV_GICV3_REDIST_SIZE + offset, 4);
}

static inline void redist_write(struct gic *g, unsigned cpu, uint64_t offset, uint32_t value)
{
    region_write(&gic_of(g)->redist_region, cpu * (uint64_t)MV_GICV3_REDIST_SIZE + offset,
                 value, 4);
}

/* A bitmap register's word or bit for an INTID, wherever it stands. */
static inline uint32_t word_read(struct gic *g, unsigned cpu, uint64_t reg, unsigned intid)
{
    return intid < 32 ? redist_read(g, cpu, SGI_FRAME + reg) : dist_read(g, reg + intid / 32 * 4);
}

static inline bool bit_read(struct gic *g, unsigned cpu, uint64_t reg, unsigned intid)
{
    return word_read(g, cpu, reg, intid) >> (intid % 32) & 1;
}

static inline void bit_write(struct gic *g, unsigned cpu, uint64_t reg, unsigned intid)
{
    if (intid < 32)
        redist_write(g, cpu, SGI_FRAME + reg, UINT32_C(1) << intid);
    else
        dist_write(g, reg + intid / 32 * 4, UINT32_C(1) << (intid % 32));
}

static inline void group_write(struct gic *g, unsigned cpu, unsigned intid, unsigned group)
{
    uint64_t offset = IGROUPR + intid / 32 * 4;
    uint32_t bit = UINT32_C(1) << (intid % 32);
    uint32_t value = word_read(g, cpu, IGROUPR, intid);
    value = group ? value | bit : value & ~bit;
    if (intid < 32)
        redist_write(g, cpu, SGI_FRAME + offset, value);
    else
        dist_write(g, offset, value);
}

static inline void priority_write(struct gic *g, unsigned cpu, unsigned intid, uint8_t priority)
{
    if (intid < 32)
        region_write(&gic_of(g)->redist_region,
                     cpu * (uint64_t)MV_GICV3_REDIST_SIZE + SGI_FRAME + IPRIORITYR + intid,
                     priority, 1);
    else
        region_write(&g->device->region, IPRIORITYR + intid, priority, 1);
}

static inline void edge_write(struct gic *g, unsigned cpu, unsigned intid, bool edge)
{
    uint64_t offset = ICFGR + intid / 16 * 4;
    uint32_t bit = UINT32_C(2) << (intid % 16 * 2);
    uint32_t value = intid < 32 ? redist_read(g, cpu, SGI_FRAME + offset) : dist_read(g, offset);
    value = edge ? value | bit : value & ~bit;
    if (intid < 32)
        redist_write(g, cpu, SGI_FRAME + offset, value);
    else
        dist_write(g, offset, value);
}

static inline uint64_t affinity(unsigned cpu)
{
    return (uint64_t)(cpu >> 4) << 8 | (cpu & 15);
}

static inline void router_write(struct gic *g, unsigned intid, uint64_t value)
{
    region_write(&g->device->region, IROUTER + intid * 8, value, 8);
}

static inline uint64_t icc_read(struct gic *g, unsigned cpu, enum mv_icc_reg reg)
{
    uint64_t value = 0;
    assert_true(g->chip->ops->cpu_read(g->chip, cpu, reg, &value));
    return value;
}

static inline void icc_write(struct gic *g, unsigned cpu, enum mv_icc_reg reg, uint64_t value)
{
    assert_true(g->chip->ops->cpu_write(g->chip, cpu, reg, value));
}

static inline void spi_set(struct gic *g, unsigned intid, bool level)
{
    g->chip->ops->set_spi(g->chip, intid, level);
}

static inline void ppi_set(struct gic *g, unsigned cpu, unsigned intid, bool level)
{
    g->chip->ops->set_ppi(g->chip, cpu, intid, level);
}

static inline unsigned lines_up(const struct gic *g)
{
    unsigned count = 0;
    for (unsigned cpu = 0; cpu < g->cpus; cpu++)
        count += g->irq[cpu] + g->fiq[cpu];
    return count;
}

/* What an operating system sets up: all in Group 1, everything on and open. */
static inline void gic_open(struct gic *g)
{
    dist_write(g, CTLR, 3);
    for (unsigned word = 1; word < 31; word++) {
        dist_write(g, IGROUPR + word * 4, UINT32_MAX);
        dist_write(g, ISENABLER + word * 4, UINT32_MAX);
    }
    for (unsigned intid = 32; intid < 992; intid++)
        priority_write(g, 0, intid, 0xa0);
    for (unsigned cpu = 0; cpu < g->cpus; cpu++) {
        redist_write(g, cpu, 0x14, 0);
        redist_write(g, cpu, SGI_FRAME + IGROUPR, UINT32_MAX);
        redist_write(g, cpu, SGI_FRAME + ISENABLER, UINT32_MAX);
        for (unsigned intid = 0; intid < 32; intid++)
            priority_write(g, cpu, intid, 0xa0);
        icc_write(g, cpu, MV_ICC_PMR, 0xf0);
        icc_write(g, cpu, MV_ICC_IGRPEN0, 1);
        icc_write(g, cpu, MV_ICC_IGRPEN1, 1);
    }
}

/* A test's chip, and fixtures for some numbers of CPUs. */
static struct gic test_gic;
static struct gic *const g = &test_gic;

#define FIXTURE(name, cpus)                                                                        \
    static int name(void **state)                                                                  \
    {                                                                                              \
        gic_create(g, cpus, 960);                                                                  \
        return 0;                                                                                  \
    }

static inline int teardown(void **state)
{
    gic_destroy(g);
    return 0;
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
