/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the memory room: struct mv_block_registry, and what block.c and the files that
 * look at all blocks offer each other.
 */
#ifndef MV_MEMORY_BLOCK_REGISTRY_H
#define MV_MEMORY_BLOCK_REGISTRY_H

#include "backing.h"
#include "block.h"

#include <pthread.h>

struct mv_block_registry {
    pthread_mutex_t lock;   /* of the list and last_generation */
    struct mv_block *first; /* in order of creation */
    uint64_t last_generation;
    mv_block_fault_fn *fault_fn; /* NULL: nobody */
    void *fault_opaque;
    struct mv_space *space; /* that blocks will be mapped into; NULL: none is known */
    /* The main thread's: block-backs.c */
    const struct mv_config_back *backs;
    size_t back_count;
    const char *mem_dir;
    const struct mv_block_place *places;
    size_t place_count;
    struct mv_block_registry *inherited; /* NULL: none */
    /* The main thread's: block-claim.c */
    const char *const *unclaimed;
    size_t unclaimed_count;
    /* The main thread's: host-limits.c */
    bool planned;              /* all banks were checked together: what the host lacks was told */
    struct mv_limits_use plan; /* of these and those there were before */
};

/* --- block-registry.c */

/* -EEXIST where a block of this id is there; the message names both owners. */
int mv_block_registry_check_id(struct mv_block_registry *registry, const struct mv_block *block,
                               struct mv_error *err);
/* Give the block its generation and list it. */
void mv_block_registry_insert(struct mv_block_registry *registry, struct mv_block *block);
/* False, and it stays, where somebody has it pinned. */
bool mv_block_registry_remove(struct mv_block_registry *registry, struct mv_block *block);
/* Tell whoever listens that the host could not access this byte; -EIO, for the caller to return. */
int mv_block_registry_tell_fault(struct mv_block *block, const uint8_t *host);

/* NULL where there is none to take over. */
struct mv_block *mv_block_registry_find_inherited(struct mv_block_registry *registry,
                                                  const char *id);

/* --- block-backs.c */

/* -EBUSY where another block maps the same file, shared, and neither may. */
int mv_block_registry_check_file(struct mv_block_registry *registry, const struct mv_block *block,
                                 struct mv_error *err);
/*
 * The request for a block of this id and size: what --back says of it over `wish`.  All texts
 * stay their owners'.  -EINVAL where both name a place for the bytes.
 */
int mv_block_registry_request(struct mv_block_registry *registry, const char *id, uint64_t size,
                              const struct mv_config_backing *wish, struct mv_backing_request *ret,
                              struct mv_error *err);

/* --- block-claim.c */

/* Lock the file of a block that is being made, and make it long enough. */
int mv_block_registry_claim(struct mv_block_registry *registry, const struct mv_block *block,
                            struct mv_error *err);

/* --- host-limits.c */

/* Check what one block more asks of the host, and store what that is. */
int mv_block_registry_check_limits(struct mv_block_registry *registry,
                                   const struct mv_backing_request *request,
                                   struct mv_limits_use *ret, struct mv_error *err);
/* Bytes of all blocks that are locked or planned to be, this one among them. */
uint64_t mv_block_registry_locked(const struct mv_block *block);

#endif
