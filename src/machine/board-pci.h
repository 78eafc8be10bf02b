/* SPDX-License-Identifier: Apache-2.0 */
/* Putting PCI devices that the user wants into their slots.  Main thread. */
#ifndef MV_MACHINE_BOARD_PCI_H
#define MV_MACHINE_BOARD_PCI_H

#include "error.h"

#include <stdbool.h>

struct mv_block_registry;
struct mv_config_device;
struct mv_device;
struct mv_device_tree;
struct mv_hotplug;
struct mv_ivshmem_hello;
struct mv_loop;

/* What PCI devices are made of and put into. */
struct mv_board_pci {
    struct mv_device *host; /* the host bridge; NULL: the board has none */
    struct mv_device_tree *devices;
    struct mv_block_registry *blocks;
    struct mv_hotplug *hotplug;
    struct mv_loop *loop;
    struct mv_ivshmem_hello *hello; /* the server's of the device to be made, or NULL */
};

/*
 * Make a PCI device and put it into its slot and into the tree, which owns it.
 * -ENOENT for an unknown type or bus, -EBUSY where the slot is taken, -EEXIST
 * where the id is; -ENOTSUP where the machine runs and the bus has no hotplug, or
 * has no PCI.  Nothing has changed then.
 */
int mv_board_plug(const struct mv_board_pci *pci, const struct mv_config_device *wish,
                  bool running, struct mv_device **ret, struct mv_error *err);
/* What it would say of the type, the place and the id while the machine runs; changes nothing. */
int mv_board_check_plug(const struct mv_board_pci *pci, const struct mv_config_device *wish,
                        struct mv_error *err);

#endif
