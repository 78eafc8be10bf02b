/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree: owns its devices and their paths.  No lock: all of it is
 * the main thread's, called by the boards.
 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

void mv_device_tree_init(struct mv_device_tree *tree)
{
    *tree = (struct mv_device_tree){0};
}

/* Path and id are the tree's and the device's destroy does not know of them. */
static void free_device(struct mv_device *device)
{
    char *path = device->path, *id = device->id;
    device->ops->destroy(device);
    free(path);
    free(id);
}

void mv_device_tree_destroy(struct mv_device_tree *tree)
{
    struct mv_device *last_first = NULL;
    while (tree->first != NULL) {
        struct mv_device *device = tree->first;
        tree->first = device->next;
        device->next = last_first;
        last_first = device;
    }
    while (last_first != NULL) {
        struct mv_device *device = last_first;
        last_first = device->next;
        free_device(device);
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

struct mv_device *mv_device_tree_find(struct mv_device_tree *tree, const char *path)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        if (strcmp(device->path, path) == 0)
            return device;
    }
    return NULL;
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
    size_t len = end == NULL ? 0 : (size_t)(end - device->path);
    for (struct mv_device *other = tree->first; other != NULL; other = other->next) {
        if (strlen(other->path) == len && memcmp(other->path, device->path, len) == 0)
            return other;
    }
    return NULL;
}

int mv_device_tree_name(struct mv_device_tree *tree, struct mv_device *device, const char *id,
                        struct mv_error *err)
{
    const struct mv_device *other = mv_device_tree_find_id(tree, id);
    if (other != NULL)
        return mv_error_set(err, EEXIST, "id '%s' is that of the %s at %s: give another id", id,
                            other->ops->type, other->path);
    device->id = strdup(id);
    return device->id == NULL ? mv_error_set(err, ENOMEM, "no memory for device '%s'", id) : 0;
}

void mv_device_tree_remove(struct mv_device_tree *tree, struct mv_device *device)
{
    for (struct mv_device **link = &tree->first; *link != NULL; link = &(*link)->next) {
        if (*link == device) {
            *link = device->next;
            free_device(device);
            return;
        }
    }
}

void mv_device_tree_reset(struct mv_device_tree *tree)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next)
        device->ops->reset(device);
}

void mv_device_tree_saving(struct mv_device_tree *tree)
{
    for (struct mv_device *device = tree->first; device != NULL; device = device->next) {
        const struct mv_state_table *table = device->ops->state;
        if (table != NULL && table->saving != NULL)
            table->saving(device);
    }
}
