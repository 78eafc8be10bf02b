/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 board, as data: a later device is a file of its own and a row here.
 * No code but what the guest is told of the power button's wire.
 */

#include "board-arm64.h"

#include "arm64.h"
#include "engine.h"
#include "fdt-writer.h"
#include "pci-devices.h"
#include "platform-devices.h"
#include "size.h"

#define SLOT 0x10000 /* each small device has 64 KiB to itself */

/* Shared interrupts, counted from 0 as in the device tree. */
#define SPI(number) (MV_INTID_SPI_BASE + (number))
#define SPIS        928
#define UART_SPI    1
#define RTC_SPI     2
#define GPIO_SPI    3
#define PCI_SPI     4 /* and three more */
#define VMGENID_SPI 8
#define MSI_SPI     32 /* and all above */

#define POWER_LINE 3   /* of the GPIO */
#define KEY_POWER  116 /* Linux, input-event-codes.h */

static const struct mv_window windows[] = {
    {"I/O ports", 0, 0x10000},
    {"board devices", 0x10000, MV_ARM64_UART - 0x10000},
    {"UART", MV_ARM64_UART, SLOT},
    {"RTC", MV_ARM64_RTC, SLOT},
    {"GPIO", MV_ARM64_GPIO, SLOT},
    {"VM generation ID", MV_ARM64_VMGENID, SLOT},
    {"board devices", MV_ARM64_VMGENID + SLOT, 0x10000000 - MV_ARM64_VMGENID - SLOT},
    {"MSI frame", MV_ARM64_V2M, SLOT},
    {"GIC redistributors", MV_ARM64_REDIST, MV_VCPU_MAX *MV_GICV3_REDIST_SIZE},
    {"GIC distributor", MV_ARM64_DIST, MV_GICV3_DIST_SIZE},
    {"PCI ECAM", MV_ARM64_ECAM, 256 * MV_MIB},
    {"PCI memory", MV_ARM64_PCI, MV_ARM64_RAM - MV_ARM64_PCI},
};

_Static_assert(MV_ARM64_V2M + SLOT == MV_ARM64_REDIST, "the MSI frame ends at the redistributors");
_Static_assert(MV_ARM64_REDIST + MV_VCPU_MAX * MV_GICV3_REDIST_SIZE == MV_ARM64_DIST,
               "the redistributors end at the distributor");
_Static_assert(MV_ARM64_DIST + MV_GICV3_DIST_SIZE == MV_ARM64_ECAM, "the GIC ends at ECAM");

static const struct mv_gicv3_wiring gic = {
    .redist_gpa = MV_ARM64_REDIST,
    .v2m_gpa = MV_ARM64_V2M,
    .params = {.spi_count = SPIS, .msi_base_intid = SPI(MSI_SPI), .msi_count = SPIS - MSI_SPI},
};

static const struct mv_pci_host_wiring pci = {MV_ARM64_PCI, MV_ARM64_RAM - MV_ARM64_PCI};

static void describe_button(struct mv_fdt *fdt, const struct mv_platform *platform,
                            const struct mv_platform_row *row)
{
    mv_fdt_text(fdt, "compatible", "gpio-keys");
    mv_fdt_begin(fdt, "power-button");
    mv_fdt_text(fdt, "label", "Power Button");
    MV_FDT_CELLS(fdt, "linux,code", KEY_POWER);
    MV_FDT_CELLS(fdt, "gpios", MV_FDT_GPIO, POWER_LINE, 0);
    mv_fdt_end(fdt);
}

static const struct mv_platform_type button = {.node = "gpio-keys", .describe = describe_button};

/* The GIC first: the others have wires to it, and it outlives them. */
static const struct mv_platform_row rows[] = {
    {"gic", &mv_gicv3_type, MV_ARM64_DIST, 0, &gic},
    {NULL, &mv_timer_arm64_type},
    {NULL, &mv_clock_type},
    {"uart", &mv_ns16550a_type, MV_ARM64_UART, SPI(UART_SPI)},
    {"rtc", &mv_pl031_type, MV_ARM64_RTC, SPI(RTC_SPI)},
    {"gpio", &mv_pl061_type, MV_ARM64_GPIO, SPI(GPIO_SPI)},
    {NULL, &button},
    {"vmgenid", &mv_vmgenid_type, MV_ARM64_VMGENID, SPI(VMGENID_SPI)},
    {"pci", &mv_pci_host_type, MV_ARM64_ECAM, SPI(PCI_SPI), &pci},
};

const struct mv_board_ops mv_board_arm64 = {
    .name = "arm64",
    .arch = &mv_arm64,
    .loader = &mv_loader_arm64,
    .ipa_bits = MV_ARM64_IPA_BITS,
    .ram_base = MV_ARM64_RAM,
    .windows = windows,
    .window_count = sizeof windows / sizeof windows[0],
    .pci64 = {MV_ARM64_PCI64, MV_ARM64_PCI64_SIZE, MV_ARM64_PCI64_MIN},
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .virtual_timer_intid = MV_ARM64_TIMER_VIRTUAL_INTID,
    .physical_timer_intid = MV_ARM64_TIMER_PHYSICAL_INTID,
    .power_line = POWER_LINE,
};
