/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices that a board is built of, at addresses of its own: a row each of
 * the board's table.  How a type of device is made and described stands in the
 * device's file; where it is, in the row.
 */
#ifndef MV_BUS_PLATFORM_H
#define MV_BUS_PLATFORM_H

#include "error.h"
#include "irqchip.h"

#include <stddef.h>
#include <stdint.h>

struct mv_device;
struct mv_device_tree;
struct mv_fdt;
struct mv_loop;
struct mv_mmio_region;
struct mv_serial_backend;
struct mv_space;

/*
 * What a board gives its devices, and below that what devices are to those in
 * the rows behind them, as they are made.  The main thread's.
 */
struct mv_platform {
    unsigned cpus;
    struct mv_loop *loop;
    struct mv_space *space;
    struct mv_device_tree *devices;
    struct mv_serial_backend *serial; /* the host's end of the console; NULL: output is dropped */
    struct {
        uint64_t gpa;
        uint64_t size;
    } pci64; /* the window of PCI functions' 64-bit memory */

    struct mv_irqchip *irqchip;
    struct {
        uint64_t gpa;
        uint64_t size;
        const struct mv_mmio_region *region;
    } msi;                     /* where message-signalled interrupts are written to */
    struct mv_device *console; /* the first UART */
    struct mv_device *gpio;
    struct mv_device *vmgenid;
    struct mv_device *pci; /* the host bridge */
};

struct mv_platform_row;

struct mv_platform_type {
    const char *node; /* the name of its node in the device tree: "serial" */
    /* The member of struct mv_platform that the first device of it is; 0: none. */
    size_t part;
    /*
     * A device with registers, which go to the row's address.  NULL: the row does no
     * more than tell the guest something.
     */
    int (*create)(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err);
    uint64_t size; /* of the registers, bytes */
    /* Or NULL: it is in the tree and in the space; what else is there to do. */
    int (*added)(struct mv_platform *platform, const struct mv_platform_row *row,
                 struct mv_device *device, struct mv_error *err);
    /* What stands in its node, which is open. */
    void (*describe)(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row);
};

struct mv_platform_row {
    const char *path; /* in the tree of devices: "uart" */
    const struct mv_platform_type *type;
    uint64_t gpa;       /* of its registers, the first of them; 0: it has none */
    unsigned intid;     /* of its interrupt, the first of them; 0: it has none */
    const void *wiring; /* what the type has to know besides; its header says of what struct */
};

static inline struct mv_irq mv_platform_irq(const struct mv_platform *platform,
                                            const struct mv_platform_row *row)
{
    return (struct mv_irq){platform->irqchip, row->intid};
}

#endif
