/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_device: a node in the device tree, with a path.  A device embeds
 * it as its first member.  The tree is the main thread's; the fields here do
 * not change while the device is in it.  `lock` is for the device's own state.
 */
#ifndef MV_BUS_DEVICE_H
#define MV_BUS_DEVICE_H

#include "error.h"
#include "space.h"
#include "state.h"

#include <pthread.h>
#include <stdint.h>

struct mv_device;

struct mv_device_ops {
    const char *type;                          /* "ns16550a" */
    const struct mv_state_table *state;        /* may be NULL where there is none */
    void (*reset)(struct mv_device *device);   /* power-on values; NULL: it has none */
    void (*destroy)(struct mv_device *device); /* what it has beside itself; NULL: nothing */
};

struct mv_device {
    const struct mv_device_ops *ops;
    struct mv_mmio_region region; /* its registers, or the first of them */
    pthread_mutex_t lock;
    char *path;          /* "uart", "pci/03.0" */
    char *id;            /* the user's name for it; NULL where there is none */
    char *options;       /* what makes it again, for device_add; NULL: the board's */
    uint64_t generation; /* tells a device from an earlier one at its path */
    struct mv_device *next;
};

struct mv_device_tree {
    struct mv_device *first; /* in order of addition */
    uint64_t last_generation;
};

/*
 * A device of `size` bytes, zero but for its base; `registers` is what the space
 * calls its region.  NULL where there is no memory for it.
 */
void *mv_device_alloc(size_t size, const struct mv_device_ops *ops, const char *registers,
                      const struct mv_mmio_ops *mmio, struct mv_error *err);
/* One that is in no tree. */
void mv_device_destroy(struct mv_device *device);

/* Destroys every device, the last one added first; a tree begins as zeros. */
void mv_device_tree_destroy(struct mv_device_tree *tree);

/* -EEXIST where the path is taken; the tree owns the device on success. */
int mv_device_tree_add(struct mv_device_tree *tree, struct mv_device *device, const char *path,
                       struct mv_error *err);
struct mv_device *mv_device_tree_find(struct mv_device_tree *tree, const char *path);
/* The device that it sits in, by its path; NULL where there is none. */
struct mv_device *mv_device_tree_parent(struct mv_device_tree *tree,
                                        const struct mv_device *device);
/* The user's name for a device; no other of the tree has it. */
int mv_device_name(struct mv_device *device, const char *id, struct mv_error *err);
struct mv_device *mv_device_tree_find_id(struct mv_device_tree *tree, const char *id);
/* Takes the device out and destroys it. */
void mv_device_tree_remove(struct mv_device_tree *tree, struct mv_device *device);
void mv_device_tree_reset(struct mv_device_tree *tree);
/* Before a save: each device brings the fields of its state table up to date. */
void mv_device_tree_saving(struct mv_device_tree *tree);

#endif
