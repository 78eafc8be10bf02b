/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 board: its guest-physical map (docs/DESIGN.md) and devices. */
#include "board-arm64.h"

#include "board.h"
#include "size.h"

/*
 * What RAM must not cover.  The GIC's redistributors have room for the most
 * vCPUs; the PCI windows are kept free for the PCI host bridge.
 */
const struct mv_window mv_arm64_windows[] = {
    {"the board's devices", 0x0, 0x10000000},
    {"GICv2m frame", MV_ARM64_GICV2M, 0x10000},
    {"GIC redistributors", MV_ARM64_GIC_REDIST, MV_VCPU_MAX *MV_GICV3_REDIST_SIZE},
    {"GIC distributor", MV_ARM64_GIC_DIST, MV_GICV3_DIST_SIZE},
    {"PCI ECAM", 0x40000000, 0x10000000},
    {"PCI memory window", 0x50000000, 0x30000000},
};
const size_t mv_arm64_window_count = sizeof mv_arm64_windows / sizeof mv_arm64_windows[0];

static struct mv_irq spi(const struct mv_machine *machine, unsigned number)
{
    return (struct mv_irq){.chip = mv_gicv3_irqchip(machine->gic),
                           .intid = MV_INTID_SPI_BASE + number};
}

/* Put a device into the tree, or destroy it. */
static int add(struct mv_machine *machine, struct mv_device *device, const char *path,
               struct mv_error *err)
{
    int r = mv_device_tree_add(&machine->devices, device, path, err);
    if (r < 0)
        device->ops->destroy(device);
    return r;
}

static int create_gic(struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_gicv3_params params = {
        .cpus = machine->config->cpus,
        .spi_count = MV_ARM64_SPI_COUNT,
        .msi_base_intid = MV_INTID_SPI_BASE + MV_ARM64_MSI_SPI,
        .msi_count = MV_ARM64_MSI_COUNT,
    };
    struct mv_device *gic;
    int r = mv_gicv3_create(&params, &gic, err);
    if (r == 0)
        r = add(machine, gic, "gic", err);
    if (r < 0)
        return r;
    machine->gic = gic;
    r = mv_space_add_mmio(machine->space, MV_ARM64_GIC_DIST, MV_GICV3_DIST_SIZE,
                          mv_gicv3_dist_region(gic), err);
    if (r == 0)
        r = mv_space_add_mmio(machine->space, MV_ARM64_GIC_REDIST,
                              (uint64_t)machine->config->cpus * MV_GICV3_REDIST_SIZE,
                              mv_gicv3_redist_region(gic), err);
    if (r == 0)
        r = mv_space_add_mmio(machine->space, MV_ARM64_GICV2M, MV_GICV2M_SIZE,
                              mv_gicv3_v2m_region(gic), err);
    return r;
}

static int create_uart(struct mv_machine *machine, struct mv_serial_backend *serial,
                       struct mv_error *err)
{
    struct mv_irq irq = spi(machine, MV_ARM64_UART_SPI);
    struct mv_device *uart;
    int r = mv_ns16550a_create(&irq, serial, &uart, err);
    if (r == 0)
        r = add(machine, uart, "uart", err);
    if (r < 0)
        return r;
    machine->uart = uart;
    return mv_space_add_mmio(machine->space, MV_ARM64_UART, MV_NS16550A_SIZE,
                             mv_ns16550a_region(uart), err);
}

static int create_rtc(struct mv_machine *machine, struct mv_error *err)
{
    struct mv_irq irq = spi(machine, MV_ARM64_RTC_SPI);
    struct mv_device *rtc;
    int r = mv_pl031_create(&irq, machine->loop, &rtc, err);
    if (r == 0)
        r = add(machine, rtc, "rtc", err);
    if (r < 0)
        return r;
    machine->rtc = rtc;
    return mv_space_add_mmio(machine->space, MV_ARM64_RTC, MV_PL031_SIZE, mv_pl031_region(rtc),
                             err);
}

static int create_gpio(struct mv_machine *machine, struct mv_error *err)
{
    struct mv_irq irq = spi(machine, MV_ARM64_GPIO_SPI);
    struct mv_device *gpio;
    int r = mv_pl061_create(&irq, &gpio, err);
    if (r == 0)
        r = add(machine, gpio, "gpio", err);
    if (r < 0)
        return r;
    machine->gpio = gpio;
    return mv_space_add_mmio(machine->space, MV_ARM64_GPIO, MV_PL061_SIZE, mv_pl061_region(gpio),
                             err);
}

int mv_board_arm64_create(struct mv_machine *machine, struct mv_serial_backend *serial,
                          struct mv_error *err)
{
    int r = create_gic(machine, err);
    if (r == 0)
        r = create_uart(machine, serial, err);
    if (r == 0)
        r = create_rtc(machine, err);
    if (r == 0)
        r = create_gpio(machine, err);
    return r;
}
