/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_bridge: a PCI function with a bus behind it (PCI-to-PCI Bridge
 * Architecture Specification 1.2).  What its registers mean is asked by the
 * bus that it sits on, under that bus's lock.
 */
#ifndef MV_BUS_PCI_BRIDGE_H
#define MV_BUS_PCI_BRIDGE_H

#include "pci.h"

/* A device embeds it as its first member. */
struct mv_pci_bridge {
    struct mv_pci_function function;
    struct mv_pci_bus *secondary; /* its own */
    bool shut;      /* nothing behind it is there for the guest */
    bool reset_due; /* what is behind it is to be reset */
};

/* The header and the bus behind it, which mv_pci_bridge_clear gives back. */
int mv_pci_bridge_init(struct mv_pci_bridge *bridge, const struct mv_device_ops *ops,
                       const struct mv_pci_ids *ids, struct mv_error *err);
void mv_pci_bridge_clear(struct mv_pci_bridge *bridge);

/* --- under the bus's lock */

/* Whether accesses to all of these addresses get through to the other side. */
bool mv_pci_bridge_forwards(const struct mv_pci_bridge *bridge, uint64_t gpa, uint64_t size);
/* The number of the bus behind it, and whether one of that number is there or further on. */
unsigned mv_pci_bridge_number(const struct mv_pci_bridge *bridge);
bool mv_pci_bridge_leads_to(const struct mv_pci_bridge *bridge, unsigned number);
/* The guest wrote to configuration space: bridges' own `written` calls it. */
void mv_pci_bridge_written(struct mv_pci_bridge *bridge, unsigned offset, unsigned size,
                           uint32_t value);

#endif
