/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus/pci-function.c and pci-bus.c: BARs that are sized and moved, interrupts
 * and their masks, and a guest that writes anything anywhere (PCI 3.0, 6).
 */
#include "pci-fixture.h"
#include "pci-msi.h"

#define MSI 0x40

static struct mv_pci_function functions[3];
static const struct mv_device_ops device_ops = {.type = "test"};

/* Slot 1 has registers, memory of 2 MiB, INTA# and MSI; 2 and 5 registers alone. */
static int setup(void **state)
{
    static const unsigned slots[] = {1, 2, 5};
    static const struct mv_pci_ids ids = {
        .vendor = 0x1234, .device = 0x5678, .class_code = 0x00ff00, .interrupt = true};
    struct mv_block *block;
    memset(functions, 0, sizeof functions);
    fixture_create();
    assert_int_equal(mv_block_create(registry, "pci/01.0", "bar2", 2 * MV_MIB, &block, &err), 0);
    for (unsigned i = 0; i < 3; i++) {
        mv_pci_function_init(&functions[i], &device_ops, &ids);
        mv_pci_bar_mmio(&functions[i], 0, 0x1000, &registers);
        if (i == 0) {
            mv_pci_bar_ram(&functions[i], 2, block);
            mv_pci_msi_add(&functions[i]);
        }
        assert_int_equal(mv_pci_bus_plug(bus, slots[i], &functions[i], &err), 0);
    }
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < 3; i++)
        mv_pci_bus_unplug(&functions[i]);
    fixture_destroy();
    return 0;
}

static void write32(unsigned slot, unsigned offset, uint32_t value)
{
    mv_pci_bus_write(bus, slot, offset, value, 4);
}

static uint32_t read32(unsigned slot, unsigned offset)
{
    return mv_pci_bus_read(bus, slot, offset, 4);
}

static void test_sizing(void **state)
{
    assert_int_equal(read32(1, 0), 0x56781234);
    assert_int_equal(read32(3, 0), UINT32_MAX);
    assert_int_equal(read32(1, 0x100), UINT32_MAX);
    for (unsigned bar = 0; bar < 6; bar++)
        write32(1, 0x10 + 4 * bar, UINT32_MAX);
    static const uint32_t sizes[] = {0xfffff000, 0, 0xffe0000c, 0xffffffff, 0, 0};
    for (unsigned bar = 0; bar < 6; bar++)
        assert_int_equal(read32(1, 0x10 + 4 * bar), sizes[bar]);
    write32(1, 0, 0);
    assert_int_equal(read32(1, 0), 0x56781234);
}

static void test_bars_move_while_mapped(void **state)
{
    const struct mv_block *block = functions[0].bars[2].block;
    write32(1, 0x10, 0x50001000);
    write32(1, 0x18, 0);
    write32(1, 0x1c, 0x80);
    assert_true(is_at(0x50001000, NULL));
    write32(1, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY);
    assert_true(is_at(0x50001000, &registers) && is_at(0x50001fff, &registers));
    assert_true(is_at(HIGH_WINDOW, block));
    write32(1, 0x10, 0x50002000);
    write32(1, 0x18, 0x00200000);
    assert_true(is_at(0x50001000, NULL) && is_at(0x50002000, &registers));
    assert_true(is_at(HIGH_WINDOW, NULL) && is_at(HIGH_WINDOW + 2 * MV_MIB, block));
    write32(1, MV_PCI_COMMAND, 0);
    assert_true(is_at(0x50002000, NULL) && is_at(HIGH_WINDOW + 2 * MV_MIB, NULL));
}

static void test_bars_over_others(void **state)
{
    const struct mv_block *ram = mv_block_find(registry, "ram0");
    for (unsigned i = 1; i <= 2; i++) {
        write32(i, 0x10, 0x50001000);
        write32(i, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY);
    }
    assert_true(functions[0].bars[0].mapped && !functions[1].bars[0].mapped);
    /* The first leaves for RAM, which stays; the second is to be seen now. */
    write32(1, 0x10, 0x60000000);
    assert_true(is_at(0x60000000, ram) && !functions[0].bars[0].mapped);
    assert_true(functions[1].bars[0].mapped);
    /* Outside the windows: the interrupt controller's frame, and high up. */
    write32(1, 0x10, (uint32_t)FRAME);
    assert_false(functions[0].bars[0].mapped);
    write32(1, 0x1c, 0xffffffff);
    assert_false(functions[0].bars[2].mapped);
    write32(1, 0x10, 0x7ffff000);
    assert_true(is_at(0x7ffff000, &registers));
}

static void test_line_interrupts(void **state)
{
    /* Slots 1 and 5 share a line. */
    mv_pci_intx_set(&functions[0], true);
    mv_pci_intx_set(&functions[2], true);
    assert_true(lines[37] && !lines[36] && !lines[38]);
    assert_true(mv_pci_bus_read(bus, 1, MV_PCI_STATUS, 2) & MV_PCI_STATUS_INTERRUPT);
    assert_true(read32(1, MV_PCI_COMMAND) >> 16 & MV_PCI_STATUS_INTERRUPT);
    mv_pci_intx_set(&functions[2], false);
    assert_true(lines[37]);
    mv_pci_bus_write(bus, 1, MV_PCI_COMMAND, MV_PCI_COMMAND_INTX_DISABLE, 2);
    assert_false(lines[37]);
    assert_true(mv_pci_bus_read(bus, 1, MV_PCI_STATUS, 2) & MV_PCI_STATUS_INTERRUPT);
    mv_pci_bus_write(bus, 1, MV_PCI_COMMAND, 0, 2);
    assert_true(lines[37]);
    mv_pci_bus_unplug(&functions[0]);
    assert_false(lines[37]);
}

static void test_messages(void **state)
{
    assert_int_equal(mv_pci_bus_read(bus, 1, MV_PCI_CAPABILITIES, 1), MSI);
    assert_int_equal(read32(1, MSI), 0x01800005);
    write32(1, MSI + 0x04, (uint32_t)FRAME + 0x40);
    write32(1, MSI + 0x0c, 0x51);
    mv_pci_msi_send(&functions[0]);
    write32(1, MSI, 1u << 16);
    mv_pci_msi_send(&functions[0]); /* no bus master yet */
    assert_int_equal(messages, 0);
    write32(1, MV_PCI_COMMAND, MV_PCI_COMMAND_MASTER);
    mv_pci_msi_send(&functions[0]);
    assert_int_equal(messages, 1);
    assert_int_equal(last_message[0], 0x40);
    assert_int_equal(last_message[1], 0x51);
    /* The line is silent meanwhile. */
    mv_pci_intx_set(&functions[0], true);
    assert_false(lines[37]);
    /* Masked: pending, however often, and sent once when unmasked. */
    write32(1, MSI + 0x10, 1);
    mv_pci_msi_send(&functions[0]);
    mv_pci_msi_send(&functions[0]);
    assert_int_equal(messages, 1);
    assert_int_equal(read32(1, MSI + 0x14), 1);
    write32(1, MSI + 0x10, 0);
    assert_int_equal(messages, 2);
    assert_int_equal(read32(1, MSI + 0x14), 0);
    /* To an address where no interrupt controller is. */
    write32(1, MSI + 0x04, 0x60000000);
    mv_pci_msi_send(&functions[0]);
    assert_int_equal(messages, 2);
    write32(1, MSI, 0);
    assert_true(lines[37]);
}

static int check_range(const struct mv_range *range, void *opaque)
{
    bool low = range->gpa >= LOW_WINDOW && range->gpa + range->size <= 0x80000000;
    bool high = range->gpa >= HIGH_WINDOW && range->gpa + range->size <= 2 * HIGH_WINDOW;
    assert_true(low || high);
    return 0;
}

/* Whatever is written: BARs stay in the windows, and RAM where it is. */
static void test_random_writes(void **state)
{
    static const uint32_t likely[] = {0x50000000, 0x5fffe000, 0x60000000, 0x7ffff000,
                                      0x80,       0x40000000, UINT32_MAX, 0x07};
    const struct mv_block *ram = mv_block_find(registry, "ram0");
    uint32_t before = read32(1, 0x2c);
    srand(6);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned size = 1u << rand() % 3, slot = (unsigned)rand() % 6;
        uint32_t value = rand() % 2 ? likely[rand() % 8] : (uint32_t)rand() * 2654435761u;
        unsigned offset = (unsigned)rand() % 0x140 / size * size;
        if (rand() % 2)
            offset = (4 + (unsigned)rand() % 0x24) / size * size;
        mv_pci_bus_write(bus, slot, offset, value, size);
        mv_pci_intx_set(&functions[rand() % 3], rand() % 2);
        mv_pci_msi_send(&functions[rand() % 3]);
        assert_true(is_at(0x60000000, ram) && is_at(0x600fffff, ram));
    }
    mv_space_for_each(space, check_range, NULL);
    assert_int_equal(read32(1, 0), 0x56781234);
    assert_int_equal(read32(1, 0x2c), before);
    for (unsigned i = 0; i < 3; i++)
        mv_pci_function_reset(&functions[i]);
    assert_true(is_at(0x50000000, NULL) && !lines[36] && !lines[37] && !lines[38]);
    assert_int_equal(read32(1, MV_PCI_COMMAND) & 0xffff, 0);
}

static void test_slots(void **state)
{
    struct mv_pci_function other = {0};
    assert_int_equal(mv_pci_bus_free_slot(bus), 3);
    assert_int_equal(mv_pci_bus_plug(bus, 5, &other, &err), -EBUSY);
    assert_non_null(strstr(err.text, "05.0"));
    write32(5, 0x10, 0x50001000);
    write32(5, MV_PCI_COMMAND, MV_PCI_COMMAND_MEMORY);
    assert_true(is_at(0x50001000, &registers));
    mv_pci_bus_unplug(&functions[2]);
    assert_true(is_at(0x50001000, NULL));
    assert_int_equal(read32(5, 0), UINT32_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sizing),           TEST(test_bars_move_while_mapped),
        TEST(test_bars_over_others), TEST(test_line_interrupts),
        TEST(test_messages),         TEST(test_random_writes),
        TEST(test_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
