/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_block: one named, contiguous run of guest bytes, mapped in the
 * host.  Its identity is (path of the owning device, name), written
 * "path/name"; a block of the board itself has an empty path and is written
 * "name".  The registry holds every block of a VM, refuses an identity that
 * exists, and is guarded by its own mutex; a block's fields never change
 * between creation and destruction.
 */
#ifndef MV_MEMORY_BLOCK_H
#define MV_MEMORY_BLOCK_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_backing;
struct mv_block_registry;

struct mv_block {
    char *path; /* the owning device's path, "" for the board */
    char *name;
    char *id;      /* path/name, or name */
    uint64_t size; /* bytes, a multiple of 4 KiB */
    uint8_t *host; /* 2 MiB-aligned */
    struct mv_backing *backing;
    struct mv_block_registry *registry;
    struct mv_block *next;
};

int mv_block_registry_create(struct mv_block_registry **ret, struct mv_error *err);
/* Destroys the blocks that are left. */
void mv_block_registry_destroy(struct mv_block_registry *registry);

/*
 * Create a block on anonymous memory.  size: bytes, not 0, a multiple of
 * 4 KiB.  -EEXIST where the identity is taken (the message names both
 * owners), -ENOMEM where the host cannot map that much.
 */
int mv_block_create(struct mv_block_registry *registry, const char *path, const char *name,
                    uint64_t size, struct mv_block **ret, struct mv_error *err);
void mv_block_destroy(struct mv_block *block);

/*
 * Fill bytes of the block with zeros; the host gets whole pages among them
 * back.  The range lies within the block.  vCPUs may run meanwhile.
 */
void mv_block_zero(struct mv_block *block, uint64_t offset, uint64_t len);

/* NULL where there is none. */
struct mv_block *mv_block_find(struct mv_block_registry *registry, const char *id);

/* Call fn for each block, in order of creation, under the registry's lock. */
void mv_block_for_each(struct mv_block_registry *registry,
                       void (*fn)(struct mv_block *block, void *opaque), void *opaque);

#endif
