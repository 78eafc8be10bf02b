/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins of blocks: how many there are, and who waits for the last one to go.  One
 * lock for all blocks, which goes with none of them, so that whoever unpins one
 * touches nothing that is being destroyed.  It is taken behind the registry's.
 */
#include "block.h"

#include "cleanup.h"

#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unpinned = PTHREAD_COND_INITIALIZER;

void mv_block_pin(struct mv_block *block)
{
    MV_LOCK_SCOPE(&lock);
    block->pins++;
}

void mv_block_unpin(struct mv_block *block)
{
    MV_LOCK_SCOPE(&lock);
    if (--block->pins > 0)
        return;
    pthread_cond_broadcast(&unpinned);
    if (block->unpinned != NULL)
        block->unpinned(block->unpinned_opaque);
}

void mv_block_await_pins(struct mv_block *block)
{
    MV_LOCK_SCOPE(&lock);
    while (block->pins > 0)
        pthread_cond_wait(&unpinned, &lock);
}

struct question {
    const char *path;
    mv_block_unpinned_fn *fn;
    void *opaque;
    bool is_pinned;
};

static void ask(struct mv_block *block, void *opaque)
{
    struct question *question = opaque;
    if (strcmp(block->path, question->path) != 0)
        return;
    MV_LOCK_SCOPE(&lock);
    block->unpinned = question->fn;
    block->unpinned_opaque = question->opaque;
    question->is_pinned |= block->pins > 0;
}

bool mv_block_registry_is_pinned(struct mv_block_registry *registry, const char *path,
                                 mv_block_unpinned_fn *fn, void *opaque)
{
    struct question question = {path, fn, opaque, false};
    mv_block_for_each(registry, ask, &question);
    return question.is_pinned;
}
