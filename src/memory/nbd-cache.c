/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd-cache.h"

#include "backing-nbd.h"
#include "block.h"
#include "cleanup.h"
#include "fault.h"
#include "log.h"
#include "os.h"
#include "space.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* What cannot be dropped now may be a little later. */
#define NAP_MS 100

struct mv_nbd_cache {
    struct mv_block *block;
    struct mv_space *space;
    uint64_t limit;
    bool writes_back;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wanted, stop;
    atomic_bool cancelled;
    /* --- the thread's */
    struct mv_dirty_cursor *cursor;
    uint64_t words;   /* of each bitmap */
    uint64_t *dirty;  /* pages that were changed, and not written back since */
    uint64_t *before; /* those of them that are being written */
    uint64_t hand;
    bool told; /* that writing failed */
};

static uint64_t excess(const struct mv_nbd_cache *cache)
{
    uint64_t present = mv_paging_present(cache->block);
    return present > cache->limit ? present - cache->limit : 0;
}

static int note_dirty(struct mv_nbd_cache *cache)
{
    uint64_t pages, offset = 0, len;
    struct mv_error err;
    int r = mv_dirty_cursor_take(cache->cursor, &pages, &err);
    for (; r == 0 && mv_dirty_cursor_next(cache->cursor, &offset, &len); offset += len) {
        for (uint64_t page = offset / MV_DIRTY_PAGE; page < (offset + len) / MV_DIRTY_PAGE; page++)
            cache->dirty[page / 64] |= UINT64_C(1) << page % 64;
    }
    return r;
}

/* What is changed while it is written is noted anew, by the next look at the log. */
static void clean(struct mv_nbd_cache *cache)
{
    struct mv_error err;
    uint64_t *dirty = cache->dirty;
    cache->dirty = cache->before;
    cache->before = dirty;
    for (uint64_t i = 0; i < cache->words; i++)
        cache->dirty[i] = 0;
    int r = mv_backing_nbd_sync(cache->block, &cache->cancelled, &err);
    for (uint64_t i = 0; r < 0 && i < cache->words; i++)
        cache->dirty[i] |= cache->before[i];
    if (r < 0 && r != -ECANCELED && !cache->told)
        mv_warn("block %s has more in memory than cache= says: %s", cache->block->id, err.text);
    cache->told = r < 0;
}

/* Whether anything came of it. */
static bool drop_some(struct mv_nbd_cache *cache)
{
    uint64_t most = (excess(cache) + cache->limit / 8) / MV_DIRTY_PAGE;
    if (note_dirty(cache) < 0)
        return false;
    uint64_t count = mv_paging_leave(cache->block, &cache->hand, most, cache->dirty);
    if (count < most && cache->writes_back) {
        clean(cache);
        count += mv_paging_leave(cache->block, &cache->hand, most - count, cache->dirty);
    }
    if (count == 0)
        return false;
    mv_space_forget(cache->space);
    /* Nobody writes any more to what is leaving: what was written by then is noted. */
    if (note_dirty(cache) < 0)
        return false;
    return mv_paging_drop(cache->block, cache->dirty) > 0;
}

/* False where it is to end. */
static bool await(struct mv_nbd_cache *cache, bool nap)
{
    uint64_t until = mv_now_ns() + NAP_MS * UINT64_C(1000000);
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    MV_LOCK_SCOPE(&cache->lock);
    while (!cache->stop && nap &&
           pthread_cond_clockwait(&cache->changed, &cache->lock, CLOCK_MONOTONIC, &at) == 0)
        ;
    while (!cache->stop && !nap && !cache->wanted)
        pthread_cond_wait(&cache->changed, &cache->lock);
    cache->wanted = false;
    return !cache->stop;
}

static void *run(void *opaque)
{
    struct mv_nbd_cache *cache = opaque;
    bool nap = false;
    while (await(cache, nap))
        nap = excess(cache) > 0 && !drop_some(cache);
    return NULL;
}

void mv_nbd_cache_look(struct mv_nbd_cache *cache)
{
    if (cache == NULL || excess(cache) == 0)
        return;
    MV_LOCK_SCOPE(&cache->lock);
    cache->wanted = true;
    pthread_cond_signal(&cache->changed);
}

void mv_nbd_cache_free(struct mv_nbd_cache *cache)
{
    if (cache == NULL)
        return;
    mv_dirty_cursor_close(cache->cursor);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->dirty);
    free(cache->before);
    free(cache);
}

void mv_nbd_cache_stop(struct mv_nbd_cache *cache)
{
    if (cache == NULL || atomic_exchange(&cache->cancelled, true))
        return;
    {
        MV_LOCK_SCOPE(&cache->lock);
        cache->stop = true;
        pthread_cond_signal(&cache->changed);
    }
    pthread_join(cache->thread, NULL);
    mv_dirty_cursor_close(cache->cursor);
    cache->cursor = NULL;
}

static int start(struct mv_nbd_cache *cache)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&cache->thread, NULL, run, cache);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -errnum;
}

int mv_nbd_cache_start(struct mv_block *block, struct mv_space *space, uint64_t limit,
                       bool writes_back, struct mv_nbd_cache **ret, struct mv_error *err)
{
    struct mv_nbd_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return mv_error_set_errno(err, ENOMEM, "cache=");
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->block = block;
    cache->space = space;
    cache->limit = limit;
    cache->writes_back = writes_back;
    cache->words = (block->size / MV_DIRTY_PAGE + 63) / 64;
    cache->dirty = calloc(cache->words, sizeof *cache->dirty);
    cache->before = calloc(cache->words, sizeof *cache->before);
    int r = cache->dirty == NULL || cache->before == NULL
                ? mv_error_set_errno(err, ENOMEM, "cache=")
                : mv_dirty_cursor_open(space, block, &cache->cursor, err);
    if (r == 0 && (r = start(cache)) < 0)
        mv_error_set_errno(err, -r, "cache=: a thread");
    if (r < 0)
        mv_nbd_cache_free(cache);
    else
        *ret = cache;
    return r;
}
