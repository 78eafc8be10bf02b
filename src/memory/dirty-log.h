/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of a block were written: a bit for each 4 KiB, set by every
 * writer (vCPUs, devices, the loader) while at least one cursor listens.
 *
 * A cursor is one consumer's place in that stream; several of them on a block
 * do not disturb each other.  What a cursor takes is exact in the sense that
 * counts: a write that is not in it is either in the next one, or was finished
 * and can be read before mv_dirty_cursor_take returns.  Pages that were
 * written but have their old content may be in it.
 */
#ifndef MV_MEMORY_DIRTY_LOG_H
#define MV_MEMORY_DIRTY_LOG_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MV_DIRTY_PAGE UINT64_C(4096)

struct mv_block;
struct mv_space;
struct mv_dirty_cursor;

/* The part of a block that writers see. */
struct mv_dirty_log {
    atomic_bool active;              /* a cursor listens */
    _Atomic uint64_t *bits;          /* made by the first cursor */
    struct mv_dirty_cursor *cursors; /* see dirty-log.c */
};

/*
 * Listen to a block from now on: what was written before is not told.  `space` is the one that the
 * block is mapped into.  Space and block outlive the cursor, or the block is destroyed and take
 * says -ESTALE.  These functions: any thread but a vCPU's.  -ENOMEM.
 */
int mv_dirty_cursor_open(struct mv_space *space, struct mv_block *block,
                         struct mv_dirty_cursor **ret, struct mv_error *err);
void mv_dirty_cursor_close(struct mv_dirty_cursor *cursor);

/*
 * Take the pages that were written since the cursor was opened or took last;
 * *ret_pages is their number.  -ESTALE where the block is gone, also where
 * another one has its id by now.
 */
int mv_dirty_cursor_take(struct mv_dirty_cursor *cursor, uint64_t *ret_pages, struct mv_error *err);
/*
 * The next run of pages among those taken, at or behind *io_offset: its offset
 * and length in bytes, false where there is none.  Start with 0, go on with
 * offset + length.
 */
bool mv_dirty_cursor_next(const struct mv_dirty_cursor *cursor, uint64_t *io_offset,
                          uint64_t *ret_len);
/* Pages that were taken are to be taken again: a bit of each, from the lowest one on. */
void mv_dirty_cursor_return(struct mv_dirty_cursor *cursor, const uint64_t *bits);

/* --- for writers, which are space.c and the engines */

void mv_dirty_log_mark(struct mv_dirty_log *log, uint64_t offset, uint64_t len);

static inline bool mv_dirty_listened(const struct mv_dirty_log *log)
{
    return __builtin_expect(atomic_load_explicit(&log->active, memory_order_relaxed), 0);
}

/* Bytes of the block were written; or they will be, before the space's settling returns. */
static inline void mv_dirty_mark(struct mv_dirty_log *log, uint64_t offset, uint64_t len)
{
    if (mv_dirty_listened(log))
        mv_dirty_log_mark(log, offset, len);
}

/* --- for block.c: the block goes, its cursors stay with their owners */
void mv_dirty_log_end(struct mv_dirty_log *log);
/* --- for block-registry.c: around a fork */
void mv_dirty_log_lock(void);
void mv_dirty_log_unlock(void);

#endif
