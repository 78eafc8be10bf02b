/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a block that come later.  A block may have pages that are *absent*: their bytes
 * are with a *source*, such as an export of another machine or the sender of a guest that
 * moves, which is asked for them when somebody comes to need them and may bring others
 * before.  A page is 4 KiB (MV_DIRTY_PAGE); once it is here it stays, whatever a source
 * brings later.
 *
 * Whoever reads or writes a block's bytes asks for them first, in one of three ways:
 *   an engine, which comes to keep a page's address: mv_paging_enter.  A vCPU that waits
 *     counts as one that stands still, so that nobody waits for its mail; it looks up
 *     anew what it was about to access, and takes interrupts meanwhile.
 *   a copy, for the guest or for whoever looks at it: mv_paging_need, mv_paging_replace
 *   a job, which can be cancelled: mv_paging_fetch
 * Where nothing is absent each costs one load.
 *
 * A source that cannot bring pages says so (mv_paging_fail): who waits gives up as where the
 * host has not got the memory (fault.h, mv_block_registry_on_fault), and so does who comes
 * soon after, until the guest is told to go on (mv_paging_retry_all).
 *
 * The bits of pages that are here are read without a lock; a lock of each block's own, which
 * is held for the copy of what comes and under which no other is taken but those of waiters
 * (struct mv_fault_waiter), guards the rest.
 */
#ifndef MV_MEMORY_PAGING_H
#define MV_MEMORY_PAGING_H

#include "dirty-log.h"
#include "error.h"
#include "wait-times.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_block;
struct mv_block_registry;
struct mv_paging_pages;

/* The part of a block that those who access it see. */
struct mv_paging {
    atomic_bool active;            /* pages may be absent */
    bool takes_back;               /* pages that are here may be dropped; never changes */
    atomic_uint holds;             /* of these copies, which are under way */
    struct mv_paging_pages *pages; /* NULL: none ever were; the block's, until it goes */
};

/*
 * None of these is called with a lock of this file held, and none may wait for whoever
 * accesses the block: the main thread and vCPUs wait for pages, so that a source brings them
 * without their help.
 */
struct mv_paging_source {
    const char *what; /* in messages: "nbd://host/ram"; the source's */
    bool takes_back;  /* it can bring pages again that were dropped */
    /*
     * Bring the pages from offset on, whole ones, all of them absent when it was decided to
     * ask.  waits: somebody does, so that they come before all others; else it is a hint.
     * Asked once by each who waits, and by the next one anew after mv_paging_fail.  Any
     * thread; returns at once.  It may call mv_paging_fill and mv_paging_fail itself.
     */
    void (*want)(void *opaque, uint64_t offset, uint64_t len, bool waits);
    /* Return once none of this file's functions will be called for the block; see
     * mv_paging_end.  NULL: nothing is to be done. */
    void (*end)(void *opaque);
    void *opaque;
    bool stale; /* what is absent may have old bytes in the host's memory, not zeros */
};

/* --- for sources and whoever makes them */

/*
 * From now on the block's pages come from a source, once in a block's life.  here: a bit for
 * each page that is here already, from the lowest one on; NULL: none is.  What is absent
 * reads as zeros in the host's memory, but for a stale source.  Before the guest has come to
 * access the block; main thread.  -ENOMEM.
 */
int mv_paging_begin(struct mv_block *block, const struct mv_paging_source *source,
                    const uint64_t *here, struct mv_error *err);
/*
 * Pages have come: whole ones; bytes NULL: they are zeros.  Those that are here already stay
 * as they are.  Wakes who waits for them.  Any thread.  -EIO where the host has not got the
 * memory, which it then says of the block as of a source that fails.
 */
int mv_paging_fill(struct mv_block *block, uint64_t offset, const void *bytes, uint64_t len);
/*
 * The source cannot bring what is absent: why, and what can be done about it ("start the
 * server again").  Who waits gives up, and who comes to need an absent page within a second does so
 * at once.
 */
void mv_paging_fail(struct mv_block *block, const char *why, const char *remedy);
/*
 * No page will come any more: source->end is called, then whoever waits gives up, and this
 * returns once nobody waits.  mv_block_destroy calls it, too, and a second time does nothing.
 * Main thread.
 */
void mv_paging_end(struct mv_block *block);
/* For block.c: behind that. */
void mv_paging_free(struct mv_block *block);

/*
 * --- pages are dropped again (nbd-cache.c), of a block whose source takes them back: first
 * some are marked as leaving, then everybody forgets where they are (mv_space_forget), then
 * those go that nobody came to need meanwhile.  One thread at a time.
 */

/* Bytes that are here. */
uint64_t mv_paging_present(const struct mv_block *block);
/*
 * Mark up to so many pages, from the page *io_hand on and around, but none of `kept` (a bit
 * each) and none that somebody came to need since the hand was there last: their number.
 */
uint64_t mv_paging_leave(struct mv_block *block, uint64_t *io_hand, uint64_t most,
                         const uint64_t *kept);
/* Those that are to go still and are none of `kept` are absent from now on: their number. */
uint64_t mv_paging_drop(struct mv_block *block, const uint64_t *kept);

/* Have all sources that failed be asked again, before the guest goes on.  Main thread. */
void mv_paging_retry_all(struct mv_block_registry *registry);

/* --- for whoever looks at a block; any thread that knows that it is there */

/* Bytes that are absent. */
uint64_t mv_paging_absent(const struct mv_block *block);
/*
 * The next run of absent pages at or behind *io_offset: its offset and length in bytes,
 * false where there is none.  What comes meanwhile may still be in it.
 */
bool mv_paging_next_absent(const struct mv_block *block, uint64_t *io_offset, uint64_t *ret_len);
/* What the source is called; NULL where there never was one. */
const char *mv_paging_source_name(const struct mv_block *block);
/* How long vCPUs waited for pages of the block so far. */
void mv_paging_add_waits(const struct mv_block *block, struct mv_wait_times *io_sum);
/* Whether the byte is absent and the source failed last: why, and what to do; else false. */
bool mv_paging_explain(const struct mv_block *block, uint64_t offset, struct mv_error *ret_why,
                       struct mv_error *ret_remedy);

/* --- for those who access memory; len is not 0, the bytes lie in the block */

void mv_paging_enter_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len);
int mv_paging_need_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len);
int mv_paging_replace_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len);
int mv_paging_fetch_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len,
                           const atomic_bool *cancelled);

static inline bool mv_paging_is_active(const struct mv_paging *paging)
{
    return __builtin_expect(atomic_load_explicit(&paging->active, memory_order_acquire), 0);
}

/*
 * Return once the bytes are here, without having waited.  Else the thread goes back to its
 * innermost fault point (fault.h), one where the source has failed as after a SIGBUS, and
 * where it waited with MV_FAULT_WAITED, for what it did to be done again.  A point that has
 * no waiter waits here, as a copy does.
 */
static inline void mv_paging_enter(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    if (mv_paging_is_active(paging))
        mv_paging_enter_slowly(paging, offset, len);
}

/* Wait until the bytes are here.  -EIO where they cannot come, which is told (on_fault). */
static inline int mv_paging_need(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    return mv_paging_is_active(paging) ? mv_paging_need_slowly(paging, offset, len) : 0;
}

/*
 * As mv_paging_need, for bytes that are about to be written whatever they were: whole pages
 * among them count as here from now on, and nobody brings them.
 */
static inline int mv_paging_replace(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    return mv_paging_is_active(paging) ? mv_paging_replace_slowly(paging, offset, len) : 0;
}

/*
 * Around a copy and what asks for its bytes: what is here meanwhile is not dropped.  A pin
 * does the same.
 */
static inline void mv_paging_hold(struct mv_paging *paging)
{
    if (__builtin_expect(paging->takes_back, 0))
        atomic_fetch_add(&paging->holds, 1);
}

static inline void mv_paging_let_go(struct mv_paging *paging)
{
    if (__builtin_expect(paging->takes_back, 0))
        atomic_fetch_sub(&paging->holds, 1);
}

/*
 * As mv_paging_need, for a job's thread, which nobody is told of: -EIO, for which
 * mv_block_fault_explain says why, or -ECANCELED once *cancelled (NULL: never).
 */
static inline int mv_paging_fetch(struct mv_paging *paging, uint64_t offset, uint64_t len,
                                  const atomic_bool *cancelled)
{
    return mv_paging_is_active(paging) ? mv_paging_fetch_slowly(paging, offset, len, cancelled) : 0;
}

#endif
