/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go.  What is under way stands in the root ports: a save
 * carries it with them.  All of it is the main thread's but `due`, which vCPU
 * threads set where their guest lets go of a device.
 */
#include "hotplug.h"

#include "block.h"
#include "guest-timer.h"
#include "loop.h"
#include "pci-devices.h"
#include "space.h"

#include <stdlib.h>

/* Linux waits this long for a second press of the button, which would call it off. */
#define PATIENCE_NS UINT64_C(5000000000)

/* The device that has left a port's slot and was not destroyed yet. */
static struct mv_device *gone_from(struct mv_device *port)
{
    struct mv_pcie_port *pcie = mv_pci_root_port_of(port);
    return pcie == NULL ? NULL : mv_pcie_port_gone(pcie);
}

void mv_hotplug_destroy(struct mv_hotplug *hotplug)
{
    for (struct mv_device *d = hotplug->devices->first; d != NULL; d = d->next) {
        const struct mv_device *gone = gone_from(d);
        if (gone != NULL)
            mv_block_registry_is_pinned(hotplug->blocks, gone->path, NULL, NULL);
    }
    mv_loop_forget(hotplug->loop, hotplug);
}

/* --- removal */

/* I/O into its memory goes on, though nobody finds that any more: its end will be heard of. */
static bool is_busy(struct mv_hotplug *hotplug, const struct mv_device *device)
{
    return mv_block_registry_is_pinned(hotplug->blocks, device->path, mv_hotplug_eject, hotplug);
}

/* vCPUs that were using it have left off, once the space has settled. */
static void destroy_device(struct mv_hotplug *hotplug, struct mv_device *device)
{
    char *path = device->path, *id = device->id;
    mv_space_settle(hotplug->space);
    device->path = device->id = NULL;
    mv_device_tree_remove(hotplug->devices, device);
    hotplug->changed(hotplug->opaque, path, id, false);
    free(path);
    free(id);
}

void mv_hotplug_collect(struct mv_hotplug *hotplug)
{
    for (struct mv_device *d = hotplug->devices->first; d != NULL; d = d->next) {
        struct mv_device *gone = gone_from(d);
        if (gone == NULL)
            continue;
        mv_pci_root_port_of(d)->asked = false;
        if (is_busy(hotplug, gone))
            continue;
        mv_pcie_port_collect(mv_pci_root_port_of(d));
        destroy_device(hotplug, gone);
    }
}

int mv_hotplug_finish(struct mv_hotplug *hotplug, struct mv_error *err)
{
    mv_hotplug_collect(hotplug);
    for (struct mv_device *d = hotplug->devices->first; d != NULL; d = d->next) {
        const struct mv_device *gone = gone_from(d);
        if (gone != NULL)
            return mv_error_set(err, EBUSY,
                                "the %s at %s has been unplugged, and I/O into its memory goes on: "
                                "try again",
                                gone->ops->type, gone->path);
    }
    return 0;
}

static void serve(void *opaque)
{
    struct mv_hotplug *hotplug = opaque;
    atomic_store(&hotplug->due, false);
    mv_hotplug_collect(hotplug);
}

/* However often a guest lets go of things, one call waits in the loop. */
void mv_hotplug_eject(void *opaque)
{
    struct mv_hotplug *hotplug = opaque;
    if (!atomic_exchange(&hotplug->due, true))
        mv_loop_defer(hotplug->loop, serve, hotplug);
}

/* The root port in whose slot the device sits, or NULL. */
static struct mv_pcie_port *port_of(struct mv_hotplug *hotplug, const struct mv_device *device)
{
    struct mv_device *parent = mv_device_tree_parent(hotplug->devices, device);
    return parent == NULL ? NULL : mv_pci_root_port_of(parent);
}

/* The port that a device, known by its id or path, can leave. */
static int find_removable(struct mv_hotplug *hotplug, const char *name,
                          struct mv_pcie_port **ret_port, struct mv_error *err)
{
    struct mv_device *device = mv_device_tree_find_id(hotplug->devices, name);
    if (device == NULL)
        device = mv_device_tree_find(hotplug->devices, name);
    if (device == NULL)
        return mv_error_set(err, ENODEV, "Device '%.80s' not found", name);
    struct mv_pcie_port *port = port_of(hotplug, device);
    if (port == NULL)
        return mv_error_set(err, ENOTSUP,
                            "device '%.80s' (%s) cannot be unplugged: only what sits behind a "
                            "pcie-root-port can",
                            name, device->path);
    *ret_port = port;
    return 0;
}

int mv_hotplug_remove(struct mv_hotplug *hotplug, const char *name, struct mv_error *err)
{
    struct mv_pcie_port *port = NULL;
    mv_hotplug_collect(hotplug);
    int r = find_removable(hotplug, name, &port, err);
    if (r < 0)
        return r;
    uint64_t now = hotplug->timers->guest_ns(hotplug->timers->opaque);
    if (port->asked && now - port->asked_ns < PATIENCE_NS)
        return mv_error_set(err, EINPROGRESS,
                            "device '%.80s' is being unplugged already: DEVICE_DELETED tells when "
                            "the guest has let go of it",
                            name);
    switch (mv_pcie_port_remove(port)) {
    case MV_PCIE_BUSY:
        /* Nobody was asked: when it was asked before stays as it was. */
        return mv_error_set(err, EBUSY,
                            "the guest is switching the slot of '%.80s' on or off: try again later",
                            name);
    case MV_PCIE_REMOVED:
        mv_hotplug_collect(hotplug);
        break;
    case MV_PCIE_ASKED:
        port->asked = true;
        port->asked_ns = now;
        break;
    }
    return 0;
}

void mv_hotplug_reset(struct mv_hotplug *hotplug)
{
    for (struct mv_device *d = hotplug->devices->first; d != NULL; d = d->next) {
        struct mv_pcie_port *port = mv_pci_root_port_of(d);
        if (port != NULL && port->asked)
            mv_pcie_port_take(port);
    }
    mv_hotplug_collect(hotplug);
}

/* --- arrival */

void mv_hotplug_added(struct mv_hotplug *hotplug, struct mv_device *device)
{
    struct mv_pcie_port *port = port_of(hotplug, device);
    hotplug->changed(hotplug->opaque, device->path, device->id, true);
    if (port != NULL)
        mv_pcie_port_inserted(port);
}
