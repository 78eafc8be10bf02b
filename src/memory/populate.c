/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that bring a block's pages into memory.  They take pieces in turn, so
 * that none waits for another, and live no longer than the call.  Called by
 * policy.c.
 */
#include "populate.h"

#include "block.h"
#include "log.h"
#include "size.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define THREADS_MAX 16
/* Small, for the bar and for Ctrl-C; huge, against what a system call costs. */
#define PIECE (64 * MV_MIB)

struct work {
    const struct mv_block *block;
    int (*bring)(const struct mv_block *block, uint64_t offset, uint64_t len);
    struct mv_progress progress;
    _Atomic uint64_t next;
    atomic_int result; /* the first negative errno */
};

static void *take_pieces(void *opaque)
{
    struct work *work = opaque;
    uint64_t size = work->block->size;
    while (atomic_load(&work->result) == 0) {
        uint64_t offset = atomic_fetch_add(&work->next, PIECE);
        if (offset >= size)
            break;
        uint64_t len = size - offset < PIECE ? size - offset : PIECE;
        int none = 0;
        int r = mv_progress_cancelled() ? -ECANCELED : work->bring(work->block, offset, len);
        if (r < 0)
            atomic_compare_exchange_strong(&work->result, &none, r);
        else
            mv_progress_add(&work->progress, len);
    }
    return NULL;
}

/* As many threads as processors, this one among them. */
int mv_populate(const struct mv_block *block, const char *doing,
                int (*bring)(const struct mv_block *block, uint64_t offset, uint64_t len))
{
    struct work work = {.block = block, .bring = bring};
    pthread_t threads[THREADS_MAX];
    char what[64];
    unsigned count = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(what, sizeof what, "%s: %s", block->id, doing);
    mv_progress_begin(&work.progress, what, block->size);
    while (count + 1 < processors && count < THREADS_MAX &&
           pthread_create(&threads[count], NULL, take_pieces, &work) == 0)
        count++;
    take_pieces(&work);
    while (count > 0)
        pthread_join(threads[--count], NULL);
    mv_progress_end(&work.progress);
    return atomic_load(&work.result);
}
