/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host bridge, and the types of PCI functions that a user may add.  Each is a
 * file and a row in pci-devices.c; a function is made there, then put into a slot
 * by the machine.
 */
#ifndef MV_DEVICE_PCI_DEVICES_H
#define MV_DEVICE_PCI_DEVICES_H

#include "error.h"
#include "pci.h"
#include "pcie-port.h"
#include "platform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_block_registry;
struct mv_config_backing;
struct mv_guest_timers;
struct mv_ivshmem_hello;
struct mv_ivshmem_link;
struct mv_loop;

/* --- pci-host.c: the host bridge, with ECAM; it owns the bus */

#define MV_PCI_HOST_BUS  "pcie.0" /* what bus= calls its bus, as QEMU does */
#define MV_PCI_ECAM_SIZE 0x10000000

/* Its row's address is that of ECAM, and its interrupts are INTA# of slot n: intid + n % 4. */
extern const struct mv_platform_type mv_pci_host_type;
struct mv_pci_host_wiring {
    uint64_t memory_gpa; /* the window of functions' 32-bit memory */
    uint64_t memory_size;
};

/* Whether bus= means its bus by that; by nothing (NULL) it does. */
bool mv_pci_host_is_meant(const char *name);
struct mv_pci_bus *mv_pci_host_bus(struct mv_device *device);

/* --- functions */

/* What one is made of.  Each type takes what it needs; the rest is 0 or NULL. */
struct mv_pci_device_params {
    const char *path; /* "pci/03.0" */
    struct mv_block_registry *blocks;
    uint64_t size; /* of a memory device: bytes; with a server the least that it may have */
    const struct mv_config_backing *backing; /* of a memory device */
    struct mv_block *block;                  /* another's that it shows instead, or NULL */
    struct mv_loop *loop;
    struct mv_guest_timers *timers;
    uint64_t dma_mask;              /* of a device that has one: the addresses that it can send */
    const char *socket;             /* of a device with a server: where that listens */
    unsigned vectors;               /* of its MSI-X table: 1 to MV_PCI_MSIX_VECTORS_MAX */
    bool ext;                       /* docs/ivshmem-ext.md */
    struct mv_ivshmem_hello *hello; /* the connection to it, or NULL */
    struct mv_pcie_place place;     /* of a root port, as what follows */
    mv_pcie_eject_fn *eject;
    void *eject_opaque;
};

/* What a type needs, or is. */
enum {
    MV_PCI_SHOWS_MEMORY = 1, /* of its own, another's or a server's: the user says whose */
    MV_PCI_IS_PORT = 2,      /* a bus of its own, which is there for the machine's life */
};

typedef int mv_pci_create_fn(const struct mv_pci_device_params *params,
                             struct mv_pci_function **ret, struct mv_error *err);

struct mv_pci_type {
    const char *name; /* what --device and device_add call it */
    mv_pci_create_fn *create;
    unsigned traits; /* MV_PCI_* */
};

/* NULL where there is none of that name. */
const struct mv_pci_type *mv_pci_type_find(const char *name);
/* "edu, ivshmem-plain and …": those with none of the traits. */
void mv_pci_type_names(unsigned traits, char *buf, size_t size);

/* --- each in its own file */

/* edu.c: the teaching device of QEMU: registers, INTx and MSI, DMA. */
mv_pci_create_fn mv_edu_create;
/*
 * ivshmem.c.  Plain: -EINVAL unless size, or that of the block, is a power
 * of two of at least 4 KiB; the block must outlive the device.  Doorbell, and the
 * same with the first patch's registers: without a hello they wait up to ten
 * seconds for the server; what ivshmem-link.h says.
 */
mv_pci_create_fn mv_ivshmem_plain_create, mv_ivshmem_doorbell_create, mv_ivshmem_2009_create;
/*
 * The block that an ivshmem function of any kind shows, and its link to a server
 * (NULL: it has none); false where the device is none.
 */
bool mv_ivshmem_parts(struct mv_device *device, const struct mv_block **ret_block,
                      struct mv_ivshmem_link **ret_link);
/* pcie-port.c: a bus with one slot, into which devices come while the guest runs. */
mv_pci_create_fn mv_pci_root_port_create;

#endif
