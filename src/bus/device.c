/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree: owns its devices and their paths.  No lock: all of it is
 * the main thread's, called by the boards.
 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

void *mv_device_alloc(size_t size, const struct mv_device_ops *ops, const char *registers,
                      const struct mv_mmio_ops *mmio, struct mv_error *err)
{
    struct mv_device *device = calloc(1, size);
    if (device == NULL) {
        mv_error_set(err, ENOMEM, "no memory for the %s", ops->type);
        return NULL;
    }
    device->ops = ops;
    device->region = (struct mv_mmio_region){registers, mmio, device};
    pthread_mutex_init(&device->lock, NULL);
    return device;
}

void mv_device_destroy(struct mv_device *device)
{
    if (device->ops->destroy != NULL)
        device->ops->destroy(device);
    pthread_mutex_destroy(&device->lock);
    free(device->path);
    free(device->id);
    free(device->options);
    free(device);
}

void mv_device_tree_destroy(struct mv_device_tree *tree)
{
    while (tree->first != NULL) {
        struct mv_device *last = tree->first;
        while (last->next != NULL)
            last = last->next;
        mv_device_tree_remove(tree, last);
    }
}

int mv_device_tree_add(struct mv_device_tree *tree, struct mv_device *device, const char *path,
                       struct mv_error *err)
{
    struct mv_device *other = mv_device_tree_find(tree, path);
    if (other != NULL)
        return mv_error_set(err, EEXIST, "device path '%s' is taken by a %s: no %s can stand there",
                            path, other->ops->type, device->ops->type);
    char *copy = strdup(path);
    if (copy == NULL)
        return mv_error_set(err, ENOMEM, "no memory for device '%s'", path);

    struct mv_device **end = &tree->first;
    while (*end != NULL)
        end = &(*end)->next;
    device->path = copy;
    device->generation = ++tree->last_generation;
    device->next = NULL;
    *end = device;
    return 0;
}

static struct mv_device *find(struct mv_device_tree *tree, const char *path, size_t len)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        if (strlen(device->path) == len && memcmp(device->path, path, len) == 0)
            return device;
    }
    return NULL;
}

struct mv_device *mv_device_tree_find(struct mv_device_tree *tree, const char *path)
{
    return find(tree, path, strlen(path));
}

struct mv_device *mv_device_tree_find_id(struct mv_device_tree *tree, const char *id)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        if (device->id != NULL && strcmp(device->id, id) == 0)
            return device;
    }
    return NULL;
}

struct mv_device *mv_device_tree_parent(struct mv_device_tree *tree, const struct mv_device *device)
{
    const char *end = strrchr(device->path, '/');
    return find(tree, device->path, end == NULL ? 0 : (size_t)(end - device->path));
}

int mv_device_name(struct mv_device *device, const char *id, struct mv_error *err)
{
    device->id = strdup(id);
    return device->id == NULL ? mv_error_set(err, ENOMEM, "no memory for device '%s'", id) : 0;
}

void mv_device_tree_remove(struct mv_device_tree *tree, struct mv_device *device)
{
    for (struct mv_device **link = &tree->first; *link != NULL; link = &(*link)->next) {
        if (*link == device) {
            *link = device->next;
            mv_device_destroy(device);
            return;
        }
    }
}

void mv_device_tree_reset(struct mv_device_tree *tree)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        if (device->ops->reset != NULL)
            device->ops->reset(device);
    }
}

void mv_device_tree_saving(struct mv_device_tree *tree)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        const struct mv_state_table *table = device->ops->state;
        if (table != NULL && table->saving != NULL)
            table->saving(device);
    }
}
