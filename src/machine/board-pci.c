/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI devices that a user may add: their types, as data, and how one gets
 * into its slot.  No state, no lock; the main thread's, called by machine.c.
 */
#include "board-arm64.h"

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct type {
    const char *name;
    int (*create)(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                  struct mv_error *err);
    const char *option; /* the one that makes it */
};

static const struct type types[] = {
    {"edu", mv_edu_create, "--device"},
    {"ivshmem-plain", mv_ivshmem_plain_create, "--ivshmem"},
    {"ivshmem-doorbell", mv_ivshmem_doorbell_create, "--ivshmem"},
};

static const struct type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

static int plug(const struct mv_board *board, struct mv_device_tree *devices,
                struct mv_block_registry *blocks, const struct mv_config_device *wish,
                const struct type *type, struct mv_error *err)
{
    char path[16];
    struct mv_pci_function *function;
    struct mv_pci_bus *bus = mv_pci_host_bus(board->pci);
    int slot = wish->slot >= 0 ? wish->slot : mv_pci_bus_free_slot(bus);
    if (slot < 0)
        return mv_error_set(err, ENOSPC, "all PCI slots are taken");
    snprintf(path, sizeof path, "pci/%02x.0", (unsigned)slot);
    struct mv_device *other = mv_device_tree_find(devices, path);
    if (other != NULL)
        return mv_error_set(err, EBUSY, "PCI slot %02x.0 holds a %s already: give another addr=",
                            (unsigned)slot, other->ops->type);
    struct mv_pci_device_params params = {
        .path = path,
        .blocks = blocks,
        .size = wish->size,
        .backing = &wish->backing,
        .loop = board->loop,
        .socket = wish->socket,
        .vectors = wish->vectors,
    };
    int r = type->create(&params, &function, err);
    if (r < 0)
        return r;
    r = mv_pci_bus_plug(bus, (unsigned)slot, function, err);
    if (r == 0)
        r = mv_device_tree_add(devices, &function->device, path, err);
    if (r < 0)
        function->device.ops->destroy(&function->device);
    return r;
}

int mv_board_plug(const struct mv_board *board, struct mv_device_tree *devices,
                  struct mv_block_registry *blocks, const struct mv_config_device *wish,
                  struct mv_error *err)
{
    const struct type *type = find_type(wish->type);
    int r;
    if (type == NULL)
        r = mv_error_set(err, ENOENT, "there is no device of the type '%s': edu is one",
                         wish->type);
    else if (strcmp(type->option, "--device") == 0 || wish->backing.file != NULL ||
             wish->socket != NULL)
        r = plug(board, devices, blocks, wish, type, err);
    else
        r = mv_error_set(err, EINVAL,
                         "write it as --ivshmem SOCKET or --ivshmem mem=FILE,size=64M");
    if (r < 0)
        mv_error_prefix(err, "%s %s", type == NULL ? "--device" : type->option, wish->text);
    return r;
}
