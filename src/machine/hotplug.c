/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go.  All of it is the main thread's but `due`, which
 * vCPU threads set where their guest lets go of a device.
 */
#include "hotplug.h"

#include "loop.h"
#include "pci-devices.h"
#include "space.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Linux waits this long for a second press of the button, which would call it off. */
#define PATIENCE_NS UINT64_C(5000000000)

/* A device that the guest was asked to let go of. */
struct wish {
    const struct mv_device *device;
    uint64_t asked_ns; /* guest time */
    struct wish *next;
};

struct mv_hotplug {
    struct mv_hotplug_params params;
    struct wish *wishes;
    atomic_bool due; /* the loop will call */
};

static uint64_t guest_ns(const struct mv_hotplug *hotplug)
{
    return hotplug->params.guest_ns(hotplug->params.opaque);
}

int mv_hotplug_create(const struct mv_hotplug_params *params, struct mv_hotplug **ret,
                      struct mv_error *err)
{
    struct mv_hotplug *hotplug = calloc(1, sizeof *hotplug);
    if (hotplug == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the machine");
    hotplug->params = *params;
    *ret = hotplug;
    return 0;
}

/* --- wishes */

static struct wish **find_wish(struct mv_hotplug *hotplug, const struct mv_device *device)
{
    struct wish **link = &hotplug->wishes;
    while (*link != NULL && (*link)->device != device)
        link = &(*link)->next;
    return link;
}

static void forget_wish(struct mv_hotplug *hotplug, const struct mv_device *device)
{
    struct wish **link = find_wish(hotplug, device), *wish = *link;
    if (wish == NULL)
        return;
    *link = wish->next;
    free(wish);
}

void mv_hotplug_destroy(struct mv_hotplug *hotplug)
{
    if (hotplug == NULL)
        return;
    while (hotplug->wishes != NULL)
        forget_wish(hotplug, hotplug->wishes->device);
    free(hotplug);
}

/* --- removal */

/* vCPUs that were using it have left off, once the space has settled. */
static void destroy_device(struct mv_hotplug *hotplug, struct mv_device *device)
{
    const struct mv_hotplug_params *params = &hotplug->params;
    char *path = device->path, *id = device->id;
    mv_space_settle(params->space);
    forget_wish(hotplug, device);
    device->path = device->id = NULL;
    mv_device_tree_remove(params->devices, device);
    params->changed(params->opaque, path, id, false);
    free(path);
    free(id);
}

void mv_hotplug_settle(struct mv_hotplug *hotplug)
{
    for (struct mv_device *d = hotplug->params.devices->first; d != NULL; d = d->next) {
        struct mv_pcie_port *port = mv_pci_root_port_of(d);
        struct mv_device *gone = port == NULL ? NULL : mv_pcie_port_collect(port);
        if (gone != NULL)
            destroy_device(hotplug, gone);
    }
}

static void serve(void *opaque)
{
    struct mv_hotplug *hotplug = opaque;
    atomic_store(&hotplug->due, false);
    mv_hotplug_settle(hotplug);
}

/* However often a guest lets go of things, one call waits in the loop. */
void mv_hotplug_eject(void *opaque)
{
    struct mv_hotplug *hotplug = opaque;
    if (!atomic_exchange(&hotplug->due, true))
        mv_loop_defer(hotplug->params.loop, serve, hotplug);
}

/* The root port in whose slot the device sits, or NULL. */
static struct mv_pcie_port *port_of(struct mv_hotplug *hotplug, const struct mv_device *device)
{
    struct mv_device *parent = mv_device_tree_parent(hotplug->params.devices, device);
    return parent == NULL ? NULL : mv_pci_root_port_of(parent);
}

static int find_removable(struct mv_hotplug *hotplug, const char *name,
                          struct mv_device **ret_device, struct mv_pcie_port **ret_port,
                          struct mv_error *err)
{
    struct mv_device *device = mv_device_tree_find_id(hotplug->params.devices, name);
    if (device == NULL)
        device = mv_device_tree_find(hotplug->params.devices, name);
    if (device == NULL)
        return mv_error_set(err, ENODEV, "Device '%.80s' not found", name);
    struct mv_pcie_port *port = port_of(hotplug, device);
    if (port == NULL)
        return mv_error_set(err, ENOTSUP,
                            "device '%.80s' (%s) cannot be unplugged: only what sits behind a "
                            "pcie-root-port can",
                            name, device->path);
    *ret_device = device;
    *ret_port = port;
    return 0;
}

/* The wish of a device, made where it has none. */
static struct wish *need_wish(struct mv_hotplug *hotplug, const struct mv_device *device,
                              struct mv_error *err)
{
    struct wish *wish = *find_wish(hotplug, device);
    if (wish != NULL)
        return wish;
    wish = calloc(1, sizeof *wish);
    if (wish == NULL) {
        mv_error_set(err, ENOMEM, "no memory to unplug '%s'", device->path);
        return NULL;
    }
    wish->device = device;
    wish->next = hotplug->wishes;
    hotplug->wishes = wish;
    return wish;
}

int mv_hotplug_remove(struct mv_hotplug *hotplug, const char *name, struct mv_error *err)
{
    struct mv_device *device = NULL;
    struct mv_pcie_port *port = NULL;
    mv_hotplug_settle(hotplug);
    int r = find_removable(hotplug, name, &device, &port, err);
    if (r < 0)
        return r;
    const struct wish *asked = *find_wish(hotplug, device);
    if (asked != NULL && guest_ns(hotplug) - asked->asked_ns < PATIENCE_NS)
        return mv_error_set(err, EINPROGRESS,
                            "device '%.80s' is being unplugged already: DEVICE_DELETED tells when "
                            "the guest has let go of it",
                            name);
    struct wish *wish = need_wish(hotplug, device, err);
    if (wish == NULL)
        return -ENOMEM;
    switch (mv_pcie_port_remove(port)) {
    case MV_PCIE_BUSY:
        /* Nobody was asked: when it was asked before stays as it was. */
        if (asked == NULL)
            forget_wish(hotplug, device);
        return mv_error_set(err, EBUSY,
                            "the guest is switching the slot of '%.80s' on or off: try again later",
                            name);
    case MV_PCIE_REMOVED:
        mv_hotplug_settle(hotplug);
        break;
    case MV_PCIE_ASKED:
        wish->asked_ns = guest_ns(hotplug);
        break;
    }
    return 0;
}

void mv_hotplug_reset(struct mv_hotplug *hotplug)
{
    mv_hotplug_settle(hotplug);
    while (hotplug->wishes != NULL) {
        mv_pcie_port_take(port_of(hotplug, hotplug->wishes->device));
        mv_hotplug_settle(hotplug);
    }
}

/* --- arrival */

void mv_hotplug_added(struct mv_hotplug *hotplug, struct mv_device *device)
{
    struct mv_pcie_port *port = port_of(hotplug, device);
    hotplug->params.changed(hotplug->params.opaque, device->path, device->id, true);
    if (port != NULL)
        mv_pcie_port_inserted(port);
}
