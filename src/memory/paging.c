/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages are here, who waits for others, and how they come.  The bits are set behind the
 * bytes, under the lock, and read without it.  Waiters are woken under the lock, so that one
 * that takes itself off the list is not woken any more.  A source is called without it.
 */
#include "paging-pages.h"

#include "block-registry.h"
#include "cleanup.h"
#include "fault.h"
#include "os.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often a job looks whether it is cancelled. */
#define LOOK_MS 100
/* A source that failed is asked again by whoever comes later than that. */
#define FAILED_NS UINT64_C(1000000000)

/* A vCPU that waits, on its stack. */
struct waiter {
    struct mv_fault_waiter *thread;
    uint64_t first, last; /* pages */
    struct waiter *next;
};

/* Of pages 64 * word and on: those that need not be brought. */
static uint64_t had(const struct mv_paging_pages *pages, uint64_t word)
{
    uint64_t bits = atomic_load_explicit(&pages->here[word], memory_order_acquire);
    return pages->leaving == NULL ? bits : bits | atomic_load(&pages->leaving[word]);
}

static bool is_here(const struct mv_paging_pages *pages, uint64_t page)
{
    return atomic_load_explicit(&pages->here[page / 64], memory_order_acquire) >> page % 64 & 1;
}

enum state { HERE, NOT_HERE, ABSENT, HAD };

/* The first page from `page` to `last` of that state; behind them where there is none. */
static uint64_t find(const struct mv_paging_pages *pages, uint64_t page, uint64_t last,
                     enum state state)
{
    while (page <= last) {
        uint64_t word = page / 64;
        uint64_t bits = state == ABSENT || state == HAD
                            ? had(pages, word)
                            : atomic_load_explicit(&pages->here[word], memory_order_acquire);
        bits = (state == ABSENT || state == NOT_HERE ? ~bits : bits) >> page % 64;
        if (bits != 0) {
            page += (uint64_t)__builtin_ctzll(bits);
            break;
        }
        page = (page / 64 + 1) * 64;
    }
    return page <= last ? page : last + 1;
}

static uint64_t find_absent(const struct mv_paging_pages *pages, uint64_t first, uint64_t last)
{
    return find(pages, first, last, ABSENT);
}

static uint64_t last_page(uint64_t offset, uint64_t len)
{
    return (offset + len - 1) / MV_DIRTY_PAGE;
}

static const uint8_t *host_of(const struct mv_paging_pages *pages, uint64_t page)
{
    return pages->block->host + page * MV_DIRTY_PAGE;
}

static bool is_hopeless(const struct mv_paging_pages *pages)
{
    return pages->failed || pages->ended;
}

/* For one who has not waited yet. */
static void forget_old_failure(struct mv_paging_pages *pages)
{
    if (pages->failed && mv_now_ns() - pages->failed_ns >= FAILED_NS)
        pages->failed = false;
}

/* --- pages that were about to leave stay */

/* Somebody needs these: none of them is to leave. */
static void note_needed(struct mv_paging_pages *pages, uint64_t first, uint64_t last)
{
    for (uint64_t page = first; pages->needed != NULL && page <= last; page++)
        mv_bit_set(pages->needed, page);
}

void mv_paging_keep(struct mv_paging_pages *pages, uint64_t first, uint64_t last)
{
    for (uint64_t page = first; pages->leaving != NULL && page <= last; page++) {
        if (!mv_bit_is_set(pages->leaving, page))
            continue;
        mv_bit_set(pages->here, page);
        mv_bit_clear(pages->leaving, page);
    }
}

/* --- pages come */

static void wake_locked(struct mv_paging_pages *pages)
{
    for (const struct waiter *w = pages->waiters; w != NULL; w = w->next) {
        if (is_hopeless(pages) || find_absent(pages, w->first, w->last) > w->last)
            w->thread->wake(w->thread);
    }
    pthread_cond_broadcast(&pages->changed);
}

/* Behind the bytes, which others may read once they see the bit. */
static void set_here(struct mv_paging_pages *pages, uint64_t page)
{
    atomic_fetch_or_explicit(&pages->here[page / 64], UINT64_C(1) << page % 64,
                             memory_order_release);
    if (atomic_fetch_sub(&pages->absent, 1) == 1 && pages->leaving == NULL)
        atomic_store_explicit(&pages->block->paging.active, false, memory_order_release);
}

/* bytes NULL: zeros.  Plain stores: nobody else is at it yet. */
static bool copy(uint8_t *host, const uint8_t *bytes, uint64_t len)
{
    struct mv_fault_point point = {.address = NULL};
    mv_fault_enter(&point);
    if (sigsetjmp(point.jump, 0) == 0) {
        if (bytes != NULL)
            memcpy(host, bytes, len);
        else
            memset(host, 0, len);
    }
    mv_fault_leave(&point);
    return point.address == NULL;
}

static bool fill_locked(struct mv_paging_pages *pages, uint64_t first, uint64_t last,
                        const uint8_t *bytes)
{
    for (uint64_t page = find_absent(pages, first, last), end; page <= last;
         page = find_absent(pages, end, last)) {
        end = find(pages, page, last, HAD);
        const uint8_t *from = bytes == NULL ? NULL : bytes + (page - first) * MV_DIRTY_PAGE;
        if ((bytes != NULL || pages->source.stale) &&
            !copy(pages->block->host + page * MV_DIRTY_PAGE, from, (end - page) * MV_DIRTY_PAGE))
            return false;
        for (uint64_t i = page; i < end; i++)
            set_here(pages, i);
    }
    return true;
}

int mv_paging_fill(struct mv_block *block, uint64_t offset, const void *bytes, uint64_t len)
{
    struct mv_paging_pages *pages = block->paging.pages;
    bool ok;
    {
        MV_LOCK_SCOPE(&pages->lock);
        ok = fill_locked(pages, offset / MV_DIRTY_PAGE, last_page(offset, len), bytes);
        wake_locked(pages);
    }
    if (!ok)
        mv_paging_fail(block, "the host has no memory for it", "give the host's memory room");
    return ok ? 0 : -EIO;
}

void mv_paging_fail(struct mv_block *block, const char *why, const char *remedy)
{
    struct mv_paging_pages *pages = block->paging.pages;
    MV_LOCK_SCOPE(&pages->lock);
    pages->failed = true;
    pages->failed_ns = mv_now_ns();
    mv_error_set(&pages->why, EIO, "%s", why);
    mv_error_set(&pages->remedy, EIO, "%s", remedy);
    wake_locked(pages);
}

static void retry(struct mv_block *block, void *opaque)
{
    struct mv_paging_pages *pages = block->paging.pages;
    if (pages == NULL)
        return;
    MV_LOCK_SCOPE(&pages->lock);
    pages->failed = false;
}

void mv_paging_retry_all(struct mv_block_registry *registry)
{
    mv_block_for_each(registry, retry, NULL);
}

/* --- they are waited for */

/* The first run that is absent of these pages. */
static void want(const struct mv_paging_pages *pages, uint64_t first, uint64_t last)
{
    uint64_t page = find_absent(pages, first, last);
    if (page > last)
        return;
    uint64_t end = find(pages, page, last, HAD);
    pages->source.want(pages->source.opaque, page * MV_DIRTY_PAGE, (end - page) * MV_DIRTY_PAGE,
                       true);
}

static void wait_a_little(struct mv_paging_pages *pages, bool forever)
{
    if (forever) {
        pthread_cond_wait(&pages->changed, &pages->lock);
        return;
    }
    uint64_t until = mv_now_ns() + LOOK_MS * UINT64_C(1000000);
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    pthread_cond_clockwait(&pages->changed, &pages->lock, CLOCK_MONOTONIC, &at);
}

/*
 * Each run of absent pages is asked for once.  0; -EIO, and which page it is about; -ECANCELED.
 */
static int await(struct mv_paging_pages *pages, uint64_t first, uint64_t last,
                 const atomic_bool *cancelled, uint64_t *ret_page)
{
    uint64_t asked = 0; /* behind the last page that was */
    int r = 0;
    note_needed(pages, first, last);
    if (find(pages, first, last, NOT_HERE) > last)
        return 0;
    pthread_mutex_lock(&pages->lock);
    pages->users++;
    forget_old_failure(pages);
    mv_paging_keep(pages, first, last);
    while (r == 0 && (first = find_absent(pages, first, last)) <= last) {
        *ret_page = first;
        if (is_hopeless(pages)) {
            r = -EIO;
        } else if (cancelled != NULL && atomic_load(cancelled)) {
            r = -ECANCELED;
        } else if (first >= asked) {
            asked = find(pages, first, last, HAD);
            pthread_mutex_unlock(&pages->lock);
            want(pages, first, last);
            pthread_mutex_lock(&pages->lock);
        } else {
            wait_a_little(pages, cancelled == NULL);
        }
    }
    if (--pages->users == 0)
        pthread_cond_broadcast(&pages->changed);
    pthread_mutex_unlock(&pages->lock);
    return r;
}

int mv_paging_need_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    struct mv_paging_pages *pages = paging->pages;
    uint64_t page, last = last_page(offset, len);
    int r = await(pages, offset / MV_DIRTY_PAGE, last, NULL, &page);
    return r == 0 ? 0 : mv_block_registry_tell_fault(pages->block, host_of(pages, page));
}

int mv_paging_fetch_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len,
                           const atomic_bool *cancelled)
{
    uint64_t page;
    return await(paging->pages, offset / MV_DIRTY_PAGE, last_page(offset, len), cancelled, &page);
}

int mv_paging_replace_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    struct mv_paging_pages *pages = paging->pages;
    uint64_t first = (offset + MV_DIRTY_PAGE - 1) / MV_DIRTY_PAGE;
    uint64_t behind = (offset + len) / MV_DIRTY_PAGE;
    int r = 0;
    if (offset % MV_DIRTY_PAGE != 0 || first >= behind)
        r = mv_paging_need_slowly(paging, offset, 1);
    if (r == 0 && (offset + len) % MV_DIRTY_PAGE != 0)
        r = mv_paging_need_slowly(paging, offset + len - 1, 1);
    if (r < 0 || first >= behind)
        return r;
    note_needed(pages, first, behind - 1);
    MV_LOCK_SCOPE(&pages->lock);
    mv_paging_keep(pages, first, behind - 1);
    fill_locked(pages, first, behind - 1, NULL);
    wake_locked(pages);
    return 0;
}

/*
 * The thread stands still while it waits (its waiter sees to that), so that whoever unmaps the
 * block does not wait for it but in mv_paging_end.
 */
static void wait_and_come_back(struct mv_paging_pages *pages, struct mv_fault_waiter *thread,
                               uint64_t first, uint64_t last)
{
    struct waiter waiter = {.thread = thread, .first = first, .last = last};
    bool hopeless;
    {
        MV_LOCK_SCOPE(&pages->lock);
        mv_paging_keep(pages, first, last);
        if (find_absent(pages, first, last) > last)
            return;
        forget_old_failure(pages);
        hopeless = is_hopeless(pages);
        if (!hopeless) {
            waiter.next = pages->waiters;
            pages->waiters = &waiter;
            pages->users++;
        }
    }
    if (hopeless)
        mv_fault_jump(MV_FAULT_CAUGHT, host_of(pages, find_absent(pages, first, last)));
    uint64_t began = mv_now_ns();
    want(pages, first, last);
    thread->wait(thread);
    {
        MV_LOCK_SCOPE(&pages->lock);
        mv_wait_times_add(&pages->waits, mv_now_ns() - began);
        struct waiter **link = &pages->waiters;
        while (*link != &waiter)
            link = &(*link)->next;
        *link = waiter.next;
        if (--pages->users == 0)
            pthread_cond_broadcast(&pages->changed);
    }
    mv_fault_jump(MV_FAULT_WAITED, NULL);
}

void mv_paging_enter_slowly(struct mv_paging *paging, uint64_t offset, uint64_t len)
{
    struct mv_paging_pages *pages = paging->pages;
    uint64_t page, first = offset / MV_DIRTY_PAGE, last = last_page(offset, len);
    struct mv_fault_waiter *thread = mv_fault_waiter_of_thread();
    note_needed(pages, first, last);
    if (find(pages, first, last, NOT_HERE) > last)
        return;
    if (thread != NULL)
        wait_and_come_back(pages, thread, first, last);
    else if (await(pages, first, last, NULL, &page) < 0)
        mv_fault_jump(MV_FAULT_CAUGHT, host_of(pages, page));
}

/* --- for whoever looks */

uint64_t mv_paging_absent(const struct mv_block *block)
{
    const struct mv_paging_pages *pages = block->paging.pages;
    return pages == NULL ? 0 : atomic_load(&pages->absent) * MV_DIRTY_PAGE;
}

bool mv_paging_next_absent(const struct mv_block *block, uint64_t *io_offset, uint64_t *ret_len)
{
    const struct mv_paging_pages *pages = block->paging.pages;
    if (pages == NULL || *io_offset >= block->size)
        return false;
    uint64_t first = find_absent(pages, *io_offset / MV_DIRTY_PAGE, pages->count - 1);
    if (first >= pages->count)
        return false;
    *io_offset = first * MV_DIRTY_PAGE;
    *ret_len = (find(pages, first, pages->count - 1, HAD) - first) * MV_DIRTY_PAGE;
    return true;
}

const char *mv_paging_source_name(const struct mv_block *block)
{
    return block->paging.pages == NULL ? NULL : block->paging.pages->source.what;
}

void mv_paging_add_waits(const struct mv_block *block, struct mv_wait_times *io_sum)
{
    struct mv_paging_pages *pages = block->paging.pages;
    if (pages == NULL)
        return;
    MV_LOCK_SCOPE(&pages->lock);
    mv_wait_times_join(io_sum, &pages->waits);
}

bool mv_paging_explain(const struct mv_block *block, uint64_t offset, struct mv_error *ret_why,
                       struct mv_error *ret_remedy)
{
    struct mv_paging_pages *pages = block->paging.pages;
    if (pages == NULL || is_here(pages, offset / MV_DIRTY_PAGE))
        return false;
    MV_LOCK_SCOPE(&pages->lock);
    if (pages->why.text[0] == '\0')
        return false;
    *ret_why = pages->why;
    *ret_remedy = pages->remedy;
    return true;
}

/* --- how it comes and goes */

static void free_pages(struct mv_paging_pages *pages)
{
    pthread_cond_destroy(&pages->changed);
    pthread_mutex_destroy(&pages->lock);
    free(pages->here);
    free(pages->needed);
    free(pages->leaving);
    free(pages);
}

static void take_bits(struct mv_paging_pages *pages, const uint64_t *here)
{
    uint64_t absent = pages->count;
    for (uint64_t page = 0; here != NULL && page < pages->count; page++)
        absent -= here[page / 64] >> page % 64 & 1;
    for (uint64_t word = 0; here != NULL && word < (pages->count + 63) / 64; word++)
        atomic_store(&pages->here[word], here[word]);
    atomic_store(&pages->absent, absent);
}

static struct mv_paging_pages *make_pages(struct mv_block *block,
                                          const struct mv_paging_source *source)
{
    struct mv_paging_pages *pages = calloc(1, sizeof *pages);
    if (pages == NULL)
        return NULL;
    pthread_mutex_init(&pages->lock, NULL);
    pthread_cond_init(&pages->changed, NULL);
    pages->block = block;
    pages->source = *source;
    pages->count = block->size / MV_DIRTY_PAGE;
    uint64_t words = (pages->count + 63) / 64;
    pages->here = calloc(words, sizeof *pages->here);
    pages->needed = source->takes_back ? calloc(words, sizeof *pages->needed) : NULL;
    pages->leaving = source->takes_back ? calloc(words, sizeof *pages->leaving) : NULL;
    if (pages->here != NULL &&
        (!source->takes_back || (pages->needed != NULL && pages->leaving != NULL)))
        return pages;
    free_pages(pages);
    return NULL;
}

int mv_paging_begin(struct mv_block *block, const struct mv_paging_source *source,
                    const uint64_t *here, struct mv_error *err)
{
    struct mv_paging_pages *pages = make_pages(block, source);
    if (pages == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the pages of block %s", block->id);
    block->paging.takes_back = source->takes_back;
    block->paging.pages = pages;
    take_bits(pages, here);
    bool any = atomic_load(&pages->absent) > 0 || source->takes_back;
    atomic_store_explicit(&block->paging.active, any, memory_order_release);
    return 0;
}

void mv_paging_end(struct mv_block *block)
{
    struct mv_paging_pages *pages = block->paging.pages;
    if (pages == NULL || pages->ended)
        return;
    if (pages->source.end != NULL)
        pages->source.end(pages->source.opaque);
    MV_LOCK_SCOPE(&pages->lock);
    pages->ended = true;
    wake_locked(pages);
    while (pages->users > 0)
        pthread_cond_wait(&pages->changed, &pages->lock);
}

void mv_paging_free(struct mv_block *block)
{
    if (block->paging.pages == NULL)
        return;
    mv_paging_end(block);
    free_pages(block->paging.pages);
}
