/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses that the host could not serve, on their way from the thread that made one to
 * the main thread: see machine-state.h.  `lock` guards the notes.
 */
#include "machine-state.h"

#include "block.h"
#include "cleanup.h"

#include <string.h>

void mv_fault_queue_init(struct mv_fault_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    queue->count = 0;
}

void mv_fault_queue_destroy(struct mv_fault_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}

void mv_fault_queue_add(struct mv_fault_queue *queue, uint64_t generation, uint64_t offset)
{
    MV_LOCK_SCOPE(&queue->lock);
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->notes[i].generation == generation)
            return;
    }
    if (queue->count < MV_FAULT_QUEUE_MAX)
        queue->notes[queue->count++] = (struct mv_fault_note){generation, offset};
}

static bool take_note(struct mv_fault_queue *queue, struct mv_fault_note *ret)
{
    MV_LOCK_SCOPE(&queue->lock);
    if (queue->count == 0)
        return false;
    *ret = queue->notes[0];
    queue->count--;
    memmove(&queue->notes[0], &queue->notes[1], queue->count * sizeof queue->notes[0]);
    return true;
}

struct search {
    uint64_t generation;
    const struct mv_block *found;
};

static void match(struct mv_block *block, void *opaque)
{
    struct search *search = opaque;
    if (block->generation == search->generation)
        search->found = block;
}

bool mv_fault_queue_take(struct mv_fault_queue *queue, struct mv_block_registry *registry,
                         const struct mv_block **ret_block, uint64_t *ret_offset)
{
    struct mv_fault_note note;
    while (take_note(queue, &note)) {
        struct search search = {.generation = note.generation};
        mv_block_for_each(registry, match, &search);
        if (search.found == NULL)
            continue;
        *ret_block = search.found;
        *ret_offset = note.offset;
        return true;
    }
    return false;
}
