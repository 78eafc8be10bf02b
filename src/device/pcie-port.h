/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pcie_port: a root port, a bridge to a bus (PCI-to-PCI Bridge
 * Architecture Specification 1.2) with one slot into which devices come while the
 * guest runs (PCI Express Base Specification 4.0, 6.7 and 7.5.3): power controller,
 * attention button, indicators, presence and link.  Its registers and what follows
 * from them are guarded by the bus's lock.  It owns the bus behind it.
 */
#ifndef MV_DEVICE_PCIE_PORT_H
#define MV_DEVICE_PCIE_PORT_H

#include "pci.h"

/*
 * The guest has let go of a device, which mv_pcie_port_collect tells.  In a
 * vCPU's thread, under the bus's lock: it does no more than take note.
 */
typedef void mv_pcie_eject_fn(void *opaque);

/* What tells a slot from others, by the pair. */
struct mv_pcie_place {
    unsigned chassis;
    unsigned slot_number; /* what the guest calls it, up to 8191 */
};

/*
 * Of its state a save carries the registers, and whether the guest is being asked to
 * let go of what is in the slot.
 */
struct mv_pcie_port {
    struct mv_pci_function function;
    struct mv_pcie_place place;
    uint8_t express;        /* its capability's offset */
    uint16_t control;       /* of the slot, as it was before the write that is being followed */
    bool event;             /* an interrupt is due for what the slot's status says */
    struct mv_device *gone; /* out of the slot, and not collected yet */
    /* The main thread's: since when (guest time, ns) the guest is asked to let go of the device. */
    bool asked;
    uint64_t asked_ns;
    mv_pcie_eject_fn *eject;
    void *eject_opaque;
};

/* NULL where the device is none. */
struct mv_pcie_port *mv_pci_root_port_of(struct mv_device *device);

/* --- main thread */

/* A device was put into the slot while the guest may run: tell it. */
void mv_pcie_port_inserted(struct mv_pcie_port *port);

enum mv_pcie_removal {
    MV_PCIE_ASKED,   /* the button was pressed: `eject` follows, or nothing */
    MV_PCIE_REMOVED, /* nobody used it, or the guest let go of it: it is to be collected */
    MV_PCIE_BUSY,    /* the guest is about to switch the slot on or off */
};
/*
 * Ask the guest to let go of the device that was put into the port's slot, and
 * that may have left it a moment ago.
 */
enum mv_pcie_removal mv_pcie_port_remove(struct mv_pcie_port *port);
/* Take it out without asking, as the guest is reset: it is to be collected. */
void mv_pcie_port_take(struct mv_pcie_port *port);

/*
 * The device that left the slot, until it is collected; NULL where none has.  It
 * is to be destroyed when the space has settled and no memory of its is pinned,
 * before another one is inserted.
 */
struct mv_device *mv_pcie_port_gone(struct mv_pcie_port *port);
struct mv_device *mv_pcie_port_collect(struct mv_pcie_port *port);

#endif
