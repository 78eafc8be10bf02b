/* SPDX-License-Identifier: Apache-2.0 */
#include "block-claim.h"

#include "block-registry.h"
#include "cleanup.h"

#include <string.h>

void mv_block_claims_leave(struct mv_block_registry *registry, const char *const *ids, size_t count)
{
    registry->unclaimed = ids;
    registry->unclaimed_count = count;
}

static bool is_left(const struct mv_block_registry *registry, const struct mv_block *block)
{
    for (size_t i = 0; i < registry->unclaimed_count; i++) {
        if (strcmp(registry->unclaimed[i], block->id) == 0)
            return true;
    }
    return false;
}

/* Where it is not locked it is not made longer either. */
int mv_block_registry_claim(struct mv_block_registry *registry, const struct mv_block *block,
                            struct mv_error *err)
{
    struct mv_backing *backing = block->backing;
    if (is_left(registry, block)) {
        backing->unclaimed = true;
        return !backing->short_of_part
                   ? 0
                   : mv_error_set(err, EINVAL,
                                  "%s ends before the block's bytes do: is it another?",
                                  backing->what);
    }
    int r = mv_backing_claim(backing, err);
    return r == 0 && backing->short_of_part ? mv_backing_fd_grow(backing, block->size, err) : r;
}

int mv_block_claims_take(struct mv_block_registry *registry, struct mv_error *err)
{
    int r = 0;
    MV_LOCK_SCOPE(&registry->lock);
    struct mv_block *block = registry->first;
    for (; r == 0 && block != NULL; block = block->next) {
        if (!block->backing->unclaimed)
            continue;
        r = mv_backing_claim(block->backing, err);
        if (r < 0)
            mv_error_prefix(err, "block %s", block->id);
        else
            block->backing->claims = true;
    }
    for (block = registry->first; block != NULL; block = block->next) {
        struct mv_backing *backing = block->backing;
        if (backing->claims && r < 0)
            mv_backing_release(backing);
        backing->unclaimed &= r < 0;
        backing->claims = false;
    }
    return r;
}

void mv_block_claims_release(struct mv_block_registry *registry)
{
    MV_LOCK_SCOPE(&registry->lock);
    for (struct mv_block *block = registry->first; block != NULL; block = block->next) {
        struct mv_backing *backing = block->backing;
        if (backing->path == NULL || !backing->share || backing->same_file || backing->unclaimed)
            continue;
        mv_backing_release(backing);
        backing->unclaimed = true;
    }
}
