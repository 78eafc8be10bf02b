/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device/gicv3: states, priorities and routing of interrupts against Arm IHI
 * 0069.  How they work together at random is test-gicv3-model's.
 */
#include "gicv3-fixture.h"

FIXTURE(setup1, 1)
FIXTURE(setup2, 2)
FIXTURE(setup20, 20)
FIXTURE(setup64, 64)

/* --- One interrupt's life. */

static void test_level_life(void **state)
{
    gic_open(g);
    ppi_set(g, 0, 27, true);
    assert_true(g->irq[0]);
    assert_false(g->fiq[0]);
    assert_true(bit_read(g, 0, ISPENDR, 27));
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 27);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 27);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0);
    assert_int_equal(icc_read(g, 0, MV_ICC_AP1R0), 1u << (0xa0 >> 3));
    assert_false(g->irq[0]);
    assert_true(bit_read(g, 0, ISACTIVER, 27));
    assert_true(bit_read(g, 0, ISPENDR, 27)); /* active and pending: still asserted */
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    icc_write(g, 0, MV_ICC_EOIR1, 27); /* still asserted: taken again */
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 27);
    ppi_set(g, 0, 27, false);
    assert_false(bit_read(g, 0, ISPENDR, 27));
    icc_write(g, 0, MV_ICC_EOIR1, 27);
    assert_false(g->irq[0]);
    assert_false(bit_read(g, 0, ISACTIVER, 27));
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
    assert_int_equal(icc_read(g, 0, MV_ICC_AP1R0), 0);
}

/* A level that goes away before it was taken leaves nothing. */
static void test_level_withdrawn(void **state)
{
    gic_open(g);
    spi_set(g, 40, true);
    assert_true(g->irq[0]);
    spi_set(g, 40, false);
    assert_false(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
}

static void test_edge_life(void **state)
{
    gic_open(g);
    edge_write(g, 0, 41, true);
    spi_set(g, 41, true);
    spi_set(g, 41, false); /* latched */
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 41);
    assert_false(bit_read(g, 0, ISPENDR, 41));
    spi_set(g, 41, true); /* another one while active */
    spi_set(g, 41, true);
    assert_true(bit_read(g, 0, ISPENDR, 41));
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_EOIR1, 41);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 41);
    icc_write(g, 0, MV_ICC_EOIR1, 41); /* the wire is still high: no edge */
    assert_false(g->irq[0]);
}

static void test_pending_writes(void **state)
{
    gic_open(g);
    /* Level: ISPENDR latches, ICPENDR cannot beat the wire. */
    bit_write(g, 0, ISPENDR, 50);
    assert_true(g->irq[0]);
    spi_set(g, 50, true);
    bit_write(g, 0, ICPENDR, 50);
    assert_true(g->irq[0]);
    spi_set(g, 50, false);
    assert_false(g->irq[0]);
    bit_write(g, 0, ISPENDR, 50);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 50);
    assert_false(bit_read(g, 0, ISPENDR, 50)); /* the latch went with the acknowledgement */
    icc_write(g, 0, MV_ICC_EOIR1, 50);
    /* Edge: ICPENDR takes it away even with the wire up. */
    edge_write(g, 0, 51, true);
    spi_set(g, 51, true);
    assert_true(g->irq[0]);
    bit_write(g, 0, ICPENDR, 51);
    assert_false(g->irq[0]);
}

static void test_enable_while_pending(void **state)
{
    gic_open(g);
    bit_write(g, 0, ICENABLER, 60);
    spi_set(g, 60, true);
    assert_true(bit_read(g, 0, ISPENDR, 60));
    assert_false(g->irq[0]);
    bit_write(g, 0, ISENABLER, 60);
    assert_true(g->irq[0]);
    bit_write(g, 0, ICENABLER, 60);
    assert_false(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    bit_write(g, 0, ISENABLER, 60);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 60);
    bit_write(g, 0, ICENABLER, 60); /* disabled while active: stays active */
    assert_true(bit_read(g, 0, ISACTIVER, 60));
    icc_write(g, 0, MV_ICC_EOIR1, 60);
    assert_false(bit_read(g, 0, ISACTIVER, 60));
    assert_false(g->irq[0]);
}

static void test_active_writes(void **state)
{
    gic_open(g);
    bit_write(g, 0, ISACTIVER, 60);
    spi_set(g, 60, true);
    assert_false(g->irq[0]); /* active: not forwarded */
    bit_write(g, 0, ICACTIVER, 60);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
}

/* --- Groups. */

static void test_groups(void **state)
{
    gic_open(g);
    group_write(g, 0, 70, 0);
    spi_set(g, 70, true);
    assert_true(g->fiq[0]);
    assert_false(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR0), 70);
    group_write(g, 0, 70, 1); /* from one line to the other */
    assert_true(g->irq[0]);
    assert_false(g->fiq[0]);
    group_write(g, 0, 70, 0);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR0), 70);
    assert_int_equal(icc_read(g, 0, MV_ICC_AP0R0), 1u << 20);
    assert_int_equal(icc_read(g, 0, MV_ICC_AP1R0), 0);
    icc_write(g, 0, MV_ICC_EOIR1, 70); /* wrong group: ignored */
    assert_true(bit_read(g, 0, ISACTIVER, 70));
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0);
    spi_set(g, 70, false);
    icc_write(g, 0, MV_ICC_EOIR0, 70);
    assert_false(bit_read(g, 0, ISACTIVER, 70));
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
}

static void test_group_enables(void **state)
{
    gic_open(g);
    group_write(g, 0, 70, 0);
    priority_write(g, 0, 70, 0x20);
    spi_set(g, 70, true);
    spi_set(g, 71, true);
    assert_true(g->fiq[0]);
    /* A group that the interface has off hides nothing of the other. */
    icc_write(g, 0, MV_ICC_IGRPEN0, 0);
    assert_false(g->fiq[0]);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR0), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 71);
    icc_write(g, 0, MV_ICC_IGRPEN0, 1);
    dist_write(g, CTLR, 2);
    assert_true(g->irq[0]);
    assert_true(bit_read(g, 0, ISPENDR, 70));
    dist_write(g, CTLR, 1);
    assert_true(g->fiq[0]);
    dist_write(g, CTLR, 0);
    assert_false(g->irq[0] || g->fiq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    dist_write(g, CTLR, 2);
    icc_write(g, 0, MV_ICC_IGRPEN1, 0);
    assert_false(g->irq[0] || g->fiq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
}

/* --- Priorities. */

static void test_order(void **state)
{
    gic_open(g);
    priority_write(g, 0, 100, 0x80);
    priority_write(g, 0, 900, 0x78);
    spi_set(g, 100, true);
    spi_set(g, 101, true);
    spi_set(g, 900, true);
    ppi_set(g, 0, 30, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 900);
    priority_write(g, 0, 900, 0x90); /* while pending */
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 100);
    spi_set(g, 100, false);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 900);
    spi_set(g, 900, false);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 30); /* the lowest INTID of equals */
    ppi_set(g, 0, 30, false);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 101);
}

static void test_mask(void **state)
{
    gic_open(g);
    spi_set(g, 100, true);
    icc_write(g, 0, MV_ICC_PMR, 0xa0); /* only what is higher than the mask */
    assert_false(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    assert_int_equal(icc_read(g, 0, MV_ICC_HPPIR1), 100); /* not subject to it */
    icc_write(g, 0, MV_ICC_PMR, 0xa8);
    assert_true(g->irq[0]);
    priority_write(g, 0, 100, 0xf8);
    icc_write(g, 0, MV_ICC_PMR, 0xff);
    assert_false(g->irq[0]); /* the lowest priority is never signalled */
    priority_write(g, 0, 100, 0);
    icc_write(g, 0, MV_ICC_PMR, 0);
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_PMR, 8);
    assert_true(g->irq[0]);
}

static void test_preemption(void **state)
{
    gic_open(g);
    priority_write(g, 0, 101, 0x98);
    priority_write(g, 0, 102, 0x40);
    spi_set(g, 100, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    spi_set(g, 103, true);
    assert_false(g->irq[0]); /* the same priority waits */
    spi_set(g, 101, true);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 101);
    spi_set(g, 102, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 102);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0x40);
    assert_int_equal(icc_read(g, 0, MV_ICC_AP1R0), 1u << 8 | 1u << 19 | 1u << 20);
    spi_set(g, 102, false);
    icc_write(g, 0, MV_ICC_EOIR1, 102);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0x98);
    spi_set(g, 101, false);
    icc_write(g, 0, MV_ICC_EOIR1, 101);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0);
    assert_false(g->irq[0]);
    spi_set(g, 100, false);
    icc_write(g, 0, MV_ICC_EOIR1, 100);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 103);
}

/* BPR1 = n: bits from n up decide on preemption; BPR0 = n: from n + 1 up. */
static void test_binary_point(void **state)
{
    gic_open(g);
    icc_write(g, 0, MV_ICC_BPR1, 5);
    priority_write(g, 0, 100, 0xbc);
    priority_write(g, 0, 101, 0xa0); /* the same group of 0x20 */
    priority_write(g, 0, 102, 0x98);
    spi_set(g, 100, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0); /* the group priority */
    spi_set(g, 101, true);
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_BPR1, 3); /* the active priority was rounded: still none */
    assert_false(g->irq[0]);
    spi_set(g, 102, true);
    assert_true(g->irq[0]);
    icc_write(g, 0, MV_ICC_CTLR, 1); /* CBPR */
    icc_write(g, 0, MV_ICC_BPR0, 5); /* groups of 0x40: 0x80-0xbf is one */
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_BPR0, 4);
    assert_true(g->irq[0]);
    icc_write(g, 0, MV_ICC_BPR0, 7); /* no preemption at all */
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_CTLR, 0);
    assert_true(g->irq[0]);
    group_write(g, 0, 102, 0); /* Group 0 goes by BPR0 */
    assert_false(g->fiq[0]);
    icc_write(g, 0, MV_ICC_BPR0, 4);
    assert_true(g->fiq[0]);
}

static void test_eoi_mode(void **state)
{
    gic_open(g);
    spi_set(g, 100, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    icc_write(g, 0, MV_ICC_DIR, 100); /* ignored in mode 0 */
    assert_true(bit_read(g, 0, ISACTIVER, 100));
    icc_write(g, 0, MV_ICC_CTLR, 2);
    icc_write(g, 0, MV_ICC_EOIR1, 100); /* priority drop alone */
    assert_true(bit_read(g, 0, ISACTIVER, 100));
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
    assert_false(g->irq[0]);
    spi_set(g, 101, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 101);
    icc_write(g, 0, MV_ICC_DIR, 100); /* out of order: still asserted, so pending again */
    assert_false(bit_read(g, 0, ISACTIVER, 100));
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_EOIR1, 101);
    assert_true(g->irq[0]);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    icc_write(g, 1, MV_ICC_CTLR, 2);
    icc_write(g, 1, MV_ICC_DIR, 100); /* any CPU may deactivate an SPI */
    assert_false(bit_read(g, 0, ISACTIVER, 100));
}

static void test_bad_eoi(void **state)
{
    gic_open(g);
    spi_set(g, 100, true);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 100);
    static const uint64_t bad[] = {1020, 1023, 992, 1019, 8192, 0xffffff};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        icc_write(g, 0, MV_ICC_EOIR1, bad[i]);
        icc_write(g, 0, MV_ICC_EOIR0, bad[i]);
        icc_write(g, 0, MV_ICC_DIR, bad[i]);
        assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0);
    }
    icc_write(g, 0, MV_ICC_EOIR0, 100);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xa0);
    spi_set(g, 100, false);
    icc_write(g, 0, MV_ICC_EOIR1, 100);
    icc_write(g, 0, MV_ICC_EOIR1, 100); /* nothing is running: ignored */
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0xff);
}

/* An operating system clears what a predecessor left in the active priorities. */
static void test_active_priorities(void **state)
{
    gic_open(g);
    icc_write(g, 0, MV_ICC_AP1R0, 1u << 4);
    assert_int_equal(icc_read(g, 0, MV_ICC_RPR), 0x20);
    spi_set(g, 100, true);
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_AP1R0, 0);
    assert_true(g->irq[0]);
}

/* --- SGIs. */

static uint64_t sgir(unsigned intid, uint64_t aff, uint16_t list)
{
    return (uint64_t)intid << 24 | (aff >> 24 & 0xff) << 48 | (aff >> 16 & 0xff) << 32 |
           (aff >> 8 & 0xff) << 16 | list;
}

static void test_sgi_routing(void **state)
{
    gic_open(g);
    for (unsigned target = 0; target < 64; target++) {
        unsigned intid = target % 16;
        unsigned sender = (target * 7 + 5) % 64;
        icc_write(g, sender, MV_ICC_SGI1R,
                  sgir(intid, affinity(target), (uint16_t)(1u << (target & 15))));
        for (unsigned cpu = 0; cpu < 64; cpu++)
            assert_int_equal(g->irq[cpu], cpu == target);
        assert_int_equal(icc_read(g, target, MV_ICC_IAR1), intid);
        icc_write(g, target, MV_ICC_EOIR1, intid);
        assert_false(g->irq[target]);
    }
    icc_write(g, 3, MV_ICC_SGI1R, sgir(2, 0x200, 0x8421)); /* a list within one Aff1 */
    for (unsigned cpu = 0; cpu < 64; cpu++)
        assert_int_equal(g->irq[cpu], cpu == 32 || cpu == 37 || cpu == 42 || cpu == 47);
}

static void test_sgi_all_but_self(void **state)
{
    gic_open(g);
    icc_write(g, 9, MV_ICC_SGI1R, UINT64_C(1) << 40 | 15 << 24 | 0xffff);
    for (unsigned cpu = 0; cpu < 64; cpu++) {
        assert_int_equal(g->irq[cpu], cpu != 9);
        assert_int_equal(icc_read(g, cpu, MV_ICC_IAR1), cpu != 9 ? 15 : SPURIOUS);
    }
}

static void test_sgi_nowhere(void **state)
{
    gic_open(g);                                            /* 20 CPUs */
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0x0100, 0xfff0)); /* CPUs 20-31 */
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0xff00, 0xffff));
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0x10000, 0xffff));
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0x1000000, 0xffff));
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0, 0));
    for (unsigned cpu = 0; cpu < 20; cpu++)
        assert_false(g->irq[cpu]);
    icc_write(g, 0, MV_ICC_SGI1R, sgir(1, 0x0100, 0xfff8));
    assert_true(g->irq[19]);
}

static void test_sgi_groups(void **state)
{
    gic_open(g);
    redist_write(g, 1, SGI_FRAME + IGROUPR, ~4u); /* SGI 2 is of Group 0 */
    icc_write(g, 0, MV_ICC_SGI1R, sgir(2, 0, 2));
    icc_write(g, 0, MV_ICC_SGI0R, sgir(3, 0, 2));
    assert_false(g->irq[1] || g->fiq[1]); /* neither matches */
    icc_write(g, 0, MV_ICC_SGI0R, sgir(2, 0, 2));
    assert_true(g->fiq[1]);
    assert_int_equal(icc_read(g, 1, MV_ICC_IAR0), 2);
    icc_write(g, 1, MV_ICC_EOIR0, 2);
    icc_write(g, 0, MV_ICC_ASGI1R, sgir(2, 0, 2));
    assert_true(g->fiq[1]);
}

/* Sent again while active, an SGI is taken once more; sent twice, once. */
static void test_sgi_states(void **state)
{
    gic_open(g);
    icc_write(g, 0, MV_ICC_SGI1R, sgir(5, 0, 1));
    icc_write(g, 0, MV_ICC_SGI1R, sgir(5, 0, 1));
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 5);
    icc_write(g, 0, MV_ICC_EOIR1, 5);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    icc_write(g, 0, MV_ICC_SGI1R, sgir(5, 0, 1));
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 5);
    icc_write(g, 0, MV_ICC_SGI1R, sgir(5, 0, 1));
    assert_false(g->irq[0]);
    icc_write(g, 0, MV_ICC_EOIR1, 5);
    assert_true(g->irq[0]);
    bit_write(g, 0, ICPENDR, 5);
    assert_false(g->irq[0]);
    bit_write(g, 0, ICENABLER, 5);
    icc_write(g, 0, MV_ICC_SGI1R, sgir(5, 0, 1));
    assert_false(g->irq[0]);
    bit_write(g, 0, ISENABLER, 5);
    assert_true(g->irq[0]);
}

/* --- SPIs. */

static void test_spi_routing(void **state)
{
    gic_open(g);
    for (unsigned cpu = 0; cpu < 64; cpu++) {
        router_write(g, 200, affinity(cpu));
        spi_set(g, 200, true);
        for (unsigned other = 0; other < 64; other++)
            assert_int_equal(g->irq[other], other == cpu);
        assert_int_equal(icc_read(g, cpu, MV_ICC_IAR1), 200);
        spi_set(g, 200, false);
        icc_write(g, cpu, MV_ICC_EOIR1, 200);
    }
}

static void test_spi_moves_while_pending(void **state)
{
    gic_open(g); /* 20 CPUs */
    spi_set(g, 200, true);
    assert_true(g->irq[0]);
    router_write(g, 200, affinity(17));
    assert_false(g->irq[0]);
    assert_true(g->irq[17]);
    static const uint64_t nowhere[] = {0x104, 0x10, 0xff, 0x200, 0x10000, UINT64_C(0x100000000)};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        router_write(g, 200, nowhere[i]);
        for (unsigned cpu = 0; cpu < 20; cpu++)
            assert_false(g->irq[cpu]);
        assert_true(bit_read(g, 0, ISPENDR, 200)); /* stays pending */
    }
    router_write(g, 200, affinity(3));
    assert_int_equal(icc_read(g, 3, MV_ICC_IAR1), 200);
    router_write(g, 200, affinity(4)); /* active: on no CPU's line */
    assert_false(g->irq[4]);
    icc_write(g, 3, MV_ICC_EOIR1, 200);
    assert_true(g->irq[4]); /* the level is still there */
}

static void test_spi_one_of_n(void **state)
{
    gic_open(g); /* 20 CPUs */
    router_write(g, 200, UINT64_C(1) << 31);
    spi_set(g, 200, true);
    assert_int_equal(lines_up(g), 1);
    for (unsigned cpu = 0; cpu < 20; cpu++) {
        if (cpu != 11)
            icc_write(g, cpu, MV_ICC_IGRPEN1, 0);
    }
    assert_int_equal(lines_up(g), 1); /* the only one that takes part */
    assert_true(g->irq[11]);
    icc_write(g, 11, MV_ICC_IGRPEN1, 0);
    assert_int_equal(lines_up(g), 0);
    assert_true(bit_read(g, 0, ISPENDR, 200));
    group_write(g, 0, 200, 0); /* Group 0 is on everywhere */
    assert_int_equal(lines_up(g), 1);
    group_write(g, 0, 200, 1);
    assert_int_equal(lines_up(g), 0);
    icc_write(g, 2, MV_ICC_IGRPEN1, 1);
    assert_true(g->irq[2]);
    assert_int_equal(icc_read(g, 2, MV_ICC_IAR1), 200);
}

static void test_setspi(void **state)
{
    const struct mv_mmio_region *dist = &g->device->region;
    gic_open(g);
    edge_write(g, 0, 300, true);
    dist_write(g, SETSPI_NSR, 300);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 300);
    assert_false(bit_read(g, 0, ISPENDR, 300));
    icc_write(g, 0, MV_ICC_EOIR1, 300);
    region_write(dist, SETSPI_NSR, 300, 2);
    assert_true(g->irq[0]);
    region_write(dist, CLRSPI_NSR, 300, 2);
    assert_false(g->irq[0]);
    /* Level-sensitive: pending until CLRSPI. */
    dist_write(g, SETSPI_NSR, 301);
    bit_write(g, 0, ICPENDR, 301);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 301);
    assert_true(bit_read(g, 0, ISPENDR, 301));
    dist_write(g, CLRSPI_NSR, 301);
    assert_false(bit_read(g, 0, ISPENDR, 301));
    icc_write(g, 0, MV_ICC_EOIR1, 301);
    static const uint32_t bad[] = {0, 15, 31, 992, 1019, 1023, 1024, 4096, 8191};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        dist_write(g, SETSPI_NSR, bad[i]);
        dist_write(g, CLRSPI_NSR, bad[i]);
    }
    assert_int_equal(lines_up(g), 0);
}

static void test_v2m(void **state)
{
    const struct mv_mmio_region *v2m = &gic_of(g)->v2m_region;
    gic_open(g);
    assert_int_equal(region_read(v2m, 0x008, 4), 64 << 16 | 928);
    assert_int_not_equal(region_read(v2m, 0xfcc, 4), 0);
    assert_int_equal(region_read(v2m, 0x040, 4), 0);
    edge_write(g, 0, 991, true);
    region_write(v2m, 0x040, 991, 4);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 991);
    region_write(v2m, 0x040, 991, 4); /* an edge while active is kept */
    icc_write(g, 0, MV_ICC_EOIR1, 991);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), 991);
    icc_write(g, 0, MV_ICC_EOIR1, 991);
    assert_int_equal(icc_read(g, 0, MV_ICC_IAR1), SPURIOUS);
    region_write(v2m, 0x040, 64, 4); /* level-sensitive: a pulse leaves nothing */
    edge_write(g, 0, 63, true);
    region_write(v2m, 0x040, 63, 4); /* an SPI, but not the frame's */
    region_write(v2m, 0x040, 992, 4);
    region_write(v2m, 0x040, 0, 4);
    region_write(v2m, 0x044, 991, 4);
    assert_int_equal(lines_up(g), 0);
    g->chip->ops->message(g->chip, 63); /* devices reach any SPI */
    assert_true(g->irq[0]);
    g->chip->ops->message(g->chip, 5);
    g->chip->ops->message(g->chip, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_level_life, setup1),
        TEST(test_level_withdrawn, setup1),
        TEST(test_edge_life, setup1),
        TEST(test_pending_writes, setup1),
        TEST(test_enable_while_pending, setup1),
        TEST(test_active_writes, setup1),
        TEST(test_groups, setup1),
        TEST(test_group_enables, setup1),
        TEST(test_order, setup1),
        TEST(test_mask, setup1),
        TEST(test_preemption, setup1),
        TEST(test_binary_point, setup1),
        TEST(test_eoi_mode, setup2),
        TEST(test_bad_eoi, setup1),
        TEST(test_active_priorities, setup1),
        TEST(test_sgi_routing, setup64),
        TEST(test_sgi_all_but_self, setup64),
        TEST(test_sgi_nowhere, setup20),
        TEST(test_sgi_groups, setup2),
        TEST(test_sgi_states, setup1),
        TEST(test_spi_routing, setup64),
        TEST(test_spi_moves_while_pending, setup20),
        TEST(test_spi_one_of_n, setup20),
        TEST(test_setspi, setup1),
        TEST(test_v2m, setup1),
    };
    return cmocka_run_group_tests_name("gicv3-interrupts", tests, NULL, NULL);
}
