/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the memory room: what paging.c and paging-drop.c know of a block's pages. */
#ifndef MV_MEMORY_PAGING_PAGES_H
#define MV_MEMORY_PAGING_PAGES_H

#include "paging.h"

#include <pthread.h>

struct waiter;

struct mv_paging_pages {
    struct mv_block *block;
    struct mv_paging_source source;
    uint64_t count;            /* of pages */
    _Atomic uint64_t *here;    /* a bit each, from the lowest one on */
    _Atomic uint64_t *needed;  /* since the hand was there; NULL: none is ever dropped, */
    _Atomic uint64_t *leaving; /* and none is about to be: not here, and not absent either */
    _Atomic uint64_t absent;   /* pages */
    pthread_mutex_t lock;      /* of what follows, and of setting bits */
    pthread_cond_t changed;
    struct waiter *waiters;
    struct mv_wait_times waits;
    unsigned users; /* threads that wait, in one way or another */
    bool ended;
    bool failed;
    uint64_t failed_ns; /* when */
    struct mv_error why, remedy;
};

static inline void mv_bit_set(_Atomic uint64_t *bits, uint64_t page)
{
    uint64_t bit = UINT64_C(1) << page % 64;
    if ((atomic_load(&bits[page / 64]) & bit) == 0)
        atomic_fetch_or(&bits[page / 64], bit);
}

static inline void mv_bit_clear(_Atomic uint64_t *bits, uint64_t page)
{
    atomic_fetch_and(&bits[page / 64], ~(UINT64_C(1) << page % 64));
}

static inline bool mv_bit_is_set(const _Atomic uint64_t *bits, uint64_t page)
{
    return atomic_load(&bits[page / 64]) >> page % 64 & 1;
}

/* Of these pages, those that are leaving are here again; with the lock held. */
void mv_paging_keep(struct mv_paging_pages *pages, uint64_t first, uint64_t last);

#endif
