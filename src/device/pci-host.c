/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_host: a host bridge with enhanced configuration access (PCI
 * Express Base Specification, 7.2.2): a 4 KiB page for each function, by bus,
 * slot and function number.  It owns the bus, whose lock guards what there is;
 * called by vCPU threads through its region.
 */
#include "pci-devices.h"

#include "fdt-writer.h"

#include <string.h>

struct mv_pci_host {
    struct mv_device device;
    struct mv_pci_bus *bus;
};

/* Function 0 of each slot; buses count from bit 20 on, as in the bus's addresses. */
static bool address_of(uint64_t offset, unsigned *ret_address)
{
    *ret_address = (unsigned)(offset >> 15);
    return (offset >> 12 & 7) == 0;
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_pci_host *host = opaque;
    unsigned address;
    if (!address_of(offset, &address))
        return UINT64_MAX;
    return mv_pci_bus_read(host->bus, address, offset & 0xfff, size);
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_pci_host *host = opaque;
    unsigned address;
    if (address_of(offset, &address))
        mv_pci_bus_write(host->bus, address, offset & 0xfff, (uint32_t)value, size);
}

static const struct mv_mmio_ops ecam_ops = {
    .read = ecam_read, .peek = ecam_read, .write = ecam_write, .min_access = 1, .max_access = 4};

static void destroy(struct mv_device *device)
{
    mv_pci_bus_destroy(mv_pci_host_bus(device));
}

/* Each function has its own reset. */
static const struct mv_device_ops device_ops = {.type = "pci-host-ecam", .destroy = destroy};

struct mv_pci_bus *mv_pci_host_bus(struct mv_device *device)
{
    return ((struct mv_pci_host *)device)->bus;
}

bool mv_pci_host_is_meant(const char *name)
{
    return name == NULL || strcmp(name, MV_PCI_HOST_BUS) == 0;
}

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    const struct mv_pci_host_wiring *wiring = row->wiring;
    struct mv_pci_bus_params params = {
        .space = platform->space,
        .windows = {{wiring->memory_gpa, wiring->memory_size},
                    {platform->pci64.gpa, platform->pci64.size}},
        .msi_gpa = platform->msi.gpa,
        .msi_size = platform->msi.size,
        .msi_region = platform->msi.region,
    };
    for (unsigned i = 0; i < MV_PCI_LINES; i++)
        params.lines[i] = (struct mv_irq){platform->irqchip, row->intid + i};
    struct mv_pci_host *host =
        mv_device_alloc(sizeof *host, &device_ops, "pci-ecam", &ecam_ops, err);
    if (host == NULL)
        return -ENOMEM;
    int r = mv_pci_bus_create(&params, &host->bus, err);
    if (r < 0) {
        mv_device_destroy(&host->device);
        return r;
    }
    *ret = &host->device;
    return 0;
}

/* INTA# to INTD# of slot n go to the four interrupts, turned by n. */
static void describe_interrupts(struct mv_fdt *fdt, unsigned intid)
{
    enum { CELLS_EACH = 10 }; /* three of address, pin, GIC, two of its address, three of it */
    uint32_t map[MV_PCI_LINES * MV_PCI_LINES * CELLS_EACH];
    uint32_t *at = map;
    for (uint32_t slot = 0; slot < MV_PCI_LINES; slot++) {
        for (uint32_t pin = 1; pin <= MV_PCI_LINES; pin++) {
            unsigned line = intid + (slot + pin - 1) % MV_PCI_LINES;
            const uint32_t entry[CELLS_EACH] = {slot << 11,        0, 0, pin,
                                                MV_FDT_INTERRUPTS, 0, 0, MV_FDT_INTERRUPT(line)};
            memcpy(at, entry, sizeof entry);
            at += CELLS_EACH;
        }
    }
    MV_FDT_CELLS(fdt, "#interrupt-cells", 1);
    MV_FDT_CELLS(fdt, "interrupt-map-mask", (MV_PCI_LINES - 1) << 11, 0, 0, 7);
    mv_fdt_cells(fdt, "interrupt-map", map, sizeof map / sizeof map[0]);
}

/* Windows of 32-bit and of 64-bit addresses (IEEE 1275, PCI bus binding, 2.2.1.1). */
static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    const uint32_t memory32 = UINT32_C(2) << 24, memory64 = UINT32_C(3) << 24;
    const struct mv_pci_host_wiring *wiring = row->wiring;
    uint64_t gpa = wiring->memory_gpa, gpa64 = platform->pci64.gpa;
    mv_fdt_text(fdt, "compatible", "pci-host-ecam-generic");
    mv_fdt_text(fdt, "device_type", "pci");
    mv_fdt_reg(fdt, row->gpa, MV_PCI_ECAM_SIZE);
    MV_FDT_CELLS(fdt, "#address-cells", 3);
    MV_FDT_CELLS(fdt, "#size-cells", 2);
    MV_FDT_CELLS(fdt, "bus-range", 0, MV_PCI_ECAM_SIZE / 0x100000 - 1);
    MV_FDT_CELLS(fdt, "linux,pci-domain", 0);
    mv_fdt_empty(fdt, "dma-coherent");
    MV_FDT_CELLS(fdt, "ranges", memory32, MV_FDT_U64(gpa), MV_FDT_U64(gpa),
                 MV_FDT_U64(wiring->memory_size), memory64, MV_FDT_U64(gpa64), MV_FDT_U64(gpa64),
                 MV_FDT_U64(platform->pci64.size));
    MV_FDT_CELLS(fdt, "msi-parent", MV_FDT_MESSAGES);
    describe_interrupts(fdt, row->intid);
}

const struct mv_platform_type mv_pci_host_type = {"pcie", offsetof(struct mv_platform, pci), create,
                                                  MV_PCI_ECAM_SIZE, .describe = describe};
