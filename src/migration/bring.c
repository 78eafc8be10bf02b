/* SPDX-License-Identifier: Apache-2.0 */
#include "bring.h"

#include "block.h"
#include "working-set.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
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
 * What is small is read by the kernel from now on.  Whole places are read when they are mapped:
 * the kernel reads ahead then, and in larger pages, as a read for nobody does not.  (To advise
 * huge pages would make it wait for some to be free.)  Of what is in memory already this costs
 * more than to map it, so it is left for what is not.
 */
static void announce(const struct mv_bring *bring, size_t first, size_t end)
{
    for (size_t i = first; i < end && !is_cancelled(bring); i++) {
        const struct mv_bring_piece *piece = &bring->pieces[i];
        if (!piece->whole)
            madvise(piece->host, piece->len, MADV_WILLNEED);
    }
}

/* The piece behind those that lie in one huge page's place with this one. */
static size_t end_of_place(const struct mv_bring *bring, size_t first)
{
    uintptr_t place = (uintptr_t)bring->pieces[first].host / MV_BRING_PIECE;
    size_t end = first + 1;
    while (end < bring->count && (uintptr_t)bring->pieces[end].host / MV_BRING_PIECE == place)
        end++;
    return end;
}

/* By its first page.  Of a file that is somebody else's the kernel says so of all (mincore(2)). */
static bool is_cached(const struct mv_bring_piece *piece)
{
    unsigned char cached;
    return mincore(piece->host, 1, &cached) < 0 || (cached & 1) != 0;
}

/*
 * The next pieces that are nobody's yet, all of one place: false where none are left, or,
 * where that is asked for, they are not in memory.
 */
static bool take_place(struct mv_bring *bring, bool cached, size_t *ret_first, size_t *ret_end)
{
    size_t first = atomic_load(&bring->next), end;
    do {
        if (first >= bring->count || (cached && !is_cached(&bring->pieces[first])))
            return false;
        end = end_of_place(bring, first);
    } while (!atomic_compare_exchange_weak(&bring->next, &first, end));
    *ret_first = first;
    *ret_end = end;
    return true;
}

/* This thread's faults since the last time, which *io_last has: whether there were any. */
static bool count_faults(struct mv_bring *bring, struct rusage *io_last)
{
    struct rusage now;
    getrusage(RUSAGE_THREAD, &now);
    long minor = now.ru_minflt - io_last->ru_minflt, major = now.ru_majflt - io_last->ru_majflt;
    *io_last = now;
    atomic_fetch_add(&bring->minor, (uint64_t)minor);
    atomic_fetch_add(&bring->major, (uint64_t)major);
    /* The kernel counts a fault as a major one where it had to wait for the page. */
    if (major > 0)
        atomic_store(&bring->waited, true);
    return minor + major > 0;
}

/*
 * Where another piece than the first of its place takes no fault, it came with the one before,
 * since all of the place is one page, and so did the others.  (Or the guest was here, and finds
 * the others by itself if they are in memory.)
 */
static void bring_place(struct mv_bring *bring, size_t first, size_t end, bool cached)
{
    struct rusage last;
    bool mapped = false;
    getrusage(RUSAGE_THREAD, &last);
    for (size_t i = first; i < end && !is_cancelled(bring); i++) {
        const struct mv_bring_piece *piece = &bring->pieces[i];
        bool came = mapped || madvise(piece->host, piece->len, MADV_POPULATE_READ) == 0;
        if (came)
            atomic_fetch_add(&bring->bytes, piece->len);
        if (!mapped && !count_faults(bring, &last))
            mapped = cached && came && i > first;
        if (cached && atomic_load(&bring->waited)) {
            announce(bring, i + 1, end);
            return;
        }
    }
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void mv_bring_cached(struct mv_bring *bring, uint64_t cpu_ns)
{
    size_t first, end;
    uint64_t until = thread_cpu_ns() + cpu_ns;
    while (!is_cancelled(bring) && !atomic_load(&bring->waited) && thread_cpu_ns() < until &&
           take_place(bring, true, &first, &end))
        bring_place(bring, first, end, true);
}

static void *take_places(void *opaque)
{
    struct mv_bring *bring = opaque;
    size_t first, end;
    while (!is_cancelled(bring) && take_place(bring, false, &first, &end))
        bring_place(bring, first, end, false);
    return NULL;
}

void mv_bring_rest(struct mv_bring *bring)
{
    pthread_t other;
    size_t next = atomic_load(&bring->next);
    if (next >= bring->count)
        return;
    announce(bring, next, bring->count);
    bool two =
        sysconf(_SC_NPROCESSORS_ONLN) > 1 && pthread_create(&other, NULL, take_places, bring) == 0;
    take_places(bring);
    if (two)
        pthread_join(other, NULL);
}
