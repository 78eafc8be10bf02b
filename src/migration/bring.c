/* SPDX-License-Identifier: Apache-2.0 */
#include "bring.h"

#include "block.h"
#include "working-set.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Linux 5.14; older headers have not got it, older kernels say EINVAL. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* So few bytes that nobody asked for cost less than a read of their own. */
#define GAP_MAX (64 * UINT64_C(1024))

/* --- what is to come */

static int add_piece(struct mv_bring *bring, const struct mv_block *block, uint64_t start,
                     uint64_t end, bool whole)
{
    struct mv_bring_piece *last = bring->count == 0 ? NULL : &bring->pieces[bring->count - 1];
    uint8_t *host = block->host + start;
    /* Only the pieces of one huge page's place grow together. */
    if (last != NULL && !whole && !last->whole && start % MV_BRING_PIECE != 0 &&
        host >= last->host + last->len && (uint64_t)(host - last->host) < MV_BRING_PIECE &&
        (uint64_t)(host - last->host) - last->len <= GAP_MAX &&
        (uintptr_t)last->host / MV_BRING_PIECE == (uintptr_t)host / MV_BRING_PIECE) {
        last->len = (uint64_t)(host - last->host) + (end - start);
        return 0;
    }
    if (bring->count == bring->capacity) {
        size_t capacity = bring->capacity == 0 ? 64 : 2 * bring->capacity;
        void *grown = reallocarray(bring->pieces, capacity, sizeof *bring->pieces);
        if (grown == NULL)
            return -ENOMEM;
        bring->pieces = grown;
        bring->capacity = capacity;
    }
    bring->pieces[bring->count++] = (struct mv_bring_piece){host, end - start, whole};
    return 0;
}

/* The part of a run that lies in the huge page's place from `start` on; empty where none does. */
static void clip(const struct mv_working_set_run *run, uint64_t start, uint64_t *ret_start,
                 uint64_t *ret_end)
{
    uint64_t from = run->first * MV_WORKING_SET_PAGE;
    uint64_t to = from + run->pages * MV_WORKING_SET_PAGE;
    *ret_start = from > start ? from : start;
    *ret_end = to < start + MV_BRING_PIECE ? to : start + MV_BRING_PIECE;
}

/* All runs from *io_first on that lie in one huge page's place. */
static int add_place(struct mv_bring *bring, const struct mv_block *block,
                     const struct mv_working_set_pages *pages, uint64_t start, size_t *io_first)
{
    uint64_t bytes = 0, from, to, end = start + MV_BRING_PIECE;
    size_t first = *io_first, behind = first;
    while (behind < pages->count && pages->runs[behind].first * MV_WORKING_SET_PAGE < end) {
        clip(&pages->runs[behind++], start, &from, &to);
        bytes += to - from;
    }
    const struct mv_working_set_run *last = &pages->runs[behind - 1];
    *io_first = (last->first + last->pages) * MV_WORKING_SET_PAGE > end ? behind - 1 : behind;
    if (!block->no_huge && bytes >= MV_BRING_PIECE / 2 && end <= block->size)
        return add_piece(bring, block, start, end, true);
    int r = 0;
    for (size_t i = first; i < behind && r == 0; i++) {
        clip(&pages->runs[i], start, &from, &to);
        r = add_piece(bring, block, from, to, false);
    }
    return r;
}

int mv_bring_add(struct mv_bring *bring, const struct mv_block *block,
                 const struct mv_working_set_pages *pages, struct mv_error *err)
{
    uint64_t at = 0;
    for (size_t next = 0; next < pages->count; at += MV_BRING_PIECE) {
        uint64_t first = pages->runs[next].first * MV_WORKING_SET_PAGE;
        at = at > first ? at : first & ~(MV_BRING_PIECE - 1);
        if (add_place(bring, block, pages, at, &next) < 0)
            return mv_error_set(err, ENOMEM, "no memory to bring in block %s", block->id);
    }
    return 0;
}

void mv_bring_clear(struct mv_bring *bring)
{
    free(bring->pieces);
    bring->pieces = NULL;
    bring->count = bring->capacity = 0;
}

/* --- it comes */

static bool is_cancelled(const struct mv_bring *bring)
{
    return atomic_load_explicit(&bring->cancelled, memory_order_relaxed);
}

/*
 * Before anything is waited for, what is small is read by the kernel from now on.  Whole
 * places are read when they are mapped: the kernel reads ahead then, and in larger pages, as
 * a read for nobody does not.  (To advise huge pages would make it wait for some to be free.)
 */
static void announce(const struct mv_bring *bring)
{
    for (size_t i = 0; i < bring->count && !is_cancelled(bring); i++) {
        const struct mv_bring_piece *piece = &bring->pieces[i];
        if (!piece->whole)
            madvise(piece->host, piece->len, MADV_WILLNEED);
    }
}

static void *take_pieces(void *opaque)
{
    struct mv_bring *bring = opaque;
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    while (!is_cancelled(bring)) {
        size_t i = atomic_fetch_add(&bring->next, 1);
        if (i >= bring->count)
            break;
        const struct mv_bring_piece *piece = &bring->pieces[i];
        if (madvise(piece->host, piece->len, MADV_POPULATE_READ) == 0)
            atomic_fetch_add(&bring->bytes, piece->len);
        getrusage(RUSAGE_THREAD, &after);
        atomic_fetch_add(&bring->minor, (uint64_t)(after.ru_minflt - before.ru_minflt));
        atomic_fetch_add(&bring->major, (uint64_t)(after.ru_majflt - before.ru_majflt));
        before = after;
    }
    return NULL;
}

void mv_bring_run(struct mv_bring *bring)
{
    pthread_t other;
    announce(bring);
    bool two = bring->count > 1 && sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
               pthread_create(&other, NULL, take_pieces, bring) == 0;
    take_pieces(bring);
    if (two)
        pthread_join(other, NULL);
}
