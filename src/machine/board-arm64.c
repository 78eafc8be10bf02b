/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 board's devices.  Each is made by an entry of a table, so that a
 * later device is a function and a line.  No lock: the main thread's, called
 * by machine.c.
 */
#include "board-arm64.h"

#include "device.h"
#include "size.h"
#include "space.h"

#define SLOT 0x10000 /* each small device has 64 KiB to itself */

const struct mv_window mv_board_windows[] = {
    {"I/O ports", 0, 0x10000},
    {"board devices", 0x10000, MV_BOARD_UART - 0x10000},
    {"UART", MV_BOARD_UART, SLOT},
    {"RTC", MV_BOARD_RTC, SLOT},
    {"GPIO", MV_BOARD_GPIO, SLOT},
    {"board devices", MV_BOARD_GPIO + SLOT, 0x10000000 - MV_BOARD_GPIO - SLOT},
    {"MSI frame", MV_BOARD_V2M, SLOT},
    {"GIC redistributors", MV_BOARD_REDIST, MV_VCPU_MAX * MV_GICV3_REDIST_SIZE},
    {"GIC distributor", MV_BOARD_DIST, MV_GICV3_DIST_SIZE},
    {"PCI ECAM", MV_BOARD_ECAM, 256 * MV_MIB},
    {"PCI memory", MV_BOARD_PCI, MV_BOARD_RAM_BASE - MV_BOARD_PCI},
};
const size_t mv_board_window_count = sizeof mv_board_windows / sizeof mv_board_windows[0];

_Static_assert(MV_BOARD_V2M + SLOT == MV_BOARD_REDIST, "the MSI frame ends at the redistributors");
_Static_assert(MV_BOARD_REDIST + MV_VCPU_MAX * MV_GICV3_REDIST_SIZE == MV_BOARD_DIST,
               "the redistributors end at the distributor");
_Static_assert(MV_BOARD_DIST + MV_GICV3_DIST_SIZE == MV_BOARD_ECAM, "the GIC ends at ECAM");

struct parts {
    unsigned cpus;
    const struct mv_bank_layout *layout;
    struct mv_loop *loop;
    struct mv_serial_backend *serial;
    struct mv_device_tree *devices;
    struct mv_space *space;
    struct mv_board board;
};

/* Takes the device over, also where it fails. */
static int add_device(struct parts *parts, struct mv_device *device, const char *path,
                      struct mv_error *err)
{
    int r = mv_device_tree_add(parts->devices, device, path, err);
    if (r < 0)
        device->ops->destroy(device);
    return r;
}

static struct mv_irq irq_of(const struct parts *parts, unsigned spi)
{
    return (struct mv_irq){mv_gicv3_irqchip(parts->board.gic), MV_INTID_SPI_BASE + spi};
}

static int add_gic(struct parts *parts, struct mv_error *err)
{
    struct mv_gicv3_params params = {
        .cpus = parts->cpus,
        .spi_count = MV_BOARD_SPIS,
        .msi_base_intid = MV_INTID_SPI_BASE + MV_BOARD_MSI_SPI,
        .msi_count = MV_BOARD_SPIS - MV_BOARD_MSI_SPI,
    };
    struct mv_device **gic = &parts->board.gic;
    int r = mv_gicv3_create(&params, gic, err);
    if (r == 0)
        r = add_device(parts, *gic, "gic", err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_DIST, MV_GICV3_DIST_SIZE,
                              mv_gicv3_dist_region(*gic), err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_REDIST,
                              (uint64_t)parts->cpus * MV_GICV3_REDIST_SIZE,
                              mv_gicv3_redist_region(*gic), err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_V2M, MV_GICV2M_SIZE,
                              mv_gicv3_v2m_region(*gic), err);
    return r;
}

static int add_uart(struct parts *parts, struct mv_error *err)
{
    struct mv_irq irq = irq_of(parts, MV_BOARD_UART_SPI);
    struct mv_device **uart = &parts->board.uart;
    int r = mv_ns16550a_create(&irq, parts->serial, uart, err);
    if (r == 0)
        r = add_device(parts, *uart, "uart", err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_UART, MV_NS16550A_SIZE,
                              mv_ns16550a_region(*uart), err);
    return r;
}

static int add_rtc(struct parts *parts, struct mv_error *err)
{
    struct mv_irq irq = irq_of(parts, MV_BOARD_RTC_SPI);
    struct mv_device **rtc = &parts->board.rtc;
    int r = mv_pl031_create(&irq, parts->loop, rtc, err);
    if (r == 0)
        r = add_device(parts, *rtc, "rtc", err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_RTC, MV_PL031_SIZE, mv_pl031_region(*rtc),
                              err);
    return r;
}

static int add_gpio(struct parts *parts, struct mv_error *err)
{
    struct mv_irq irq = irq_of(parts, MV_BOARD_GPIO_SPI);
    struct mv_device **gpio = &parts->board.gpio;
    int r = mv_pl061_create(&irq, gpio, err);
    if (r == 0)
        r = add_device(parts, *gpio, "gpio", err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_GPIO, MV_PL061_SIZE, mv_pl061_region(*gpio),
                              err);
    return r;
}

/* The highest free aligned place of that size between two banks, or none: 0. */
static uint64_t highest_gap(const struct mv_bank_layout *layout, uint64_t size)
{
    uint64_t end = UINT64_C(1) << MV_BOARD_IPA_BITS;
    for (size_t i = layout->count + 1; i-- > 0;) {
        const struct mv_bank *below = i == 0 ? NULL : &layout->banks[i - 1];
        uint64_t start = below == NULL ? 0 : below->gpa + below->size;
        if (start < MV_BOARD_RAM_BASE)
            start = MV_BOARD_RAM_BASE;
        if (end > start && end - start >= size && ((end - size) & ~(size - 1)) >= start)
            return (end - size) & ~(size - 1);
        if (below != NULL)
            end = below->gpa;
    }
    return 0;
}

static bool is_free(const struct mv_bank_layout *layout, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        if (bank->gpa < gpa + size && gpa < bank->gpa + bank->size)
            return false;
    }
    return true;
}

uint64_t mv_board_pci64(const struct mv_bank_layout *layout, uint64_t *ret_size)
{
    uint64_t size = MV_BOARD_PCI64_SIZE;
    uint64_t gpa = is_free(layout, MV_BOARD_PCI64, size) ? MV_BOARD_PCI64 : 0;
    while (gpa == 0 && size >= MV_BOARD_PCI64_MIN) {
        gpa = highest_gap(layout, size);
        if (gpa == 0)
            size /= 2;
    }
    *ret_size = gpa == 0 ? 0 : size;
    return gpa;
}

static int add_pci(struct parts *parts, struct mv_error *err)
{
    uint64_t size64, gpa64 = mv_board_pci64(parts->layout, &size64);
    if (size64 == 0)
        return mv_error_set(err, ENOSPC,
                            "the banks leave no 1 GiB free and aligned for devices' 64-bit memory: "
                            "give fewer banks with -m, or put them closer together");
    struct mv_pci_bus_params params = {
        .space = parts->space,
        .windows = {{MV_BOARD_PCI, MV_BOARD_RAM_BASE - MV_BOARD_PCI}, {gpa64, size64}},
        .msi_gpa = MV_BOARD_V2M,
        .msi_size = MV_GICV2M_SIZE,
        .msi_region = mv_gicv3_v2m_region(parts->board.gic),
    };
    for (unsigned i = 0; i < MV_PCI_LINES; i++)
        params.lines[i] = irq_of(parts, MV_BOARD_PCI_SPI + i);
    struct mv_device **pci = &parts->board.pci;
    int r = mv_pci_host_create(&params, pci, err);
    if (r == 0)
        r = add_device(parts, *pci, "pci", err);
    if (r == 0)
        r = mv_space_add_mmio(parts->space, MV_BOARD_ECAM, MV_PCI_ECAM_SIZE,
                              mv_pci_host_region(*pci), err);
    return r;
}

int mv_board_create(unsigned cpus, const struct mv_bank_layout *layout, struct mv_loop *loop,
                    struct mv_serial_backend *serial, struct mv_device_tree *devices,
                    struct mv_space *space, struct mv_board *ret, struct mv_error *err)
{
    /* The GIC first: the others have wires to it, and it outlives them. */
    static int (*const add[])(struct parts *, struct mv_error *) = {add_gic, add_uart, add_rtc,
                                                                    add_gpio, add_pci};
    struct parts parts = {cpus, layout, loop, serial, devices, space, {NULL}};
    for (size_t i = 0; i < sizeof add / sizeof add[0]; i++) {
        int r = add[i](&parts, err);
        if (r < 0)
            return r;
    }
    *ret = parts.board;
    return 0;
}
