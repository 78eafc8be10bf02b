/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_host: a host bridge with enhanced configuration access (PCI
 * Express Base Specification, 7.2.2): a 4 KiB page for each function, by bus,
 * slot and function number.  It owns the bus, whose lock guards what there is;
 * called by vCPU threads through its region.
 */
#include "device-list.h"

#include <stdlib.h>

struct mv_pci_host {
    struct mv_device device;
    struct mv_mmio_region region;
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

/* Each function has its own reset. */
static void reset(struct mv_device *device)
{
    (void)device;
}

static void destroy(struct mv_device *device)
{
    struct mv_pci_host *host = (struct mv_pci_host *)device;
    mv_pci_bus_destroy(host->bus);
    free(host);
}

static const struct mv_device_ops device_ops = {
    .type = "pci-host-ecam", .reset = reset, .destroy = destroy};

int mv_pci_host_create(const struct mv_pci_bus_params *params, struct mv_device **ret,
                       struct mv_error *err)
{
    struct mv_pci_host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI host bridge");
    int r = mv_pci_bus_create(params, &host->bus, err);
    if (r < 0) {
        free(host);
        return r;
    }
    host->device.ops = &device_ops;
    host->region = (struct mv_mmio_region){.name = "pci-ecam", .ops = &ecam_ops, .opaque = host};
    *ret = &host->device;
    return 0;
}

const struct mv_mmio_region *mv_pci_host_region(struct mv_device *device)
{
    return &((struct mv_pci_host *)device)->region;
}

struct mv_pci_bus *mv_pci_host_bus(struct mv_device *device)
{
    return ((struct mv_pci_host *)device)->bus;
}
