/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus/pci-msi.c: where the table and the pending bits stand, masks of vectors
 * and of the function, what is held back and sent later, and tables full of
 * nonsense (PCI 3.0, 6.8.2).
 */
#include "pci-msi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW  UINT64_C(0x50000000)
#define FRAME   UINT64_C(0x3f7e0000)
#define SLOT    3
#define MSIX    0x40
#define ENABLE  0x8000u
#define MASKALL 0x4000u

static struct mv_error err;
static struct mv_space *space;
static struct mv_pci_bus *bus;
static struct mv_pci_function function;
static struct mv_pci_msix msix;
static bool line;
static unsigned messages;
static uint64_t last_offset, last_data;

static void set_spi(struct mv_irqchip *chip, unsigned intid, bool level)
{
    line = level;
}

static const struct mv_irqchip_ops chip_ops = {.set_spi = set_spi};
static struct mv_irqchip chip = {&chip_ops};

static void frame_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    assert_true(offset < 0x1000);
    assert_int_equal(size, 4);
    last_offset = offset;
    last_data = value;
    messages++;
}

static const struct mv_mmio_ops frame_ops = {
    .write = frame_write, .min_access = 4, .max_access = 4};
static const struct mv_mmio_region frame = {.name = "frame", .ops = &frame_ops};
static const struct mv_device_ops device_ops = {.type = "test"};

static void config_write(unsigned offset, uint32_t value, unsigned size)
{
    mv_pci_bus_write(bus, SLOT, offset, value, size);
}

static uint32_t config_read(unsigned offset, unsigned size)
{
    return mv_pci_bus_read(bus, SLOT, offset, size);
}

static const struct mv_mmio_region *bar_at(uint64_t gpa)
{
    struct mv_range range;
    if (!mv_space_find(space, gpa, &range))
        return NULL;
    assert_int_equal(range.kind, MV_RANGE_MMIO);
    return range.region;
}

static void bar_write(uint64_t offset, uint64_t value, unsigned size)
{
    const struct mv_mmio_region *region = bar_at(WINDOW);
    region->ops->write(region->opaque, offset, value, size);
}

static uint64_t bar_read(uint64_t offset, unsigned size)
{
    const struct mv_mmio_region *region = bar_at(WINDOW);
    return region->ops->read(region->opaque, offset, size);
}

static void make(unsigned vectors)
{
    static const struct mv_pci_ids ids = {.vendor = 0x1234, .device = 0x5678, .interrupt = true};
    struct mv_pci_bus_params params = {
        .windows = {{WINDOW, 0x30000000}},
        .msi_gpa = FRAME,
        .msi_size = 0x1000,
        .msi_region = &frame,
    };
    for (unsigned i = 0; i < MV_PCI_LINES; i++)
        params.lines[i] = (struct mv_irq){&chip, 36 + i};
    memset(&function, 0, sizeof function);
    memset(&msix, 0, sizeof msix);
    messages = 0;
    line = false;
    assert_int_equal(mv_space_create(&space, &err), 0);
    params.space = space;
    assert_int_equal(mv_pci_bus_create(&params, &bus, &err), 0);
    mv_pci_function_init(&function, &device_ops, &ids);
    mv_pci_msix_add(&function, &msix, 1, vectors);
    assert_int_equal(mv_pci_bus_plug(bus, SLOT, &function, &err), 0);
    config_write(0x14, (uint32_t)WINDOW, 4);
    config_write(MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER, 2);
}

static void destroy(void)
{
    mv_pci_bus_unplug(&function);
    mv_pci_bus_destroy(bus);
    mv_space_destroy(space);
}

static void set_entry(unsigned vector, uint64_t address, uint32_t data, bool masked)
{
    bar_write(16 * vector, address, 8);
    bar_write(16 * vector + 8, data, 4);
    bar_write(16 * vector + 12, masked, 4);
}

/* QEMU's layout, which drivers and guests' saved states know. */
static void test_layout(void **state)
{
    static const struct {
        unsigned vectors, size, pending;
    } cases[] = {{1, 0x1000, 0x800},     {16, 0x1000, 0x800},   {128, 0x1000, 0x800},
                 {129, 0x1000, 0x810},   {253, 0x1000, 0xfd0},  {254, 0x1000, 0xfe0},
                 {255, 0x2000, 0xff0},   {256, 0x2000, 0x1000}, {1024, 0x8000, 0x4000},
                 {2048, 0x10000, 0x8000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned vectors = cases[i].vectors;
        make(vectors);
        assert_int_equal(config_read(MV_PCI_CAPABILITIES, 1), MSIX);
        assert_int_equal(config_read(MSIX, 1), 0x11);
        assert_int_equal(config_read(MSIX + 2, 2), vectors - 1);
        assert_int_equal(config_read(MSIX + 4, 4), 0 | 1);
        assert_int_equal(config_read(MSIX + 8, 4), cases[i].pending | 1);
        config_write(0x14, UINT32_MAX, 4);
        assert_int_equal(config_read(0x14, 4), -cases[i].size);
        config_write(0x14, (uint32_t)WINDOW, 4);
        for (unsigned v = 0; v < vectors; v++)
            assert_int_equal(bar_read(16 * v + 12, 4), 1);
        /* The last vector's pending bit is within the BAR. */
        config_write(MSIX + 2, ENABLE, 2);
        assert_true(mv_pci_msix_send(&function, vectors - 1));
        assert_false(mv_pci_msix_send(&function, vectors));
        assert_int_equal(bar_read(cases[i].pending + (vectors - 1) / 64 * 8, 8),
                         UINT64_C(1) << (vectors - 1) % 64);
        destroy();
    }
}

static void test_messages(void **state)
{
    make(16);
    set_entry(2, FRAME + 0x40, 0x51, false);
    assert_false(mv_pci_msix_send(&function, 2)); /* not enabled */
    assert_int_equal(bar_read(0x800, 8), 0);
    config_write(MSIX + 2, ENABLE, 2);
    assert_int_equal(messages, 0);
    assert_true(mv_pci_msix_send(&function, 2));
    assert_int_equal(messages, 1);
    assert_int_equal(last_offset, 0x40);
    assert_int_equal(last_data, 0x51);
    /* To where no interrupt controller is. */
    set_entry(3, FRAME + 0x1000, 0x52, false);
    set_entry(4, UINT64_MAX, 0x52, false);
    assert_true(mv_pci_msix_send(&function, 3) && mv_pci_msix_send(&function, 4));
    assert_int_equal(messages, 1);
    /* A function that may not be a master of the bus. */
    config_write(MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY, 2);
    mv_pci_msix_send(&function, 2);
    assert_int_equal(messages, 1);
    destroy();
}

static void test_masks(void **state)
{
    make(128);
    config_write(MSIX + 2, ENABLE, 2);
    set_entry(65, FRAME + 0x40, 0x61, true);
    set_entry(127, FRAME + 0x40, 0x62, true);
    mv_pci_msix_send(&function, 65);
    mv_pci_msix_send(&function, 65);
    mv_pci_msix_send(&function, 127);
    assert_int_equal(messages, 0);
    assert_int_equal(bar_read(0x808, 8), UINT64_C(1) << 63 | 2);
    assert_int_equal(bar_read(0x80c, 4), 0x80000000);
    /* What a guest writes to pending bits is nothing. */
    bar_write(0x808, 0, 8);
    bar_write(0x80c, 0, 4);
    assert_int_equal(bar_read(0x808, 8), UINT64_C(1) << 63 | 2);
    /* Once, however often it was due; by an access of 8 bytes too. */
    bar_write(16 * 65 + 8, 0x63, 8);
    assert_int_equal(messages, 1);
    assert_int_equal(last_data, 0x63);
    assert_int_equal(bar_read(0x808, 8), UINT64_C(1) << 63);
    /* The whole function. */
    config_write(MSIX + 2, ENABLE | MASKALL, 2);
    bar_write(16 * 127 + 12, 0, 4);
    mv_pci_msix_send(&function, 65);
    assert_int_equal(messages, 1);
    config_write(MSIX + 2, ENABLE, 2);
    assert_int_equal(messages, 3);
    assert_int_equal(bar_read(0x808, 8), 0);
    /* Masked, and then off: it waits for both. */
    bar_write(16 * 65 + 12, 1, 4);
    mv_pci_msix_send(&function, 65);
    config_write(MSIX + 2, 0, 2);
    bar_write(16 * 65 + 12, 0, 4);
    assert_int_equal(messages, 3);
    config_write(MSIX + 2, ENABLE, 2);
    assert_int_equal(messages, 4);
    destroy();
}

static void test_words_of_the_table(void **state)
{
    make(4);
    for (unsigned offset = 0; offset < 64; offset += 4)
        bar_write(offset, UINT32_MAX, 4);
    for (unsigned vector = 0; vector < 4; vector++) {
        assert_int_equal(bar_read(16 * vector, 8), ~UINT64_C(3));
        assert_int_equal(bar_read(16 * vector + 8, 8), UINT64_C(0x1ffffffff));
    }
    /* Behind the table there is nothing to write to. */
    bar_write(64, UINT32_MAX, 4);
    bar_write(0xff8, UINT64_MAX, 8);
    assert_int_equal(bar_read(64, 4), 0);
    assert_int_equal(bar_read(0xff8, 8), 0);
    mv_pci_function_reset(&function);
    config_write(0x14, (uint32_t)WINDOW, 4);
    config_write(MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY, 2);
    assert_int_equal(bar_read(0, 8), 0);
    assert_int_equal(bar_read(8, 8), UINT64_C(1) << 32);
    destroy();
}

/* Messages take the place of the line. */
static void test_line(void **state)
{
    make(1);
    mv_pci_intx_set(&function, true);
    assert_true(line);
    config_write(MSIX + 2, ENABLE, 2);
    assert_false(line);
    config_write(MSIX + 2, 0, 2);
    assert_true(line);
    destroy();
}

static void test_nonsense(void **state)
{
    make(300);
    srand(7);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned size = rand() % 2 ? 4 : 8, what = (unsigned)rand() % 4;
        uint64_t value = (uint64_t)rand() * 0x9e3779b97f4a7c15u;
        uint64_t offset = (unsigned)rand() % 0x2000 / size * size;
        if (rand() % 4 == 0)
            value = FRAME + 0x40;
        if (what == 0 && bar_at(WINDOW) != NULL)
            bar_write(offset, value, size);
        else if (what == 1 && bar_at(WINDOW) != NULL)
            bar_read(offset, size);
        else if (what == 2)
            config_write(MSIX + (unsigned)rand() % 12 / 4 * 4, (uint32_t)value, 4);
        else
            mv_pci_msix_send(&function, (unsigned)rand() % 400);
    }
    assert_true(messages > 0);
    assert_int_equal(config_read(MSIX + 4, 4), 1);
    mv_pci_bus_unplug(&function);
    assert_false(function.messages);
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_masks),  cmocka_unit_test(test_words_of_the_table),
        cmocka_unit_test(test_line),   cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
