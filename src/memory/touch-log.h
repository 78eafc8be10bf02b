/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of a block the guest has touched: a bit for each 4 KiB, set by whoever reads or
 * writes the block for the guest, while it is noted.  The host's kernel would tell which pages
 * this process has mapped, and these are also those that were brought in beforehand, or that
 * came with a neighbour.
 *
 * An engine tells of a page when it comes to keep its address, so noting has to begin before
 * vCPUs run; what an engine kept then is not told again.
 */
#ifndef MV_MEMORY_TOUCH_LOG_H
#define MV_MEMORY_TOUCH_LOG_H

#include "dirty-log.h"
#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_block;

struct mv_touch_log {
    atomic_bool active;
    _Atomic uint64_t *bits; /* once it was noted; the block's, until it goes */
};

/* Note from now on; once for each block.  -ENOMEM. */
int mv_touch_log_begin(struct mv_block *block, struct mv_error *err);
/* No longer.  Both: whoever knows that the block is there. */
void mv_touch_log_stop(struct mv_block *block);
/*
 * The next run of pages that were touched, at or behind *io_offset: its offset and length in
 * bytes, false where there is none.  Start with 0, go on with offset + length.  What comes in
 * meanwhile may be missing.
 */
bool mv_touch_log_next(const struct mv_block *block, uint64_t *io_offset, uint64_t *ret_len);

/* --- for those who access memory: space.c, block-bytes.c, dma.c and the engines */

void mv_touch_log_mark(struct mv_touch_log *log, uint64_t offset, uint64_t len);

/* Bytes of the block are read or written for the guest, or may be from now on. */
static inline void mv_touch_mark(struct mv_touch_log *log, uint64_t offset, uint64_t len)
{
    if (__builtin_expect(atomic_load_explicit(&log->active, memory_order_acquire), 0))
        mv_touch_log_mark(log, offset, len);
}

#endif
