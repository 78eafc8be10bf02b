/* SPDX-License-Identifier: Apache-2.0 */
/* device/vmgenid.c: an ID that is read and not written, and an edge with each new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake-irq.h"
#include "platform-devices.h"

static struct fake_irq irq;
static struct mv_device *device;
static struct mv_error err;

static int make(void **state)
{
    struct mv_irq wire = fake_irq_wire(&irq);
    const struct mv_platform platform = {.irqchip = wire.chip};
    const struct mv_platform_row row = {.intid = wire.intid};
    return mv_vmgenid_type.create(&platform, &row, &device, &err);
}

static int destroy(void **state)
{
    mv_device_destroy(device);
    return 0;
}

static uint64_t in(uint64_t offset, unsigned size)
{
    return device->region.ops->read(device->region.opaque, offset, size);
}

static void test_read(void **state)
{
    uint8_t id[MV_VMGENID_ID_SIZE], zeros[MV_VMGENID_ID_SIZE] = {0};
    uint64_t word;
    mv_vmgenid_read(device, id);
    assert_memory_not_equal(id, zeros, sizeof id);
    for (unsigned i = 0; i < sizeof id; i++)
        assert_int_equal(in(i, 1), id[i]);
    for (unsigned i = 0; i < sizeof id; i += 8) {
        word = in(i, 8);
        assert_memory_equal(&word, id + i, 8);
    }
    assert_int_equal(in(14, 2), id[14] | id[15] << 8);
    assert_int_equal(in(16, 8), 0);
    assert_int_equal(in(MV_VMGENID_SIZE - 8, 8), 0);
    device->region.ops->write(device->region.opaque, 0, ~word, 8);
    device->region.ops->write(device->region.opaque, 16, 1, 1);
    assert_int_equal(in(0, 8) ^ in(8, 8) ^ word, in(0, 8));
    assert_int_equal(in(16, 1), 0);
}

static void test_renew(void **state)
{
    uint8_t first[MV_VMGENID_ID_SIZE], second[MV_VMGENID_ID_SIZE];
    mv_vmgenid_read(device, first);
    assert_int_equal(irq.changes, 0); /* the first one is no news */
    assert_int_equal(mv_vmgenid_renew(device, &err), 0);
    mv_vmgenid_read(device, second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(irq.changes, 2);
    assert_false(irq.level);
    assert_int_equal(irq.repeats, 0);
}

/* A machine that is reset is the same one. */
static void test_reset(void **state)
{
    struct mv_device_tree tree = {.first = device};
    uint8_t before[MV_VMGENID_ID_SIZE], after[MV_VMGENID_ID_SIZE];
    mv_vmgenid_read(device, before);
    mv_device_tree_reset(&tree);
    mv_vmgenid_read(device, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(irq.changes, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)
    const struct CMUnitTest tests[] = {TEST(test_read), TEST(test_renew), TEST(test_reset)};
    return cmocka_run_group_tests_name("vmgenid", tests, NULL, NULL);
}
