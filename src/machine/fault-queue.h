/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_fault_queue: accesses to guest memory that the host could not
 * serve, from the threads that made them to the main thread, which pauses the
 * machine and says so.  One a block is kept until it is taken.
 */
#ifndef MV_MACHINE_FAULT_QUEUE_H
#define MV_MACHINE_FAULT_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_block_registry;

#define MV_FAULT_QUEUE_MAX 8

struct mv_fault_queue {
    pthread_mutex_t lock;
    struct mv_fault_note {
        uint64_t generation; /* the block's */
        uint64_t offset;
    } notes[MV_FAULT_QUEUE_MAX];
    size_t count;
};

void mv_fault_queue_init(struct mv_fault_queue *queue);
void mv_fault_queue_destroy(struct mv_fault_queue *queue);

/*
 * Any thread, of a block by its generation; where the queue is full, what comes
 * is forgotten: it will come again.
 */
void mv_fault_queue_add(struct mv_fault_queue *queue, uint64_t generation, uint64_t offset);
/*
 * The main thread: the oldest fault of a block that there still is; false
 * where there is none.
 */
bool mv_fault_queue_take(struct mv_fault_queue *queue, struct mv_block_registry *registry,
                         const struct mv_block **ret_block, uint64_t *ret_offset);

#endif
