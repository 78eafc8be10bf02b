/* SPDX-License-Identifier: Apache-2.0 */
/* The host bridge's windows, and whether they hold the BARs of all functions. */
#ifndef MV_BUS_PCI_WINDOWS_H
#define MV_BUS_PCI_WINDOWS_H

#include "pci.h"

/*
 * Whether the function's BARs fit with those of all functions on the root bus
 * and behind its bridges; -ENOSPC tells of sizes and limits.  Under the bus's lock.
 */
int mv_pci_windows_check(const struct mv_pci_bus_params *params, const struct mv_pci_bus *root,
                         const struct mv_pci_function *function, struct mv_error *err);

#endif
