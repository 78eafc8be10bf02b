/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of a VM's blocks: a list in order of creation under a mutex.  The
 * main thread changes it; any thread may look a block up.  And pins of blocks: how many
 * there are, and who waits for the last one to go, under one lock for all blocks, which
 * goes with none of them, so that whoever unpins one touches nothing that is being
 * destroyed.  It is taken behind the registry's.
 */
#include "block-registry.h"

#include "cleanup.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t pin_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unpinned = PTHREAD_COND_INITIALIZER;

int mv_block_registry_create(struct mv_block_registry **ret, struct mv_error *err)
{
    struct mv_block_registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the block registry");
    pthread_mutex_init(&registry->lock, NULL);
    mv_fault_init();
    *ret = registry;
    return 0;
}

void mv_block_registry_destroy(struct mv_block_registry *registry)
{
    if (registry == NULL)
        return;
    while (registry->first != NULL)
        mv_block_destroy(registry->first);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static struct mv_block *find_locked(struct mv_block_registry *registry, const char *id)
{
    struct mv_block *block = registry->first;
    while (block != NULL && strcmp(block->id, id) != 0)
        block = block->next;
    return block;
}

struct mv_block *mv_block_find(struct mv_block_registry *registry, const char *id)
{
    MV_LOCK_SCOPE(&registry->lock);
    return find_locked(registry, id);
}

int mv_block_registry_check_id(struct mv_block_registry *registry, const struct mv_block *block,
                               struct mv_error *err)
{
    const struct mv_block *other = mv_block_find(registry, block->id);
    if (other == NULL)
        return 0;
    return mv_error_set(err, EEXIST, "block %s of %s exists already: it belongs to %s", block->id,
                        *block->path ? block->path : "the board",
                        *other->path ? other->path : "the board");
}

void mv_block_registry_insert(struct mv_block_registry *registry, struct mv_block *block)
{
    MV_LOCK_SCOPE(&registry->lock);
    struct mv_block **last = &registry->first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = block;
    block->generation = ++registry->last_generation;
}

bool mv_block_is_pinned(const struct mv_block *block)
{
    MV_LOCK_SCOPE(&pin_lock);
    return block->pins > 0;
}

bool mv_block_registry_remove(struct mv_block_registry *registry, struct mv_block *block)
{
    MV_LOCK_SCOPE(&registry->lock);
    if (mv_block_is_pinned(block))
        return false;
    struct mv_block **link = &registry->first;
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
    return true;
}

void mv_block_for_each(struct mv_block_registry *registry,
                       void (*fn)(struct mv_block *block, void *opaque), void *opaque)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next)
        fn(block, opaque);
}

/* --- what a fork brings */

void mv_block_registry_inherit(struct mv_block_registry *registry, struct mv_block_registry *from)
{
    registry->inherited = from;
}

struct mv_block *mv_block_registry_find_inherited(struct mv_block_registry *registry,
                                                  const char *id)
{
    struct mv_block *block =
        registry->inherited == NULL ? NULL : mv_block_find(registry->inherited, id);
    return block == NULL || block->host == NULL ? NULL : block;
}

void mv_block_fork_begin(struct mv_block_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    mv_dirty_log_lock();
    pthread_mutex_lock(&pin_lock);
}

void mv_block_fork_end(struct mv_block_registry *registry)
{
    pthread_mutex_unlock(&pin_lock);
    mv_dirty_log_unlock();
    pthread_mutex_unlock(&registry->lock);
}

/* --- faults */

bool mv_block_find_host(struct mv_block_registry *registry, const uint8_t *host,
                        uint64_t *ret_generation, uint64_t *ret_offset)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next) {
        uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)block->host);
        if (offset >= block->size)
            continue;
        *ret_generation = block->generation;
        *ret_offset = offset;
        return true;
    }
    return false;
}

void mv_block_registry_on_fault(struct mv_block_registry *registry, mv_block_fault_fn *fn,
                                void *opaque)
{
    registry->fault_fn = fn;
    registry->fault_opaque = opaque;
}

int mv_block_registry_tell_fault(struct mv_block *block, const uint8_t *host)
{
    const struct mv_block_registry *registry = block->registry;
    if (registry->fault_fn != NULL)
        registry->fault_fn(registry->fault_opaque, block, (uint64_t)(host - block->host));
    return -EIO;
}

/* --- pins */

void mv_block_pin(struct mv_block *block)
{
    MV_LOCK_SCOPE(&pin_lock);
    block->pins++;
}

struct mv_block *mv_block_pin_generation(struct mv_block_registry *registry, const char *id,
                                         uint64_t generation)
{
    MV_LOCK_SCOPE(&registry->lock);
    struct mv_block *block = find_locked(registry, id);
    if (block == NULL || block->generation != generation)
        return NULL;
    mv_block_pin(block);
    return block;
}

void mv_block_unpin(struct mv_block *block)
{
    MV_LOCK_SCOPE(&pin_lock);
    if (--block->pins > 0)
        return;
    pthread_cond_broadcast(&unpinned);
    if (block->unpinned != NULL)
        block->unpinned(block->unpinned_opaque);
}

void mv_block_await_pins(struct mv_block *block)
{
    MV_LOCK_SCOPE(&pin_lock);
    while (block->pins > 0)
        pthread_cond_wait(&unpinned, &pin_lock);
}

bool mv_block_registry_is_pinned(struct mv_block_registry *registry, const char *path,
                                 mv_block_unpinned_fn *fn, void *opaque)
{
    bool is_pinned = false;
    MV_LOCK_SCOPE(&registry->lock);
    MV_LOCK_SCOPE(&pin_lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next) {
        if (strcmp(block->path, path) != 0)
            continue;
        block->unpinned = fn;
        block->unpinned_opaque = opaque;
        is_pinned |= block->pins > 0;
    }
    return is_pinned;
}
