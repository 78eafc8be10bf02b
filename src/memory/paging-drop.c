/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages leave (paging.h).  One that is leaving is neither here nor absent: who comes to need it
 * finds it as it was and keeps it, under the lock under which it is dropped.  Whoever found it
 * here before it was marked has forgotten it by then (an engine), holds the block, or has it
 * pinned: then none is dropped, and the next try is as good.
 */
#include "paging-pages.h"

#include "block.h"
#include "cleanup.h"

#include <sys/mman.h>

uint64_t mv_paging_present(const struct mv_block *block)
{
    return block->size - mv_paging_absent(block);
}

uint64_t mv_paging_leave(struct mv_block *block, uint64_t *io_hand, uint64_t most,
                         const uint64_t *kept)
{
    struct mv_paging_pages *pages = block->paging.pages;
    uint64_t count = 0, page = *io_hand % pages->count;
    MV_LOCK_SCOPE(&pages->lock);
    /* Twice around: what was needed before the first time may go in the second. */
    for (uint64_t i = 0; i < 2 * pages->count && count < most; i++) {
        bool may = mv_bit_is_set(pages->here, page) && !(kept[page / 64] >> page % 64 & 1);
        if (may && mv_bit_is_set(pages->needed, page)) {
            mv_bit_clear(pages->needed, page);
        } else if (may) {
            mv_bit_set(pages->leaving, page);
            mv_bit_clear(pages->here, page);
            count++;
        }
        page = page + 1 == pages->count ? 0 : page + 1;
    }
    *io_hand = page;
    return count;
}

static uint64_t drop_run(struct mv_paging_pages *pages, uint64_t first, uint64_t end)
{
    uint8_t *host = pages->block->host + first * MV_DIRTY_PAGE;
    if (madvise(host, (end - first) * MV_DIRTY_PAGE, MADV_DONTNEED) < 0) {
        mv_paging_keep(pages, first, end - 1);
        return 0;
    }
    for (uint64_t page = first; page < end; page++)
        mv_bit_clear(pages->leaving, page);
    atomic_fetch_add(&pages->absent, end - first);
    return end - first;
}

uint64_t mv_paging_drop(struct mv_block *block, const uint64_t *kept)
{
    struct mv_paging_pages *pages = block->paging.pages;
    uint64_t count = 0;
    MV_LOCK_SCOPE(&pages->lock);
    bool all_stay = atomic_load(&block->paging.holds) > 0 || mv_block_is_pinned(block);
    for (uint64_t page = 0, end; page < pages->count; page = end) {
        end = page + 1;
        if (!mv_bit_is_set(pages->leaving, page))
            continue;
        if (all_stay || (kept[page / 64] >> page % 64 & 1)) {
            mv_paging_keep(pages, page, page);
            continue;
        }
        while (end < pages->count && mv_bit_is_set(pages->leaving, end) &&
               !(kept[end / 64] >> end % 64 & 1))
            end++;
        count += drop_run(pages, page, end);
    }
    return count;
}
