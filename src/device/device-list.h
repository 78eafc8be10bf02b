/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated devices of the boards: how each is made.  One file a device. */
#ifndef MV_DEVICE_DEVICE_LIST_H
#define MV_DEVICE_DEVICE_LIST_H

#include "device.h"
#include "error.h"
#include "irqchip.h"
#include "pci.h"
#include "pcie-port.h"
#include "space.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_block_registry;
struct mv_config_backing;
struct mv_loop;

/* --- gicv3.c: GICv3 distributor, redistributors, CPU interfaces, GICv2m frame. */
struct mv_gicv3_params {
    unsigned cpus;          /* 1..64 */
    unsigned spi_count;     /* multiple of 32, at most 960; SPIs are 32..32+n-1 */
    unsigned msi_base_intid; /* first SPI of the GICv2m frame */
    unsigned msi_count;
};
#define MV_GICV3_DIST_SIZE 0x10000
#define MV_GICV3_REDIST_SIZE 0x20000 /* a vCPU */
#define MV_GICV2M_SIZE 0x1000
int mv_gicv3_create(const struct mv_gicv3_params *params, struct mv_device **ret,
                    struct mv_error *err);
struct mv_irqchip *mv_gicv3_irqchip(struct mv_device *device);
const struct mv_mmio_region *mv_gicv3_dist_region(struct mv_device *device);
/* One region for all vCPUs' redistributors, cpus * MV_GICV3_REDIST_SIZE long. */
const struct mv_mmio_region *mv_gicv3_redist_region(struct mv_device *device);
const struct mv_mmio_region *mv_gicv3_v2m_region(struct mv_device *device);

/* --- ns16550a.c: 16550A UART (8-bit registers, register shift 0). */
/*
 * The host's end of a UART.  write is called in a vCPU's thread with the
 * UART's lock held, returns the number of bytes taken (0..len); where it took
 * fewer, the backend calls mv_ns16550a_tx_ready once it can take more.
 */
struct mv_serial_backend {
    unsigned (*write)(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len);
    /* The guest took input: there is room for mv_ns16550a_rx_room more bytes. */
    void (*rx_ready)(struct mv_serial_backend *backend);
};
#define MV_NS16550A_SIZE 8
#define MV_NS16550A_CLOCK 1843200
int mv_ns16550a_create(const struct mv_irq *irq, struct mv_serial_backend *backend,
                       struct mv_device **ret, struct mv_error *err);
const struct mv_mmio_region *mv_ns16550a_region(struct mv_device *device);
/* Any thread.  Room in the receive FIFO, and input into it (len <= room). */
unsigned mv_ns16550a_rx_room(struct mv_device *device);
void mv_ns16550a_rx(struct mv_device *device, const uint8_t *buf, unsigned len);
void mv_ns16550a_tx_ready(struct mv_device *device);

/* --- pl031.c: PL031 real-time clock; reads the host's CLOCK_REALTIME. */
#define MV_PL031_SIZE 0x1000
int mv_pl031_create(const struct mv_irq *irq, struct mv_loop *loop, struct mv_device **ret,
                    struct mv_error *err);
const struct mv_mmio_region *mv_pl031_region(struct mv_device *device);

/* --- pl061.c: PL061 GPIO; line 3 is the power button (gpio-keys, KEY_POWER). */
#define MV_PL061_SIZE 0x1000
int mv_pl061_create(const struct mv_irq *irq, struct mv_device **ret, struct mv_error *err);
const struct mv_mmio_region *mv_pl061_region(struct mv_device *device);
/* Drive an input line, 0..7.  Any thread. */
void mv_pl061_set_input(struct mv_device *device, unsigned line, bool level);

/* --- pci-host.c: host bridge with ECAM; it owns the bus. */
#define MV_PCI_ECAM_SIZE 0x10000000
int mv_pci_host_create(const struct mv_pci_bus_params *params, struct mv_device **ret,
                       struct mv_error *err);
const struct mv_mmio_region *mv_pci_host_region(struct mv_device *device);
struct mv_pci_bus *mv_pci_host_bus(struct mv_device *device);

/* --- PCI functions: made here, then put into a slot by the board. */
struct mv_ivshmem_hello;
struct mv_pci_device_params {
    const char *path; /* "pci/03.0" */
    struct mv_block_registry *blocks;
    uint64_t size; /* of a memory device: bytes; with a server the least that it may have */
    const struct mv_config_backing *backing; /* of a memory device */
    struct mv_block *block;                  /* another's that it shows instead, or NULL */
    struct mv_loop *loop;
    const char *socket; /* of a device with a server: where that listens */
    unsigned vectors;   /* of its MSI-X table: 1 to MV_PCI_MSIX_VECTORS_MAX */
    bool ext;           /* docs/ivshmem-ext.md */
    struct mv_ivshmem_hello *hello; /* of mv_ivshmem_doorbell_greet, or NULL */
    struct mv_pcie_place place; /* of a root port, as what follows */
    mv_pcie_eject_fn *eject;
    void *eject_opaque;
};

/*
 * ivshmem-plain.c: -EINVAL unless size, or that of the block, is a power of two
 * of at least 4 KiB.  The block must outlive the device.
 */
int mv_ivshmem_plain_create(const struct mv_pci_device_params *params,
                            struct mv_pci_function **ret, struct mv_error *err);
/*
 * ivshmem-doorbell.c: without a hello it waits up to ten seconds for the server;
 * what ivshmem-link.h says.
 */
int mv_ivshmem_doorbell_create(const struct mv_pci_device_params *params,
                               struct mv_pci_function **ret, struct mv_error *err);
/*
 * The part of it that takes long, beforehand and in any thread: what
 * ivshmem-hello.h says, of the connection that the device is to use.
 */
int mv_ivshmem_doorbell_greet(const char *socket, bool (*cancelled)(void *opaque), void *opaque,
                              struct mv_ivshmem_hello **ret, struct mv_error *err);
/* Whether it was used or not; may be NULL. */
void mv_ivshmem_doorbell_leave(struct mv_ivshmem_hello *hello);
/* ivshmem-info.c: what an ivshmem function is, and whom it knows. */
struct mv_ivshmem_info {
    const char *block; /* the id of its memory */
    uint64_t size;     /* of that, bytes */
    const char *socket; /* where its server listens; NULL: it has none, nor what follows */
    bool connected;
    unsigned id;       /* 0 to 65535, from the server */
    unsigned vectors;  /* its own, that peers may ring */
    uint64_t sent;     /* rings, those to the device itself included */
    uint64_t received; /* those included that came together */
};
/* False where the device is no ivshmem function.  The texts live as long as it does. */
bool mv_ivshmem_describe(struct mv_device *device, struct mv_ivshmem_info *ret);
/* Call fn for each peer that it is connected with, by ID; the device itself is none. */
void mv_ivshmem_for_each_peer(struct mv_device *device,
                              void (*fn)(void *opaque, unsigned id, unsigned vectors),
                              void *opaque);
/* The same with the first patch's registers, and no MSI-X. */
int mv_ivshmem_2009_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                           struct mv_error *err);
/* edu.c: the teaching device of QEMU: registers, INTx and MSI, no DMA. */
int mv_edu_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                  struct mv_error *err);
/* pci-root-port.c: a bus with one slot, into which devices come while the guest runs. */
int mv_pci_root_port_create(const struct mv_pci_device_params *params,
                            struct mv_pci_function **ret, struct mv_error *err);
/* NULL where the device is none. */
struct mv_pcie_port *mv_pci_root_port_of(struct mv_device *device);

#endif
