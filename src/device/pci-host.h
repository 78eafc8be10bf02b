/* SPDX-License-Identifier: Apache-2.0 */
/* pci-host.c: a host bridge with ECAM; it owns the bus. */
#ifndef MV_DEVICE_PCI_HOST_H
#define MV_DEVICE_PCI_HOST_H

#include "pci.h"
#include "platform.h"

#include <stdbool.h>

#define MV_PCI_HOST_BUS  "pcie.0" /* what bus= calls its bus, as QEMU does */
#define MV_PCI_ECAM_SIZE 0x10000000

/* Its row's address is that of ECAM, and its interrupts are INTA# of slot n: intid + n % 4. */
extern const struct mv_platform_type mv_pci_host_type;
struct mv_pci_host_wiring {
    uint64_t memory_gpa; /* the window of functions' 32-bit memory */
    uint64_t memory_size;
};

int mv_pci_host_create(const struct mv_pci_bus_params *params, struct mv_device **ret,
                       struct mv_error *err);
const struct mv_mmio_region *mv_pci_host_region(struct mv_device *device);
/* Whether bus= means its bus by that; by nothing (NULL) it does. */
bool mv_pci_host_is_meant(const char *name);
struct mv_pci_bus *mv_pci_host_bus(struct mv_device *device);

#endif
