/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device/pcie-port.c: bus numbers, windows and interrupts through
 * a bridge (PCI-to-PCI Bridge Architecture 1.2), and the life of a hot-plug
 * slot (PCI Express 4.0, 6.7).
 */
#include "pci-devices.h"
#include "pci-fixture.h"
#include "pci-msi.h"
#include "pcie-port.h"

#define PORT_SLOT 2
#define BEHIND    (3 * MV_PCI_SLOTS) /* slot 0 of bus 3, as numbered below */

/* Of the slot, in the port's capability. */
#define CONTROL 0x18
#define STATUS  0x1a
#define BUTTON           (1u << 0)
#define PRESENCE_CHANGED (1u << 3)
#define COMPLETED        (1u << 4)
#define INTERRUPT        (1u << 5)
#define PRESENT          (1u << 6)
#define LINK_CHANGED     (1u << 8)
#define LIGHT_ON         (1u << 8)
#define LIGHT_BLINKS     (2u << 8)
#define LIGHT_OFF        (3u << 8)
#define POWER_OFF        (1u << 10)

static struct mv_pcie_port *port;
static struct mv_pci_function function;
static struct mv_block *block;
static unsigned resets, ejected;

static void count_reset(struct mv_device *device)
{
    resets++;
    mv_pci_function_reset((struct mv_pci_function *)device);
}

static void count_eject(void *opaque)
{
    ejected++;
}

static const struct mv_device_ops device_ops = {.type = "test", .reset = count_reset};
static const struct mv_pci_ids ids = {
    .vendor = 0x1234, .device = 0x5678, .class_code = 0x00ff00, .interrupt = true};

static void make_function(void)
{
    function = (struct mv_pci_function){0};
    mv_pci_function_init(&function, &device_ops, &ids);
    mv_pci_bar_mmio(&function, 0, 0x1000, &registers);
    mv_pci_bar_ram(&function, 2, block);
    mv_pci_msi_add(&function);
}

static void plug(void)
{
    make_function();
    assert_int_equal(mv_pci_bus_plug(port->function.behind, 0, &function, &err), 0);
}

static void reset_port(void)
{
    port->function.device.ops->reset(&port->function.device);
}

static int setup_empty(void **state)
{
    const struct mv_pci_device_params params = {.place.slot_number = 11, .eject = count_eject};
    struct mv_pci_function *f;
    fixture_create();
    resets = ejected = 0;
    assert_int_equal(
        mv_block_create(registry, "pci/02.0/00.0", "bar2", 2 * MV_MIB, &block, &err), 0);
    assert_int_equal(mv_pci_root_port_create(&params, &f, &err), 0);
    assert_int_equal(mv_pci_bus_plug(bus, PORT_SLOT, f, &err), 0);
    port = mv_pci_root_port_of(&f->device);
    reset_port();
    function = (struct mv_pci_function){0};
    return 0;
}

static int setup(void **state)
{
    setup_empty(state);
    plug();
    reset_port();
    return 0;
}

static int teardown(void **state)
{
    mv_pci_bus_unplug(&function);
    mv_device_destroy(&port->function.device);
    fixture_destroy();
    return 0;
}

static uint32_t get(unsigned address, unsigned offset, unsigned size)
{
    return mv_pci_bus_read(bus, address, offset, size);
}

static void set(unsigned address, unsigned offset, unsigned size, uint32_t value)
{
    mv_pci_bus_write(bus, address, offset, value, size);
}

static uint32_t slot_get(unsigned reg)
{
    return get(PORT_SLOT, port->express + reg, 2);
}

static void slot_set(unsigned reg, uint32_t value)
{
    set(PORT_SLOT, port->express + reg, 2, value);
}

/* Bus 3 behind the port, 1 MiB of registers and 2 MiB of memory forwarded. */
static void configure(void)
{
    set(PORT_SLOT, 0x18, 4, 0x00030300);
    set(PORT_SLOT, 0x20, 4, 0x51005100);
    set(PORT_SLOT, 0x24, 4, 0x00100000);
    set(PORT_SLOT, 0x28, 4, 0x81);
    set(PORT_SLOT, 0x2c, 4, 0x81);
    set(PORT_SLOT, MV_PCI_COMMAND, 2, MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER);
}

static void place_bars(void)
{
    set(BEHIND, 0x10, 4, 0x51000000);
    set(BEHIND, 0x18, 4, 0);
    set(BEHIND, 0x1c, 4, 0x81);
    set(BEHIND, MV_PCI_COMMAND, 2, MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER);
}

#define HIGH_BAR UINT64_C(0x8100000000)

static void test_header(void **state)
{
    assert_int_equal(get(PORT_SLOT, 0x0e, 1), 1);
    assert_int_equal(get(PORT_SLOT, 0x08, 4) >> 8, 0x060400);
    /* The registers of a function's BARs and I/O window are not there. */
    for (unsigned offset = 0x10; offset < 0x18; offset += 4) {
        set(PORT_SLOT, offset, 4, UINT32_MAX);
        assert_int_equal(get(PORT_SLOT, offset, 4), 0);
    }
    set(PORT_SLOT, 0x1c, 2, 0xffff);
    assert_int_equal(get(PORT_SLOT, 0x1c, 2), 0);
    set(PORT_SLOT, 0x24, 4, UINT32_MAX);
    assert_int_equal(get(PORT_SLOT, 0x24, 4), 0xfff1fff1); /* 64 bits wide */
    set(PORT_SLOT, 0x20, 4, UINT32_MAX);
    assert_int_equal(get(PORT_SLOT, 0x20, 4), 0xfff0fff0);
    /* A root port of version 2 with a slot; number 11, button, power, lights, hot-plug. */
    assert_int_equal(get(PORT_SLOT, MV_PCI_CAPABILITIES, 1), port->express);
    assert_int_equal(get(PORT_SLOT, port->express, 1), 0x10);
    assert_int_equal(get(PORT_SLOT, port->express + 2, 2), 0x142);
    assert_int_equal(get(PORT_SLOT, port->express + 0x14, 4), 11u << 19 | 0x5b);
}

static void test_numbers(void **state)
{
    for (unsigned number = 1; number < 256; number++)
        assert_int_equal(get(number * MV_PCI_SLOTS, 0, 4), UINT32_MAX);
    configure();
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
    assert_int_equal(get(BEHIND + 1, 0, 4), UINT32_MAX);
    assert_int_equal(get(2 * MV_PCI_SLOTS, 0, 4), UINT32_MAX);
    assert_int_equal(get(4 * MV_PCI_SLOTS, 0, 4), UINT32_MAX);
    set(PORT_SLOT, 0x18, 4, 0x00ff0900);
    assert_int_equal(get(9 * MV_PCI_SLOTS, 0, 4), 0x56781234);
    assert_int_equal(get(10 * MV_PCI_SLOTS, 0, 4), UINT32_MAX); /* forwarded to nobody */
    assert_int_equal(get(BEHIND, 0, 4), UINT32_MAX);
    set(PORT_SLOT, 0x18, 4, 0x00000900); /* the last number is below the first */
    assert_int_equal(get(9 * MV_PCI_SLOTS, 0, 4), UINT32_MAX);
}

static void test_windows(void **state)
{
    configure();
    place_bars();
    assert_true(is_at(0x51000000, &registers) && is_at(HIGH_BAR, block));
    /* The memory's window ends 1 MiB short of the BAR. */
    set(PORT_SLOT, 0x24, 4, 0x00000000);
    assert_true(is_at(HIGH_BAR, NULL) && is_at(0x51000000, &registers));
    set(PORT_SLOT, 0x24, 4, 0x00200000);
    assert_true(is_at(HIGH_BAR, block));
    /* The window moves away, and the BAR comes after. */
    set(PORT_SLOT, 0x20, 4, 0x52005200);
    assert_true(is_at(0x51000000, NULL));
    set(BEHIND, 0x10, 4, 0x52003000);
    assert_true(is_at(0x52003000, &registers));
    set(PORT_SLOT, MV_PCI_COMMAND, 2, 0);
    assert_true(is_at(0x52003000, NULL) && is_at(HIGH_BAR, NULL));
    set(PORT_SLOT, MV_PCI_COMMAND, 2, MV_PCI_COMMAND_MEMORY);
    assert_true(is_at(0x52003000, &registers) && is_at(HIGH_BAR, block));
    /* A window where the host bridge has none leads nowhere. */
    set(PORT_SLOT, 0x20, 4, 0xfff00000);
    set(BEHIND, 0x10, 4, 0x1000);
    assert_true(is_at(0x1000, NULL));
}

static void test_interrupts(void **state)
{
    configure();
    place_bars();
    /* Pin A of slot 0 behind slot 2. */
    mv_pci_intx_set(&function, true);
    assert_true(lines[38] && !lines[36] && !lines[37] && !lines[39]);
    mv_pci_intx_set(&function, false);
    assert_false(lines[38]);
    unsigned msi = get(BEHIND, MV_PCI_CAPABILITIES, 1);
    set(BEHIND, msi + 4, 4, (uint32_t)FRAME + 0x40);
    set(BEHIND, msi + 12, 2, 0x51);
    set(BEHIND, msi + 2, 2, 1);
    mv_pci_msi_send(&function);
    assert_int_equal(messages, 1);
    /* A bridge that may not be a master lets nothing through to memory. */
    set(PORT_SLOT, MV_PCI_COMMAND, 2, MV_PCI_COMMAND_MEMORY);
    mv_pci_msi_send(&function);
    assert_int_equal(messages, 1);
    assert_false(mv_dma_is_allowed(&function.dma));
}

static void test_secondary_reset(void **state)
{
    configure();
    place_bars();
    set(PORT_SLOT, 0x3e, 2, 1u << 6);
    assert_int_equal(resets, 1);
    assert_int_equal(get(BEHIND, MV_PCI_COMMAND, 2), 0);
    assert_true(is_at(0x51000000, NULL) && is_at(HIGH_BAR, NULL));
    set(PORT_SLOT, 0x3e, 2, 0);
    assert_int_equal(resets, 1);
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
}

static void test_slot_at_reset(void **state)
{
    assert_int_equal(slot_get(STATUS), PRESENT);
    assert_int_equal(slot_get(CONTROL) & (LIGHT_OFF | POWER_OFF), LIGHT_ON);
    assert_true(slot_get(0x12) & 1u << 13); /* the link is active */
    mv_pci_bus_unplug(&function);
    reset_port();
    assert_int_equal(slot_get(STATUS), 0);
    assert_int_equal(slot_get(CONTROL) & (LIGHT_OFF | POWER_OFF), LIGHT_OFF | POWER_OFF);
    assert_false(slot_get(0x12) & 1u << 13);
}

/* Events that the guest clears one by one, and one message for all that stand. */
static void test_slot_interrupts(void **state)
{
    unsigned msi = port->function.msi;
    configure();
    set(PORT_SLOT, msi + 4, 4, (uint32_t)FRAME + 0x40);
    set(PORT_SLOT, msi + 2, 2, 1);
    slot_set(CONTROL, LIGHT_OFF | POWER_OFF | INTERRUPT | 1u << 12 | 0x19);
    assert_int_equal(slot_get(STATUS), COMPLETED);
    assert_int_equal(messages, 1);
    slot_set(STATUS, COMPLETED);
    assert_int_equal(slot_get(STATUS), 0);
    plug();
    mv_pcie_port_inserted(port);
    assert_int_equal(slot_get(STATUS), PRESENT | PRESENCE_CHANGED | BUTTON);
    assert_int_equal(messages, 2);
    slot_set(STATUS, PRESENCE_CHANGED);
    assert_int_equal(messages, 2);
    slot_set(STATUS, BUTTON);
    assert_int_equal(slot_get(STATUS), PRESENT);
    /* Nothing is to be reached before there is power. */
    assert_int_equal(get(BEHIND, 0, 4), UINT32_MAX);
    slot_set(CONTROL, LIGHT_BLINKS | INTERRUPT | 1u << 12 | 0x19);
    assert_int_equal(slot_get(STATUS), PRESENT | LINK_CHANGED | COMPLETED);
    assert_int_equal(messages, 3);
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
    /* By the line where messages are off; the status is that of the capability's other half. */
    set(PORT_SLOT, msi + 2, 2, 0);
    assert_true(lines[38]);
    set(PORT_SLOT, port->express + CONTROL, 4,
        (uint32_t)(LINK_CHANGED | COMPLETED) << 16 | LIGHT_ON | INTERRUPT | 0x09);
    assert_int_equal(slot_get(STATUS), PRESENT | COMPLETED);
    assert_false(lines[38]); /* a command that completes is to interrupt no more */
    slot_set(CONTROL, LIGHT_ON | 0x19);
    assert_false(lines[38]);
}

static void test_removal(void **state)
{
    configure();
    place_bars();
    mv_pci_intx_set(&function, true);
    assert_int_equal(mv_pcie_port_remove(port), MV_PCIE_ASKED);
    assert_int_equal(slot_get(STATUS), PRESENT | BUTTON);
    slot_set(STATUS, BUTTON);
    slot_set(CONTROL, LIGHT_BLINKS);
    assert_int_equal(mv_pcie_port_remove(port), MV_PCIE_BUSY);
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
    assert_true(is_at(HIGH_BAR, block));
    slot_set(CONTROL, LIGHT_BLINKS | POWER_OFF);
    assert_int_equal(resets, 1); /* it lost its power */
    assert_int_equal(get(BEHIND, 0, 4), UINT32_MAX);
    assert_true(is_at(HIGH_BAR, NULL) && !lines[38]);
    assert_int_equal(ejected, 0);
    assert_null(mv_pcie_port_collect(port));
    slot_set(CONTROL, LIGHT_OFF | POWER_OFF);
    assert_int_equal(ejected, 1);
    assert_int_equal(slot_get(STATUS) & (PRESENT | PRESENCE_CHANGED), PRESENCE_CHANGED);
    /* What the device still does has no effect. */
    mv_pci_intx_set(&function, true);
    mv_pci_msi_send(&function);
    mv_pci_function_reset(&function);
    assert_false(mv_dma_is_allowed(&function.dma) || lines[38]);
    assert_ptr_equal(mv_pcie_port_collect(port), &function.device);
    assert_null(mv_pcie_port_collect(port));
    /* Writing the same again lets go of nothing. */
    slot_set(CONTROL, LIGHT_OFF | POWER_OFF);
    assert_int_equal(ejected, 1);
    plug();
    mv_pcie_port_inserted(port);
    slot_set(CONTROL, LIGHT_OFF | POWER_OFF);
    assert_int_equal(ejected, 1);
    /* A slot without power is used by nobody. */
    assert_int_equal(mv_pcie_port_remove(port), MV_PCIE_REMOVED);
    assert_ptr_equal(mv_pcie_port_collect(port), &function.device);
    plug();
    reset_port();
    mv_pcie_port_take(port);
    assert_ptr_equal(mv_pcie_port_collect(port), &function.device);
    assert_int_equal(slot_get(STATUS) & PRESENT, 0);
}

/* The guest is faster than the one who asks: a vCPU lets go before the main thread gets the lock. */
static void test_removal_of_what_has_left(void **state)
{
    configure();
    slot_set(CONTROL, LIGHT_OFF | POWER_OFF);
    assert_int_equal(ejected, 1);
    assert_int_equal(mv_pcie_port_remove(port), MV_PCIE_REMOVED);
    assert_ptr_equal(mv_pcie_port_collect(port), &function.device);
    assert_null(mv_pcie_port_collect(port));
}

static void test_link_disabled(void **state)
{
    configure();
    slot_set(0x10, 1u << 4);
    assert_int_equal(get(BEHIND, 0, 4), UINT32_MAX);
    assert_int_equal(resets, 1);
    slot_set(0x10, 0);
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
}

static int check_range(const struct mv_range *range, void *opaque)
{
    bool low = range->gpa >= LOW_WINDOW && range->gpa + range->size <= 0x80000000;
    bool high = range->gpa >= HIGH_WINDOW && range->gpa + range->size <= 2 * HIGH_WINDOW;
    assert_true(low || high);
    return 0;
}

/* Whatever is written to the port and behind it, and whenever a device comes and goes. */
static void test_random_writes(void **state)
{
    static const uint32_t likely[] = {0x50000000, 0x51000000, 0x60000000, 0x00030300,
                                      0x80,       0x51005100, UINT32_MAX, 0x07};
    const struct mv_block *ram = mv_block_find(registry, "ram0");
    srand(9);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned size = 1u << rand() % 3;
        unsigned address = rand() % 2 ? PORT_SLOT : (unsigned)rand() % 5 * MV_PCI_SLOTS;
        uint32_t value = rand() % 2 ? likely[rand() % 8] : (uint32_t)rand() * 2654435761u;
        unsigned offset = (unsigned)rand() % 0x110 / size * size;
        if (i % 64 == 0)
            configure();
        mv_pci_bus_write(bus, address, offset, value, size);
        mv_pci_intx_set(&function, rand() % 2);
        mv_pci_msi_send(&function);
        if (rand() % 16 == 0 && function.plugged)
            mv_pcie_port_remove(port);
        if (mv_pcie_port_collect(port) != NULL) {
            assert_false(function.plugged);
            plug();
            mv_pcie_port_inserted(port);
        }
        assert_true(is_at(0x60000000, ram) && is_at(0x600fffff, ram));
    }
    assert_true(ejected > 0);
    mv_space_for_each(space, check_range, NULL);
    assert_int_equal(get(PORT_SLOT, 0, 4), 0x000c1b36);
    reset_port();
    mv_pci_function_reset(&function);
    configure();
    assert_int_equal(get(BEHIND, 0, 4), 0x56781234);
    assert_false(lines[36] || lines[37] || lines[38] || lines[39]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_header),
        TEST(test_numbers),
        TEST(test_windows),
        TEST(test_interrupts),
        TEST(test_secondary_reset),
        TEST(test_slot_at_reset),
        cmocka_unit_test_setup_teardown(test_slot_interrupts, setup_empty, teardown),
        TEST(test_removal),
        TEST(test_removal_of_what_has_left),
        TEST(test_link_disabled),
        TEST(test_random_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
