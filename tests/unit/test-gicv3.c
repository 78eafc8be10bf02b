/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device/gicv3: registers, inputs, reset and making, against Arm IHI 0069.
 * What becomes of interrupts is test-gicv3-interrupts'.
 */
#include "gicv3-fixture.h"

#include <pthread.h>
#include <stdlib.h>

FIXTURE(setup1, 1)
FIXTURE(setup2, 2)
FIXTURE(setup20, 20)
FIXTURE(setup64, 64)

/* --- Identification, reset values, what is not there. */

static void test_identity(void **state)
{
    assert_int_equal(dist_read(g, CTLR), 0x50);
    uint32_t typer = dist_read(g, TYPER);
    assert_int_equal(typer & 0x1f, 30);      /* INTIDs below 992 */
    assert_int_equal(typer >> 5 & 0x3f, 0);  /* CPUNumber, ESPI, SecurityExtn */
    assert_int_equal(typer >> 16 & 3, 1);    /* MBIS, no LPIs */
    assert_int_equal(typer >> 19 & 0x1f, 9); /* ten bits of INTID */
    assert_int_equal(typer >> 25 & 3, 0);    /* one of N works; no RSS */
    assert_int_equal(dist_read(g, PIDR2), 0x3b);
    assert_int_equal(dist_read(g, 0xfff0), 0x0d);
    assert_int_equal(dist_read(g, 0xfffc), 0xb1);
    assert_int_not_equal(dist_read(g, IIDR), 0);
    for (unsigned cpu = 0; cpu < g->cpus; cpu++) {
        assert_int_equal(redist_read(g, cpu, PIDR2), 0x3b);
        assert_int_not_equal(redist_read(g, cpu, 4), 0);
        assert_int_equal(redist_read(g, cpu, 0), 0);
        uint64_t redist_typer = region_read(&gic_of(g)->redist_region,
                                            cpu * (uint64_t)MV_GICV3_REDIST_SIZE + 8, 8);
        assert_int_equal(redist_typer >> 32, affinity(cpu));
        assert_int_equal(redist_typer >> 8 & 0xffff, cpu);
        assert_int_equal(redist_typer & 0xff, cpu == g->cpus - 1 ? 0x10 : 0);
        assert_int_equal(redist_read(g, cpu, 8), (uint32_t)redist_typer);
        assert_int_equal(redist_read(g, cpu, 12), redist_typer >> 32);
    }
    /* Behind the last redistributor there is nothing. */
    assert_int_equal(redist_read(g, g->cpus, PIDR2), 0);
}

static void test_reset_values(void **state)
{
    assert_int_equal(redist_read(g, 0, SGI_FRAME + ICFGR), 0xaaaaaaaa);
    assert_int_equal(redist_read(g, 0, SGI_FRAME + ICFGR + 4), 0);
    assert_int_equal(redist_read(g, 0, 0x14), 6);
    assert_int_equal(dist_read(g, ICFGR + 8), 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_SRE), 7);
    assert_int_equal(icc_read(g, 0, MV_ICC_PMR), 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_BPR0), 2);
    assert_int_equal(icc_read(g, 0, MV_ICC_BPR1), 3);
    assert_int_equal(icc_read(g, 0, MV_ICC_CTLR) & 0x7fff, 0x400);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
    assert_int_equal(icc_read(g, 0, MV_ICC_IGRPEN0), 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_IGRPEN1), 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR0), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), SPURIOUS);
}

static void test_waker(void **state)
{
    redist_write(g, 1, 0x14, 0);
    assert_int_equal(redist_read(g, 1, 0x14), 0);
    assert_int_equal(redist_read(g, 0, 0x14), 6);
    redist_write(g, 1, 0x14, 4); /* ChildrenAsleep is read-only */
    assert_int_equal(redist_read(g, 1, 0x14), 0);
    redist_write(g, 1, 0x14, 2);
    assert_int_equal(redist_read(g, 1, 0x14), 6);
}

static void test_ctlr(void **state)
{
    dist_write(g, CTLR, 0xffffffff);
    assert_int_equal(dist_read(g, CTLR), 0x53);
    dist_write(g, CTLR, 2);
    assert_int_equal(dist_read(g, CTLR), 0x52);
    dist_write(g, CTLR, 0);
    assert_int_equal(dist_read(g, CTLR), 0x50);
}

/* Registers of interrupts that are not there, or that DS and ARE take away. */
static void test_raz_wi(void **state)
{
    static const uint32_t offsets[] = {
        0x00c,
        0x010,
        0x020,
        0x050,
        0x07c,
        IGROUPR,
        ISENABLER,
        ISPENDR,
        ISACTIVER,
        IPRIORITYR,
        IPRIORITYR + 0x1c,
        IPRIORITYR + 992,
        IPRIORITYR + 1020,
        ITARGETSR,
        ITARGETSR + 32,
        ICFGR,
        ICFGR + 4,
        ICFGR + 992 / 4,
        IGRPMODR + 4,
        NSACR + 8,
        0xf00,
        0xf10,
        0xf20,
        0x1000,
        0x5ffc,
        IROUTER,
        IROUTER + 31 * 8,
        IROUTER + 992 * 8,
        IROUTER + 1019 * 8,
        0x8000,
        0xffc8,
        IGROUPR + 31 * 4,
        ISENABLER + 31 * 4,
        ISPENDR + 31 * 4,
        ISACTIVER + 31 * 4,
    };
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        dist_write(g, offsets[i], UINT32_MAX);
        assert_int_equal(dist_read(g, offsets[i]), 0);
    }
    static const uint32_t redist_offsets[] = {
        0x000,
        0x010,
        0x070,
        0x078,
        0x0a0,
        0x0c0,
        0xffc8,
        SGI_FRAME,
        SGI_FRAME + 4,
        SGI_FRAME + 0x14,
        SGI_FRAME + IGROUPR + 4,
        SGI_FRAME + ISENABLER + 4,
        SGI_FRAME + IPRIORITYR + 32,
        SGI_FRAME + ITARGETSR,
        SGI_FRAME + ICFGR + 8,
        SGI_FRAME + IGRPMODR,
        SGI_FRAME + NSACR,
        SGI_FRAME + PIDR2,
    };
    for (size_t i = 0; i < sizeof redist_offsets / sizeof redist_offsets[0]; i++) {
        redist_write(g, 1, redist_offsets[i], UINT32_MAX);
        assert_int_equal(redist_read(g, 1, redist_offsets[i]), 0);
    }
}

/* --- Registers that keep what is written. */

static void test_bitmaps(void **state)
{
    static const struct {
        uint32_t set, clear;
    } pairs[] = {{ISENABLER, ICENABLER}, {ISPENDR, ICPENDR}, {ISACTIVER, ICACTIVER}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (unsigned word = 1; word <= 30; word++) {
            uint64_t set = pairs[i].set + word * 4, clear = pairs[i].clear + word * 4;
            dist_write(g, set, 0xf00ff00f);
            dist_write(g, set, 0x000000f0);
            assert_int_equal(dist_read(g, set), 0xf00ff0ff);
            dist_write(g, clear, 0xf000000f);
            assert_int_equal(dist_read(g, set), 0x000ff0f0);
            assert_int_equal(dist_read(g, clear), 0x000ff0f0);
            dist_write(g, clear, UINT32_MAX);
        }
        redist_write(g, 1, SGI_FRAME + pairs[i].set, 0x80018001);
        assert_int_equal(redist_read(g, 1, SGI_FRAME + pairs[i].clear), 0x80018001);
        assert_int_equal(redist_read(g, 0, SGI_FRAME + pairs[i].set), 0);
        redist_write(g, 1, SGI_FRAME + pairs[i].clear, 0x80000001);
        assert_int_equal(redist_read(g, 1, SGI_FRAME + pairs[i].set), 0x00018000);
    }
    dist_write(g, IGROUPR + 8, 0x12345678);
    assert_int_equal(dist_read(g, IGROUPR + 8), 0x12345678);
    redist_write(g, 0, SGI_FRAME + IGROUPR, 0x9abcdef0);
    assert_int_equal(redist_read(g, 0, SGI_FRAME + IGROUPR), 0x9abcdef0);
}

static void test_priorities(void **state)
{
    const struct mv_mmio_region *dist = &g->device->region;
    dist_write(g, IPRIORITYR + 40, 0x40ffa107);
    assert_int_equal(dist_read(g, IPRIORITYR + 40), 0x40f8a000); /* five bits each */
    region_write(dist, IPRIORITYR + 41, 0x1ff, 1);
    assert_int_equal(dist_read(g, IPRIORITYR + 40), 0x40f8f800);
    assert_int_equal(region_read(dist, IPRIORITYR + 43, 1), 0x40);
    assert_int_equal(region_read(dist, IPRIORITYR + 42, 2), 0); /* no such access */
    region_write(dist, IPRIORITYR + 991, 0x88, 1);
    assert_int_equal(region_read(dist, IPRIORITYR + 991, 1), 0x88);
    redist_write(g, 1, SGI_FRAME + IPRIORITYR + 28, 0x08101820);
    assert_int_equal(redist_read(g, 1, SGI_FRAME + IPRIORITYR + 28), 0x08101820);
    assert_int_equal(redist_read(g, 0, SGI_FRAME + IPRIORITYR + 28), 0);
}

static void test_config(void **state)
{
    dist_write(g, ICFGR + 8, 0xffffffff);
    assert_int_equal(dist_read(g, ICFGR + 8), 0xaaaaaaaa);
    dist_write(g, ICFGR + 12, 0x80000002);
    assert_int_equal(dist_read(g, ICFGR + 12), 0x80000002);
    assert_int_equal(dist_read(g, ICFGR + 8), 0xaaaaaaaa);
    redist_write(g, 0, SGI_FRAME + ICFGR, 0); /* SGIs stay edge-triggered */
    assert_int_equal(redist_read(g, 0, SGI_FRAME + ICFGR), 0xaaaaaaaa);
    redist_write(g, 0, SGI_FRAME + ICFGR + 4, 0xffffffff);
    assert_int_equal(redist_read(g, 0, SGI_FRAME + ICFGR + 4), 0xaaaaaaaa);
}

static void test_router_halves(void **state)
{
    const struct mv_mmio_region *dist = &g->device->region;
    uint64_t offset = IROUTER + 100 * 8;
    region_write(dist, offset, UINT64_MAX, 8);
    assert_int_equal(region_read(dist, offset, 8), UINT64_C(0xff80ffffff));
    assert_int_equal(dist_read(g, offset), 0x80ffffff);
    assert_int_equal(dist_read(g, offset + 4), 0xff);
    dist_write(g, offset, 0x00000102);
    assert_int_equal(region_read(dist, offset, 8), UINT64_C(0xff00000102));
    dist_write(g, offset + 4, 0xffffff00);
    assert_int_equal(region_read(dist, offset, 8), 0x102);
    assert_int_equal(region_read(dist, offset, 1), 0);
    region_write(dist, offset, 0xff, 1);
    assert_int_equal(region_read(dist, offset, 8), 0x102);
    region_write(dist, IROUTER + 991 * 8, 1, 8);
    assert_int_equal(region_read(dist, IROUTER + 991 * 8, 8), 1);
}

static void test_icc_registers(void **state)
{
    static const struct {
        enum mv_icc_reg reg;
        uint64_t write, read;
    } cases[] = {
        {MV_ICC_PMR, 0xff, 0xf8},
        {MV_ICC_PMR, 0x1a5, 0xa0},
        {MV_ICC_BPR0, 0, 2},
        {MV_ICC_BPR0, 7, 7},
        {MV_ICC_BPR0, 8, 2},
        {MV_ICC_BPR1, 0, 3},
        {MV_ICC_BPR1, 5, 5},
        {MV_ICC_SRE, 0, 7},
        {MV_ICC_IGRPEN0, 0xff, 1},
        {MV_ICC_IGRPEN1, 2, 0},
        {MV_ICC_CTLR, 0xfffffff2, 0x8402},
        {MV_ICC_CTLR, 1, 0x8401},
        {MV_ICC_AP0R0, UINT64_C(0x1234567890), 0x34567890},
        {MV_ICC_AP1R0, 0x80000000, 0x80000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        icc_write(g, 0, cases[i].reg, cases[i].write);
        assert_int_equal(icc_read(g, 0, cases[i].reg), cases[i].read);
    }
    /* CBPR, on since the last write of CTLR: BPR1 follows BPR0. */
    icc_write(g, 0, MV_ICC_BPR0, 4);
    icc_write(g, 0, MV_ICC_BPR1, 7);
    assert_int_equal(icc_read(g, 0, MV_ICC_BPR1), 5);
    icc_write(g, 0, MV_ICC_BPR0, 7);
    assert_int_equal(icc_read(g, 0, MV_ICC_BPR1), 7);
    icc_write(g, 0, MV_ICC_CTLR, 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_BPR1), 5);
}

static void test_icc_access(void **state)
{
    static const enum mv_icc_reg read_only[] = {MV_ICC_IAR0, MV_ICC_IAR1, MV_ICC_HPPIR0,
                                                MV_ICC_HPPIR1, MV_ICC_RPR};
    static const enum mv_icc_reg write_only[] = {MV_ICC_EOIR0, MV_ICC_EOIR1, MV_ICC_DIR,
                                                 MV_ICC_SGI0R, MV_ICC_SGI1R, MV_ICC_ASGI1R};
    const struct mv_irqchip_ops *ops = g->chip->ops;
    uint64_t value = 42;
    for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++) {
        assert_false(ops->cpu_write(g->chip, 0, read_only[i], 0));
        assert_true(ops->cpu_read(g->chip, 0, read_only[i], &value));
    }
    value = 42;
    for (size_t i = 0; i < sizeof write_only / sizeof write_only[0]; i++) {
        assert_false(ops->cpu_read(g->chip, 0, write_only[i], &value));
        assert_true(ops->cpu_write(g->chip, 0, write_only[i], 0));
    }
    assert_false(ops->cpu_read(g->chip, 1, MV_ICC_PMR, &value)); /* no such CPU */
    assert_false(ops->cpu_read(g->chip, 0, (enum mv_icc_reg)99, &value));
    assert_false(ops->cpu_write(g->chip, 64, MV_ICC_PMR, 0));
    assert_int_equal(value, 42);
}

/* --- Inputs, sink, reset, making. */

static void test_inputs_out_of_range(void **state)
{
    gic_open(g);
    static const unsigned bad_spis[] = {0, 31, 992, 1019, 1023, 5000, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad_spis / sizeof bad_spis[0]; i++)
        spi_set(g, bad_spis[i], true);
    ppi_set(g, 0, 15, true);
    ppi_set(g, 0, 32, true);
    ppi_set(g, 2, 27, true);
    ppi_set(g, UINT32_MAX, 27, true);
    assert_int_equal(g->calls, 0);
}

static void test_sink(void **state)
{
    gic_open(g);
    assert_int_equal(g->calls, 0);
    spi_set(g, 100, true);
    assert_int_equal(g->calls, 1);
    spi_set(g, 101, true); /* no change of the line */
    icc_write(g, 0, MV_ICC_PMR, 0xe0);
    icc_read(g, 0, MV_ICC_HPPIR1);
    dist_read(g, ISPENDR + 12);
    assert_int_equal(g->calls, 1);

    struct gic other = {.sink.set_lines = gic_set_lines}; /* a later one hears what is up */
    g->chip->ops->set_sink(g->chip, &other.sink);
    assert_true(other.irq[0]);
    assert_int_equal(other.calls, 1);
    g->chip->ops->set_sink(g->chip, NULL);
    spi_set(g, 101, false);
    spi_set(g, 100, false);
    assert_int_equal(other.calls, 1);
}

static void test_reset(void **state)
{
    struct gic fresh;
    gic_create(&fresh, 2, 960);
    gic_open(g);
    spi_set(g, 100, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    edge_write(g, 0, 110, true);
    router_write(g, 110, 1);
    bit_write(g, 0, ISPENDR, 110);
    redist_write(g, 1, SGI_FRAME + ICFGR + 4, UINT32_MAX);
    icc_write(g, 1, MV_ICC_CTLR, 3);
    assert_true(g->irq[1]);
    g->device->ops->reset(g->device);
    assert_int_equal(lines_up(g), 0);
    /* Every register as in a new chip, apart from what the wire shows. */
    spi_set(&fresh, 100, true);
    for (uint64_t offset = 0; offset < MV_GICV3_DIST_SIZE; offset += 4)
        assert_int_equal(dist_read(g, offset), dist_read(&fresh, offset));
    for (uint64_t offset = 0; offset < MV_GICV3_REDIST_SIZE; offset += 4) {
        assert_int_equal(redist_read(g, 0, offset), redist_read(&fresh, 0, offset));
        assert_int_equal(redist_read(g, 1, offset), redist_read(&fresh, 1, offset));
    }
    for (unsigned reg = MV_ICC_PMR; reg <= MV_ICC_IGRPEN1; reg++) {
        uint64_t a = 0, b = 0;
        g->chip->ops->cpu_read(g->chip, 1, reg, &a);
        fresh.chip->ops->cpu_read(fresh.chip, 1, reg, &b);
        assert_int_equal(a, b);
    }
    gic_destroy(&fresh);
    gic_open(g);
    assert_true(g->irq[0]); /* the wire is still up */
    assert_false(g->irq[1]);
    router_write(g, 110, 0);
}

static void test_create_refused(void **state)
{
    static const struct {
        struct mv_gicv3_params params;
        const char *message;
    } cases[] = {
        {{.cpus = 0, .spi_count = 32}, "0 CPUs"},
        {{.cpus = 65, .spi_count = 32}, "65 CPUs"},
        {{.cpus = 1, .spi_count = 33}, "33 SPIs"},
        {{.cpus = 1, .spi_count = 992}, "992 SPIs"},
        {{.cpus = 1, .spi_count = 32, .msi_base_intid = 31, .msi_count = 1}, "INTID 31"},
        {{.cpus = 1, .spi_count = 32, .msi_base_intid = 64, .msi_count = 1}, "INTID 64"},
        {{.cpus = 1, .spi_count = 32, .msi_base_intid = 63, .msi_count = 2}, "2 SPIs"},
        {{.cpus = 1, .spi_count = 32, .msi_base_intid = 33, .msi_count = UINT32_MAX}, "INTID 33"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_device *device = NULL;
        struct mv_error err = {""};
        const struct mv_gicv3_wiring wiring = {.params = cases[i].params};
        const struct mv_platform platform = {.cpus = cases[i].params.cpus};
        const struct mv_platform_row row = {.wiring = &wiring};
        assert_int_equal(mv_gicv3_type.create(&platform, &row, &device, &err), -EINVAL);
        assert_null(device);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("'%s' lacks '%s'", err.text, cases[i].message);
    }
}

/* An offset that is mostly aligned and where registers stand, sometimes wild. */
static uint64_t fuzz_offset(unsigned short seed[3], unsigned size)
{
    static const uint32_t windows[] = {0,      0x40,      IGROUPR, IPRIORITYR, ICFGR,  IROUTER,
                                       0xffc0, SGI_FRAME, 0x10400, 0x10c00,    0x7f00, 0x20000};
    uint64_t wild = (uint64_t)nrand48(seed);
    if (wild % 8 == 0)
        return wild;
    uint64_t offset = windows[wild / 8 % (sizeof windows / sizeof windows[0])];
    offset += (uint64_t)nrand48(seed) % 0x400 & ~(uint64_t)(size - 1);
    return offset + (uint64_t)nrand48(seed) % 22 * MV_GICV3_REDIST_SIZE * (wild >> 16 & 1);
}

/* Any offset, size and value from any CPU: for the sanitizers to watch. */
static void *fuzz(void *opaque)
{
    const struct mv_mmio_region *regions[] = {
        &g->device->region,
        &gic_of(g)->redist_region,
        &gic_of(g)->v2m_region,
    };
    unsigned short seed[3] = {1, 2, *(const unsigned short *)opaque};
    for (unsigned i = 0; i < 100000; i++) {
        if (i % 1024 == 0) { /* lest all ends up masked */
            g->device->ops->reset(g->device);
            gic_open(g);
        }
        uint64_t value =
            (uint64_t)nrand48(seed) << 33 ^ (uint64_t)nrand48(seed) << 10 ^ (uint64_t)nrand48(seed);
        unsigned size = 1u << nrand48(seed) % 4;
        uint64_t offset = fuzz_offset(seed, size);
        const struct mv_mmio_region *region = regions[nrand48(seed) % 3];
        unsigned cpu = (unsigned)nrand48(seed) % 21;
        enum mv_icc_reg reg = (enum mv_icc_reg)(nrand48(seed) % (MV_ICC_IGRPEN1 + 2));
        uint64_t unused;
        switch (nrand48(seed) % 7) {
        case 0:
            region_read(region, offset, size);
            break;
        case 1:
            region_write(region, offset, value, size);
            break;
        case 2:
            g->chip->ops->cpu_read(g->chip, cpu, reg, &unused);
            break;
        case 3:
            g->chip->ops->cpu_write(g->chip, cpu, reg, value);
            break;
        case 4:
            spi_set(g, value % 1100, value >> 32 & 1);
            break;
        case 5:
            ppi_set(g, cpu, value % 40, value >> 32 & 1);
            break;
        default:
            g->chip->ops->message(g->chip, value % 1100);
        }
    }
    return NULL;
}

static void test_fuzz(void **state)
{
    pthread_t threads[3];
    static const unsigned short seeds[3] = {3, 4, 5};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fuzz, (void *)&seeds[i]), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(g->calls > 4000); /* it did not run idle */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity, setup1),
        TEST(test_identity, setup20),
        TEST(test_identity, setup64),
        TEST(test_reset_values, setup1),
        TEST(test_waker, setup2),
        TEST(test_ctlr, setup1),
        TEST(test_raz_wi, setup2),
        TEST(test_bitmaps, setup2),
        TEST(test_priorities, setup2),
        TEST(test_config, setup1),
        TEST(test_router_halves, setup1),
        TEST(test_icc_registers, setup1),
        TEST(test_icc_access, setup1),
        TEST(test_inputs_out_of_range, setup2),
        TEST(test_sink, setup1),
        TEST(test_reset, setup2),
        cmocka_unit_test(test_create_refused),
        TEST(test_fuzz, setup20),
    };
    return cmocka_run_group_tests_name("gicv3", tests, NULL, NULL);
}
