/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a PCI device that the user wants gets into its slot.  What types there are,
 * and what each needs, is device/pci-devices.c's.  No state, no lock; the main
 * thread's, called by machine.c.
 */
#include "hotplug.h"

#include "block.h"
#include "cleanup.h"
#include "config.h"
#include "pci-devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whose memory it is, in one of the ways that --ivshmem has. */
static bool says_memory(const struct mv_config_device *wish)
{
    return wish->backing.file != NULL || wish->mem_id != NULL || wish->socket != NULL;
}

/* Where a device goes. */
struct place {
    struct mv_pci_bus *bus;
    unsigned slot;
    char path[16];
};

static int take_slot(const struct mv_config_device *wish, struct mv_pci_bus *bus,
                     const char *bus_path, struct place *ret, struct mv_error *err)
{
    int slot = wish->slot >= 0 ? wish->slot : mv_pci_bus_free_slot(bus);
    if (slot < 0)
        return mv_error_set(err, ENOSPC, "all PCI slots are taken");
    ret->bus = bus;
    ret->slot = (unsigned)slot;
    snprintf(ret->path, sizeof ret->path, "%s/%02x.0", bus_path, ret->slot);
    return 0;
}

/* The one slot of a root port. */
static int take_port(const struct mv_config_device *wish, const struct mv_pci_type *type,
                     const struct mv_device *device, struct mv_pcie_port *port, struct place *ret,
                     struct mv_error *err)
{
    if (wish->slot > 0)
        return mv_error_set(
            err, EINVAL,
            "a pcie-root-port has one slot: give addr=00.0 behind '%s', or no addr=", wish->bus);
    if (type->traits & MV_PCI_IS_PORT)
        return mv_error_set(
            err, EINVAL, "a pcie-root-port cannot be behind another: leave bus=%s away", wish->bus);
    struct mv_config_device first = *wish;
    first.slot = 0;
    return take_slot(&first, port->function.behind, device->path, ret, err);
}

static int find_place(struct mv_hotplug *pci, const struct mv_config_device *wish,
                      const struct mv_pci_type *type, bool running, struct place *ret,
                      struct mv_error *err)
{
    if (pci->host == NULL)
        return mv_error_set(err, ENOTSUP, "the machine has no PCI bus: leave the device away");
    if (!mv_pci_host_is_meant(wish->bus)) {
        struct mv_device *device = mv_device_tree_find_id(pci->devices, wish->bus);
        struct mv_pcie_port *port = device == NULL ? NULL : mv_pci_root_port_of(device);
        if (port == NULL)
            return mv_error_set(err, ENOENT,
                                "there is no bus '%s': give the id of a pcie-root-port", wish->bus);
        return take_port(wish, type, device, port, ret, err);
    }
    if (running)
        return mv_error_set(err, ENOTSUP,
                            "bus '" MV_PCI_HOST_BUS "' has no hotplug: start the VM with "
                            "--device pcie-root-port,id=ID, and give bus=ID");
    return take_slot(wish, mv_pci_host_bus(pci->host), pci->host->path, ret, err);
}

static int check_port_place(struct mv_hotplug *pci, const struct mv_pcie_place *place,
                            struct mv_error *err)
{
    for (struct mv_device *d = pci->devices->first; d != NULL; d = d->next) {
        const struct mv_pcie_port *port = mv_pci_root_port_of(d);
        if (port != NULL && port->place.chassis == place->chassis &&
            port->place.slot_number == place->slot_number)
            return mv_error_set(err, EEXIST,
                                "slot=%u of chassis %u is that of %s: give another slot=",
                                place->slot_number, place->chassis, d->path);
    }
    return 0;
}

static int check_free(struct mv_hotplug *pci, const struct mv_config_device *wish,
                      const struct place *place, struct mv_error *err)
{
    const struct mv_device *other = mv_device_tree_find(pci->devices, place->path);
    if (other != NULL && place->bus != mv_pci_host_bus(pci->host))
        return mv_error_set(err, EBUSY,
                            "the slot of '%s' holds a %s already: give another bus=", wish->bus,
                            other->ops->type);
    if (other != NULL)
        return mv_error_set(err, EBUSY,
                            "PCI slot %02x.0 holds a %s already: give another addr=", place->slot,
                            other->ops->type);
    other = wish->id == NULL ? NULL : mv_device_tree_find_id(pci->devices, wish->id);
    if (other != NULL)
        return mv_error_set(err, EEXIST, "id '%s' is that of the %s at %s: give another id",
                            wish->id, other->ops->type, other->path);
    return 0;
}

/* The path from the root on, to be freed; NULL where there is no memory.  May be NULL. */
static char *absolute(const char *path)
{
    char *whole = NULL;
    CLEANUP_FREE char *folder = path == NULL || path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (folder == NULL) /* or the folder is gone: no other path leads there */
        return path == NULL ? NULL : strdup(path);
    return asprintf(&whole, "%s/%s", folder, path) < 0 ? NULL : whole;
}

/* So that it can be made again, where and as it is, by a process that stands elsewhere. */
static int keep_options(struct mv_device *device, const struct mv_config_device *wish,
                        const struct place *place, struct mv_error *err)
{
    struct mv_config_device fixed = *wish;
    CLEANUP_FREE char *file = absolute(wish->backing.file), *socket = absolute(wish->socket);
    if ((file == NULL) != (wish->backing.file == NULL) ||
        (socket == NULL) != (wish->socket == NULL))
        return mv_error_set_errno(err, ENOMEM, "keeping its options");
    fixed.backing.file = file;
    fixed.socket = socket;
    fixed.slot = (int)place->slot;
    return mv_config_print_device(&fixed, &device->options, err);
}

/* Takes the function over, also where it fails. */
static int add(struct mv_hotplug *pci, const struct mv_config_device *wish,
               const struct place *place, struct mv_pci_function *function, struct mv_error *err)
{
    int r = mv_device_tree_add(pci->devices, &function->device, place->path, err);
    if (r < 0) {
        mv_device_destroy(&function->device);
        return r;
    }
    if (wish->id != NULL)
        r = mv_device_name(&function->device, wish->id, err);
    if (r == 0)
        r = keep_options(&function->device, wish, place, err);
    if (r == 0)
        r = mv_pci_bus_plug(place->bus, place->slot, function, err);
    if (r < 0)
        mv_device_tree_remove(pci->devices, &function->device);
    return r;
}

/* The block that the device is to show, and that stays as long as the machine. */
static int find_block(struct mv_hotplug *pci, const struct mv_config_device *wish,
                      struct mv_block **ret, struct mv_error *err)
{
    struct mv_block *block = mv_block_find(pci->blocks, wish->mem_id);
    if (block == NULL)
        return mv_error_set(err, ENOENT,
                            "there is no block '%s': a bank's id is one, and a device's memory is "
                            "where the device has an addr=",
                            wish->mem_id);
    const struct mv_device *owner = mv_device_tree_find(pci->devices, block->path);
    struct mv_device *parent = owner == NULL ? NULL : mv_device_tree_parent(pci->devices, owner);
    if (parent != NULL && mv_pci_root_port_of(parent) != NULL)
        return mv_error_set(err, EINVAL,
                            "block '%s' goes when its device is unplugged: name one that stays",
                            wish->mem_id);
    *ret = block;
    return 0;
}

/* What there is to know of a device before it is made. */
struct plan {
    const struct mv_pci_type *type;
    struct place place;
    struct mv_block *block; /* that it is to show, or NULL */
};

static int find_type(const struct mv_config_device *wish, bool running,
                     const struct mv_pci_type **ret, struct mv_error *err)
{
    const struct mv_pci_type *type = mv_pci_type_find(wish->type);
    if (type == NULL) {
        char names[256];
        mv_pci_type_names(running ? MV_PCI_IS_PORT : MV_PCI_SHOWS_MEMORY, names, sizeof names);
        return mv_error_set(err, ENOENT, "there is no device of the type '%s': there are %s",
                            wish->type, names);
    }
    if ((type->traits & MV_PCI_SHOWS_MEMORY) && !says_memory(wish))
        return mv_error_set(err, EINVAL,
                            "write it as --ivshmem SOCKET or --ivshmem mem=FILE,size=64M");
    *ret = type;
    return 0;
}

static int make_plan(struct mv_hotplug *pci, const struct mv_config_device *wish, bool running,
                     struct plan *ret, struct mv_error *err)
{
    ret->block = NULL;
    int r = find_type(wish, running, &ret->type, err);
    if (r == 0)
        r = find_place(pci, wish, ret->type, running, &ret->place, err);
    if (r == 0)
        r = check_free(pci, wish, &ret->place, err);
    if (r == 0 && wish->mem_id != NULL)
        r = find_block(pci, wish, &ret->block, err);
    return r;
}

int mv_board_check_plug(struct mv_hotplug *pci, const struct mv_config_device *wish,
                        struct mv_error *err)
{
    struct plan plan;
    return make_plan(pci, wish, true, &plan, err);
}

static int plug(struct mv_hotplug *pci, const struct mv_config_device *wish,
                struct mv_ivshmem_hello *hello, const struct plan *plan, struct mv_device **ret,
                struct mv_error *err)
{
    struct mv_pci_function *function;
    int r = 0;
    struct mv_pci_device_params params = {
        .path = plan->place.path,
        .blocks = pci->blocks,
        .size = wish->size,
        .backing = &wish->backing,
        .block = plan->block,
        .loop = pci->loop,
        .timers = pci->timers,
        .dma_mask = wish->dma_mask,
        .socket = wish->socket,
        .vectors = wish->vectors,
        .ext = wish->ext,
        .hello = hello,
        .place = {wish->chassis > 0 ? (unsigned)wish->chassis : 0,
                  wish->slot_number >= 0 ? (unsigned)wish->slot_number : plan->place.slot},
        .eject = mv_hotplug_eject,
        .eject_opaque = pci,
    };
    if (plan->type->traits & MV_PCI_IS_PORT)
        r = check_port_place(pci, &params.place, err);
    if (r == 0)
        r = plan->type->create(&params, &function, err);
    if (r == 0)
        r = add(pci, wish, &plan->place, function, err);
    if (r == 0)
        *ret = &function->device;
    return r;
}

int mv_board_plug(struct mv_hotplug *pci, const struct mv_config_device *wish,
                  struct mv_ivshmem_hello *hello, bool running, struct mv_device **ret,
                  struct mv_error *err)
{
    struct plan plan;
    int r = make_plan(pci, wish, running, &plan, err);
    if (r == 0)
        r = plug(pci, wish, hello, &plan, ret, err);
    if (r < 0 && !running)
        mv_error_prefix(err, "%s %s", says_memory(wish) ? "--ivshmem" : "--device", wish->text);
    return r;
}
