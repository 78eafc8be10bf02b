/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine/board.c: a second board, of one file and one row, on the fake engine.
 * All that the machine knows of a board must come from its rows.
 */
#include "board-tiny.h"
#include "fake-machine.h"

#include "device.h"
#include "gicv3-state.h"
#include "space.h"

#include <libfdt.h>

static int tiny_setup(void **state)
{
    fake_board = "tiny";
    return fake_machine_setup(state);
}

static const struct mv_mmio_region *region_at(uint64_t gpa)
{
    struct mv_range range;
    if (!mv_space_find(mv_machine_space(machine), gpa, &range))
        fail_msg("nothing is at 0x%llx", (unsigned long long)gpa);
    assert_int_equal(range.kind, MV_RANGE_MMIO);
    assert_int_equal(range.gpa, gpa);
    return range.region;
}

static uint64_t guest_read(uint64_t gpa, uint64_t offset, unsigned size)
{
    const struct mv_mmio_region *region = region_at(gpa);
    return region->ops->read(region->opaque, offset, size);
}

static void guest_write(uint64_t gpa, uint64_t offset, uint64_t value, unsigned size)
{
    const struct mv_mmio_region *region = region_at(gpa);
    region->ops->write(region->opaque, offset, value, size);
}

static void find_chip(void *opaque, struct mv_device *device)
{
    if (strcmp(device->path, "chip") == 0)
        *(struct mv_device **)opaque = device;
}

static void note_device(void *opaque, struct mv_device *device)
{
    char *paths = opaque;
    strcat(strcat(paths, device->path), " ");
}

/* What is in the rows is there, where they say, and nothing else. */
static void test_rows(void **state)
{
    char paths[64] = "";
    struct mv_window window;
    MAKE("-m", "16M", "-c", "2");
    mv_machine_for_each_device(machine, note_device, paths);
    assert_string_equal(paths, "chip console ");
    assert_string_equal(mv_machine_uart(machine)->ops->type, "ns16550a");
    assert_null(mv_machine_pci_bus(machine));
    for (size_t i = 0; i < 2; i++) {
        assert_true(mv_machine_window(machine, i, &window));
        assert_int_equal(window.gpa, tiny_windows[i].gpa);
    }
    assert_false(mv_machine_window(machine, 2, &window));
    struct mv_range range;
    assert_true(mv_space_find(mv_machine_space(machine), TINY_RAM, &range));
    assert_int_equal(range.kind, MV_RANGE_RAM);
    assert_false(mv_space_find(mv_machine_space(machine), MV_ARM64_UART, &range));
    assert_false(mv_space_find(mv_machine_space(machine), MV_ARM64_ECAM, &range));
    fake_machine_start();
    fake_await_entry(0, 1);
    mv_machine_pause(machine);
}

/* The UART's wire goes to the interrupt of its row, and the engine knows the chip it ends in. */
static void test_wire(void **state)
{
    enum { IER = 1, IER_THRE = 2, ISPENDR = 0x200 };
    struct mv_device *chip = NULL;
    MAKE("-m", "16M");
    mv_machine_for_each_device(machine, find_chip, &chip);
    assert_ptr_equal(fake.irqchip, &((struct mv_gicv3 *)chip)->chip);
    assert_int_equal(guest_read(TINY_DIST, ISPENDR + 4, 4), 0);
    mv_ns16550a_hold(mv_machine_uart(machine), false); /* as when it runs */
    guest_write(TINY_UART, IER, IER_THRE, 1);
    guest_write(TINY_UART, 0, 'x', 1);
    assert_int_equal(guest_read(TINY_DIST, ISPENDR + 4, 4), 1u << TINY_UART_SPI);
}

static void expect_cells(const void *fdt, const char *path, const char *name,
                         const uint32_t *expected, int count)
{
    int len, offset = fdt_path_offset(fdt, path);
    const fdt32_t *value = offset < 0 ? NULL : fdt_getprop(fdt, offset, name, &len);
    if (value == NULL)
        fail_msg("there is no %s/%s", path, name);
    assert_int_equal(len, 4 * count);
    for (int i = 0; i < count; i++)
        assert_int_equal(fdt32_ld(value + i), expected[i]);
}
#define EXPECT(fdt, path, name, ...)                                                               \
    expect_cells(fdt, path, name, (const uint32_t[]){__VA_ARGS__},                                 \
                 sizeof(const uint32_t[]){__VA_ARGS__} / 4)

static void test_description(void **state)
{
    static const char *const absent[] = {"/rtc@1010000",   "/gpio-keys",      "/apb-pclk",
                                         "/pcie@40000000", "/serial@1000000", "/rng@1030000"};
    uint32_t size;
    MAKE("-m", "16M", "-c", "3");
    const void *fdt = mv_machine_dtb(machine, &size);
    assert_int_equal(fdt_check_full(fdt, size), 0);
    assert_int_equal(fdt_node_check_compatible(fdt, 0, "memvisor,tiny"), 0);
    EXPECT(fdt, "/memory@20000000", "reg", 0, 0x20000000, 0, 16 << 20);
    EXPECT(fdt, "/interrupt-controller@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x8100000, 0,
           0x60000);
    EXPECT(fdt, "/serial@9000000", "interrupts", 0, 7, 4);
    EXPECT(fdt, "/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
    int chosen = fdt_path_offset(fdt, "/chosen");
    assert_string_equal(fdt_getprop(fdt, chosen, "stdout-path", NULL), "/serial@9000000");
    int chip = fdt_path_offset(fdt, "/interrupt-controller@8000000");
    assert_int_equal(fdt_first_subnode(fdt, chip), -FDT_ERR_NOTFOUND);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(fdt_path_offset(fdt, absent[i]), -FDT_ERR_NOTFOUND);
}

static void refuse(const char *const *words, const char *part)
{
    assert_true(fake_machine_try(words) < 0);
    if (strstr(err.text, part) == NULL)
        fail_msg("lacks '%s': %s", part, err.text);
    assert_null(machine);
    mv_config_free(&config);
    config = (struct mv_config){0};
}
#define REFUSED(part, ...) refuse((const char *const[]){"-k", kernel_path, __VA_ARGS__, NULL}, part)

static void test_refusals(void **state)
{
    REFUSED("console", "-m", "16M@0x09000000");
    REFUSED("interrupts", "-m", "16M@0x08000000");
    REFUSED("0x1000000000", "-m", "16M@0x1000000000");
    REFUSED("no PCI bus", "-m", "16M", "--device", "edu");
    fake_board = "none";
    REFUSED("machine 'none' is not built in: arm64, tiny and other are", "-m", "16M");
    fake_board = "other";
    REFUSED("'fake' cannot run here: it runs vCPUs of arm64, and the machine 'other' has those of "
            "foreign",
            "-m", "16M");
    /* What the arm64 board has there is not here. */
    fake_board = "tiny";
    MAKE("-m", "16M@0x40000000");
}

/* What it has not is not missed. */
static void test_without(void **state)
{
    struct mv_config_device device;
    MAKE("-m", "16M");
    fake_machine_start();
    fake_await_entry(0, 1);
    assert_int_equal(fake.cpus[0]->entry.pc, TINY_RAM);
    mv_machine_powerdown(machine);
    assert_int_equal(mv_config_parse_device_add("edu", &device, &err), 0);
    assert_int_equal(mv_machine_device_add(machine, &device, NULL, &err), -ENOTSUP);
    assert_int_equal(mv_machine_renew_generation(machine, &err), -ENODEV);
    mv_config_device_clear(&device);
    mv_machine_pause(machine);
    assert_int_equal(mv_machine_reset(machine, MV_CAUSE_HOST_QMP, &err), 0);
    mv_machine_resume(machine);
    fake_await_entry(0, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tiny_setup, fake_machine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rows),     TEST(test_wire),    TEST(test_description),
        TEST(test_refusals), TEST(test_without),
    };
    return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
