/* SPDX-License-Identifier: Apache-2.0 */
/* Touch logs: no lock, since bits are only ever set, and a bitmap stays until the block goes. */
#include "touch-log.h"

#include "block.h"

#include <stdlib.h>

static uint64_t pages_of(const struct mv_block *block)
{
    return block->size / MV_DIRTY_PAGE;
}

int mv_touch_log_begin(struct mv_block *block, struct mv_error *err)
{
    struct mv_touch_log *log = &block->touch;
    if (log->bits == NULL)
        log->bits = calloc((pages_of(block) + 63) / 64, sizeof *log->bits);
    if (log->bits == NULL)
        return mv_error_set(err, ENOMEM, "no memory to note what is touched of block %s",
                            block->id);
    atomic_store(&log->active, true);
    return 0;
}

void mv_touch_log_stop(struct mv_block *block)
{
    atomic_store(&block->touch.active, false);
}

/* Most pages come again and again: then the bitmap's line stays shared among processors. */
void mv_touch_log_mark(struct mv_touch_log *log, uint64_t offset, uint64_t len)
{
    if (len == 0)
        return;
    uint64_t last = (offset + len - 1) / MV_DIRTY_PAGE;
    for (uint64_t page = offset / MV_DIRTY_PAGE; page <= last; page++) {
        uint64_t bit = UINT64_C(1) << page % 64;
        _Atomic uint64_t *word = &log->bits[page / 64];
        if ((atomic_load_explicit(word, memory_order_relaxed) & bit) == 0)
            atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    }
}

/* The first page at or behind `page` whose bit is `wanted`, or the number of pages. */
static uint64_t find_page(const struct mv_block *block, uint64_t page, bool wanted)
{
    uint64_t end = pages_of(block);
    while (page < end) {
        uint64_t bits = atomic_load_explicit(&block->touch.bits[page / 64], memory_order_relaxed);
        bits = (wanted ? bits : ~bits) >> page % 64;
        if (bits != 0) {
            page += (uint64_t)__builtin_ctzll(bits);
            break;
        }
        page = (page / 64 + 1) * 64;
    }
    return page < end ? page : end;
}

bool mv_touch_log_next(const struct mv_block *block, uint64_t *io_offset, uint64_t *ret_len)
{
    if (block->touch.bits == NULL)
        return false;
    uint64_t first = find_page(block, *io_offset / MV_DIRTY_PAGE, true);
    if (first >= pages_of(block))
        return false;
    *io_offset = first * MV_DIRTY_PAGE;
    *ret_len = (find_page(block, first, false) - first) * MV_DIRTY_PAGE;
    return true;
}
