/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How PCI devices get into their slots, and struct mv_hotplug: those that come and
 * go while the guest runs.  One comes into a root port's slot, where the guest
 * finds it; it goes when the guest has let go of it, or is reset.  Main thread.
 */
#ifndef MV_MACHINE_HOTPLUG_H
#define MV_MACHINE_HOTPLUG_H

#include "error.h"
#include "pcie-port.h"

#include <stdatomic.h>
#include <stdbool.h>

struct mv_block_registry;
struct mv_config_device;
struct mv_device_tree;
struct mv_guest_timers;
struct mv_ivshmem_hello;
struct mv_loop;
struct mv_space;

/* What became of a device while the guest runs; id is NULL where it has none. */
typedef void mv_hotplug_fn(void *opaque, const char *path, const char *id, bool is_there);

/* The machine's; its maker fills it in.  What PCI devices are made of and put into, too. */
struct mv_hotplug {
    struct mv_loop *loop;
    struct mv_device *host; /* the host bridge; NULL: the board has none */
    struct mv_device_tree *devices;
    struct mv_space *space;
    struct mv_block_registry *blocks;
    /* Their time is a guest's patience, which ends when it stands still. */
    struct mv_guest_timers *timers;
    mv_hotplug_fn *changed; /* blocks of one that came are there, of one that went are not */
    void *opaque;
    atomic_bool due; /* the loop will call */
};
/* Before the devices. */
void mv_hotplug_destroy(struct mv_hotplug *hotplug);

/* For root ports; takes a note and has the main thread see to it. */
mv_pcie_eject_fn mv_hotplug_eject;

/* Finish the removals that the guest has agreed to, but for those whose memory is pinned still. */
void mv_hotplug_collect(struct mv_hotplug *hotplug);
/* The same; -EBUSY where there are such. */
int mv_hotplug_finish(struct mv_hotplug *hotplug, struct mv_error *err);
/* A device was put into a slot of a root port: the guest is told. */
void mv_hotplug_added(struct mv_hotplug *hotplug, struct mv_device *device);
/*
 * Ask the guest to let go of a device, known by its id or its path.  -ENODEV
 * where there is none, -ENOTSUP where it sits in no port, -EINPROGRESS where
 * the guest was asked less than five seconds ago, -EBUSY where it is about to
 * switch the slot on or off.
 */
int mv_hotplug_remove(struct mv_hotplug *hotplug, const char *name, struct mv_error *err);
/* The guest is reset: what it was asked to let go of goes. */
void mv_hotplug_reset(struct mv_hotplug *hotplug);

/* --- board-pci.c: putting PCI devices that the user wants into their slots */

/*
 * Make a PCI device and put it into its slot and into the tree, which owns it.
 * `hello` is that of the device's server, or NULL.  -ENOENT for an unknown type or bus, -EBUSY
 * where the slot is taken, -EEXIST where the id is; -ENOTSUP where the machine runs and the bus has
 * no hotplug, or has no PCI.  Nothing has changed then.
 */
int mv_board_plug(struct mv_hotplug *pci, const struct mv_config_device *wish,
                  struct mv_ivshmem_hello *hello, bool running, struct mv_device **ret,
                  struct mv_error *err);
/* What it would say of the type, the place and the id while the machine runs; changes nothing. */
int mv_board_check_plug(struct mv_hotplug *pci, const struct mv_config_device *wish,
                        struct mv_error *err);

#endif
