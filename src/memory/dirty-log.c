/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty logs.  Writers set bits of one bitmap a block; whoever takes hands
 * what is there to every cursor of the block, so that each has its own.
 *
 * The order of a take makes it exact.  Bits are taken first; then the space
 * settles, that is, every engine forgets which pages it may write to without
 * asking the log, and has finished such writes.  A write that found its bit
 * set before is therefore done when the take returns, and one that comes later
 * sets the bit again.  Devices set the bit behind their write.
 *
 * `lock` guards cursors and lists of them; writers need none.
 */
#include "dirty-log.h"

#include "block.h"
#include "cleanup.h"
#include "space.h"

#include <pthread.h>
#include <stdlib.h>

struct mv_dirty_cursor {
    struct mv_space *space;
    struct mv_block *block; /* NULL once it is gone */
    struct mv_dirty_cursor *next;
    uint64_t words;    /* of each bitmap */
    uint64_t *pending; /* since the last take */
    uint64_t *taken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t words_of(const struct mv_block *block)
{
    return (block->size / MV_DIRTY_PAGE + 63) / 64;
}

void mv_dirty_log_mark(struct mv_dirty_log *log, uint64_t offset, uint64_t len)
{
    if (len == 0)
        return;
    uint64_t last = (offset + len - 1) / MV_DIRTY_PAGE;
    for (uint64_t page = offset / MV_DIRTY_PAGE; page <= last; page++)
        atomic_fetch_or(&log->bits[page / 64], UINT64_C(1) << page % 64);
}

static void free_cursor(struct mv_dirty_cursor *cursor)
{
    free(cursor->pending);
    free(cursor->taken);
    free(cursor);
}

/* The bitmap stays until the block goes: a writer may be at it. */
static int start_locked(struct mv_dirty_log *log, uint64_t words)
{
    if (log->bits == NULL)
        log->bits = calloc(words, sizeof *log->bits);
    if (log->bits == NULL)
        return -ENOMEM;
    if (log->cursors == NULL) {
        /* Left from cursors that are closed; words that are 0 may have no memory yet. */
        for (uint64_t i = 0; i < words; i++) {
            if (atomic_load_explicit(&log->bits[i], memory_order_relaxed) != 0)
                atomic_store_explicit(&log->bits[i], 0, memory_order_relaxed);
        }
        atomic_store(&log->active, true);
    }
    return 0;
}

/* Hand the bits that writers set to every cursor. */
static void collect_locked(struct mv_dirty_log *log, uint64_t words)
{
    for (uint64_t i = 0; i < words; i++) {
        if (atomic_load_explicit(&log->bits[i], memory_order_relaxed) == 0)
            continue;
        uint64_t bits = atomic_exchange(&log->bits[i], 0);
        for (struct mv_dirty_cursor *c = log->cursors; c != NULL; c = c->next)
            c->pending[i] |= bits;
    }
}

int mv_dirty_cursor_open(struct mv_space *space, struct mv_block *block,
                         struct mv_dirty_cursor **ret, struct mv_error *err)
{
    struct mv_dirty_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the dirty log of %s", block->id);
    *cursor = (struct mv_dirty_cursor){.space = space, .block = block, .words = words_of(block)};
    cursor->pending = calloc(cursor->words, sizeof *cursor->pending);
    cursor->taken = calloc(cursor->words, sizeof *cursor->taken);
    MV_LOCK_SCOPE(&lock);
    if (cursor->pending == NULL || cursor->taken == NULL ||
        start_locked(&block->log, cursor->words) < 0) {
        free_cursor(cursor);
        return mv_error_set(err, ENOMEM, "no memory for the dirty log of %s", block->id);
    }
    /* What was written before is the others' alone. */
    collect_locked(&block->log, cursor->words);
    cursor->next = block->log.cursors;
    block->log.cursors = cursor;
    mv_space_settle(space);
    *ret = cursor;
    return 0;
}

void mv_dirty_cursor_close(struct mv_dirty_cursor *cursor)
{
    if (cursor == NULL)
        return;
    MV_LOCK_SCOPE(&lock);
    if (cursor->block != NULL) {
        struct mv_dirty_log *log = &cursor->block->log;
        struct mv_dirty_cursor **link = &log->cursors;
        while (*link != cursor)
            link = &(*link)->next;
        *link = cursor->next;
        if (log->cursors == NULL)
            atomic_store(&log->active, false);
    }
    free_cursor(cursor);
}

int mv_dirty_cursor_take(struct mv_dirty_cursor *cursor, uint64_t *ret_pages, struct mv_error *err)
{
    MV_LOCK_SCOPE(&lock);
    if (cursor->block == NULL)
        return mv_error_set(err, ESTALE, "the block is gone");
    collect_locked(&cursor->block->log, cursor->words);
    mv_space_settle(cursor->space);
    uint64_t *pending = cursor->pending, pages = 0;
    cursor->pending = cursor->taken;
    cursor->taken = pending;
    for (uint64_t i = 0; i < cursor->words; i++) {
        pages += (uint64_t)__builtin_popcountll(pending[i]);
        if (cursor->pending[i] != 0) /* as above */
            cursor->pending[i] = 0;
    }
    *ret_pages = pages;
    return 0;
}

void mv_dirty_cursor_return(struct mv_dirty_cursor *cursor, const uint64_t *bits)
{
    MV_LOCK_SCOPE(&lock);
    for (uint64_t i = 0; i < cursor->words; i++) {
        if (bits[i] != 0) /* as above */
            cursor->pending[i] |= bits[i];
    }
}

/* The first page at or behind `page` whose bit is `wanted`, or the end. */
static uint64_t find_page(const struct mv_dirty_cursor *cursor, uint64_t page, bool wanted)
{
    uint64_t end = cursor->words * 64;
    while (page < end) {
        uint64_t bits = cursor->taken[page / 64];
        bits = (wanted ? bits : ~bits) >> page % 64;
        if (bits != 0)
            return page + (uint64_t)__builtin_ctzll(bits);
        page = (page / 64 + 1) * 64;
    }
    return end;
}

bool mv_dirty_cursor_next(const struct mv_dirty_cursor *cursor, uint64_t *io_offset,
                          uint64_t *ret_len)
{
    uint64_t first = find_page(cursor, *io_offset / MV_DIRTY_PAGE, true);
    if (first >= cursor->words * 64)
        return false;
    *io_offset = first * MV_DIRTY_PAGE;
    *ret_len = (find_page(cursor, first, false) - first) * MV_DIRTY_PAGE;
    return true;
}

void mv_dirty_log_end(struct mv_dirty_log *log)
{
    MV_LOCK_SCOPE(&lock);
    for (struct mv_dirty_cursor *c = log->cursors; c != NULL; c = c->next)
        c->block = NULL;
    log->cursors = NULL;
    free(log->bits);
    log->bits = NULL;
}

void mv_dirty_log_lock(void)
{
    pthread_mutex_lock(&lock);
}

void mv_dirty_log_unlock(void)
{
    pthread_mutex_unlock(&lock);
}
