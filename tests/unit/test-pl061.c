/* SPDX-License-Identifier: Apache-2.0 */
/* device/pl061.c: masked data, directions, edges and levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "platform-devices.h"
#include "fake-irq.h"

enum {
    DATA = 0x3fc, /* all lines */
    DIR = 0x400,
    IS = 0x404,
    IBE = 0x408,
    IEV = 0x40c,
    IE = 0x410,
    RIS = 0x414,
    MIS = 0x418,
    IC = 0x41c,
    AFSEL = 0x420,
};

struct gpio {
    struct fake_irq irq;
    struct mv_device *device;
    const struct mv_mmio_region *region;
};

static void gpio_open(struct gpio *g)
{
    struct mv_error err;
    struct mv_irq irq = fake_irq_wire(&g->irq);
    const struct mv_platform platform = {.irqchip = irq.chip};
    const struct mv_platform_row row = {.intid = irq.intid};
    assert_int_equal(mv_pl061_type.create(&platform, &row, &g->device, &err), 0);
    g->region = &g->device->region;
}

static void gpio_close(struct gpio *g)
{
    assert_int_equal(g->irq.repeats, 0);
    mv_device_destroy(g->device);
}

static unsigned in(struct gpio *g, unsigned reg)
{
    return (unsigned)g->region->ops->read(g->region->opaque, reg, 1);
}

static void out(struct gpio *g, unsigned reg, unsigned value)
{
    g->region->ops->write(g->region->opaque, reg, value, 1);
}

static void test_data(void **state)
{
    struct gpio g;
    gpio_open(&g);
    assert_int_equal(in(&g, DATA), 0);
    mv_pl061_set_input(g.device, 3, true);
    mv_pl061_set_input(g.device, 7, true);
    assert_int_equal(in(&g, DATA), 0x88);
    assert_int_equal(in(&g, 0x08 << 2), 0x08);
    assert_int_equal(in(&g, 0x07 << 2), 0);
    assert_int_equal(in(&g, 0), 0);
    /* Only outputs can be written, and only those of the address. */
    out(&g, DIR, 0x0f);
    assert_int_equal(in(&g, DATA), 0x80);
    out(&g, 0x33 << 2, 0xff);
    assert_int_equal(in(&g, DATA), 0x83);
    out(&g, DATA, 0x04);
    assert_int_equal(in(&g, DATA), 0x84);
    g.device->ops->reset(g.device);
    assert_int_equal(in(&g, DIR), 0);
    assert_int_equal(in(&g, DATA), 0x88);
    out(&g, AFSEL, 0x12);
    assert_int_equal(in(&g, AFSEL), 0x12);
    gpio_close(&g);
}

static void test_edges(void **state)
{
    struct gpio g;
    gpio_open(&g);
    out(&g, IEV, 0x08); /* line 3 rising, line 2 falling, line 1 both */
    out(&g, IBE, 0x02);
    out(&g, IE, 0x0e);
    mv_pl061_set_input(g.device, 3, true);
    assert_true(g.irq.level);
    assert_int_equal(in(&g, RIS), 0x08);
    out(&g, IC, 0x08);
    assert_false(g.irq.level);
    mv_pl061_set_input(g.device, 3, false);
    mv_pl061_set_input(g.device, 3, false);
    assert_int_equal(in(&g, RIS), 0);
    mv_pl061_set_input(g.device, 2, true);
    assert_int_equal(in(&g, RIS), 0);
    mv_pl061_set_input(g.device, 2, false);
    assert_int_equal(in(&g, RIS), 0x04);
    mv_pl061_set_input(g.device, 1, true);
    assert_int_equal(in(&g, RIS), 0x06);
    out(&g, IC, 0x02);
    mv_pl061_set_input(g.device, 1, false);
    assert_int_equal(in(&g, RIS), 0x06);
    out(&g, IE, 0x02);
    assert_int_equal(in(&g, MIS), 0x02);
    out(&g, IC, 0xff);
    assert_false(g.irq.level);
    /* Masked edges are latched all the same. */
    out(&g, IE, 0);
    mv_pl061_set_input(g.device, 3, true);
    assert_false(g.irq.level);
    out(&g, IE, 0x08);
    assert_true(g.irq.level);
    g.device->ops->reset(g.device);
    assert_false(g.irq.level);
    gpio_close(&g);
}

static void test_levels(void **state)
{
    struct gpio g;
    gpio_open(&g);
    out(&g, IS, 0x18);
    out(&g, IEV, 0x08);
    assert_int_equal(in(&g, RIS), 0x10); /* line 4 is low, as its IEV asks */
    out(&g, IE, 0x08);
    assert_false(g.irq.level);
    mv_pl061_set_input(g.device, 3, true);
    assert_true(g.irq.level);
    out(&g, IC, 0xff); /* a level lasts until the line moves */
    assert_true(g.irq.level);
    mv_pl061_set_input(g.device, 3, false);
    assert_false(g.irq.level);
    mv_pl061_set_input(g.device, 4, true);
    assert_int_equal(in(&g, RIS), 0);
    gpio_close(&g);
}

static void test_ids(void **state)
{
    static const uint8_t ids[] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    struct gpio g;
    gpio_open(&g);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(in(&g, 0xfe0 + 4 * i), ids[i]);
    gpio_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests_name("pl061", tests, NULL, NULL);
}
