/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd-wishes.h"

#include "cleanup.h"
#include "os.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* What is longer is no guest's touch, but a job's: nothing is to be learned from it. */
#define TOUCH_MAX (UINT64_C(64) << 10)
#define LOOK_MS   100

/* Pages that somebody waits for. */
struct mv_nbd_demand {
    uint64_t offset, end;
    struct mv_nbd_demand *next;
};

int mv_nbd_wishes_init(struct mv_nbd_wishes *wishes, uint64_t block_size)
{
    pthread_mutex_init(&wishes->lock, NULL);
    pthread_cond_init(&wishes->written, NULL);
    wishes->size = block_size;
    wishes->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wishes->fd < 0 ? -errno : 0;
}

void mv_nbd_wishes_clear(struct mv_nbd_wishes *wishes)
{
    mv_nbd_wishes_drop(wishes);
    mv_cleanup_close(&wishes->fd);
    pthread_cond_destroy(&wishes->written);
    pthread_mutex_destroy(&wishes->lock);
}

static void wake(const struct mv_nbd_wishes *wishes)
{
    eventfd_write(wishes->fd, 1);
}

/* --- pages */

static void forget_hint(struct mv_nbd_wishes *wishes)
{
    memmove(&wishes->hints[0], &wishes->hints[1], --wishes->hint_count * sizeof wishes->hints[0]);
}

static void add_hints(struct mv_nbd_wishes *wishes, const struct mv_read_ahead_run *runs,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wishes->hint_count == MV_NBD_HINTS)
            forget_hint(wishes);
        wishes->hints[wishes->hint_count++] = runs[i];
    }
}

static void add_demand(struct mv_nbd_wishes *wishes, uint64_t offset, uint64_t len)
{
    struct mv_nbd_demand *demand = malloc(sizeof *demand), **last = &wishes->demands;
    if (demand == NULL) {
        wishes->no_memory = true;
        return;
    }
    while (*last != NULL)
        last = &(*last)->next;
    *demand = (struct mv_nbd_demand){offset, offset + len, NULL};
    *last = demand;
}

static void forget_demand(struct mv_nbd_wishes *wishes)
{
    struct mv_nbd_demand *demand = wishes->demands;
    wishes->demands = demand->next;
    free(demand);
}

void mv_nbd_wishes_want(struct mv_nbd_wishes *wishes, uint64_t offset, uint64_t len, bool waits)
{
    struct mv_read_ahead_run runs[MV_READ_AHEAD_RUNS] = {{offset, len}};
    size_t count = waits ? 0 : 1;
    {
        MV_LOCK_SCOPE(&wishes->lock);
        if (waits)
            add_demand(wishes, offset, len);
        if (waits && len <= TOUCH_MAX)
            count = mv_read_ahead_miss(&wishes->ahead, offset, wishes->size, runs);
        add_hints(wishes, runs, count);
    }
    wake(wishes);
}

static bool take_demand(struct mv_nbd_wishes *wishes, mv_nbd_find_fn *find, void *opaque,
                        uint64_t *ret_offset, uint64_t *ret_len)
{
    while (wishes->demands != NULL) {
        struct mv_nbd_demand *demand = wishes->demands;
        *ret_offset = demand->offset;
        if (find(opaque, ret_offset, demand->end, true, ret_len)) {
            demand->offset = *ret_offset + *ret_len;
            return true;
        }
        forget_demand(wishes);
    }
    return false;
}

static bool take_hint(struct mv_nbd_wishes *wishes, mv_nbd_find_fn *find, void *opaque,
                      uint64_t *ret_offset, uint64_t *ret_len)
{
    while (wishes->hint_count > 0) {
        struct mv_read_ahead_run *hint = &wishes->hints[0];
        uint64_t end = hint->offset + hint->len;
        *ret_offset = hint->offset;
        if (find(opaque, ret_offset, end, false, ret_len)) {
            uint64_t behind = *ret_offset + *ret_len;
            hint->offset = behind < end ? behind : end;
            hint->len = end - hint->offset;
            return true;
        }
        forget_hint(wishes);
    }
    return false;
}

bool mv_nbd_wishes_take(struct mv_nbd_wishes *wishes, bool demands, mv_nbd_find_fn *find,
                        void *opaque, uint64_t *ret_offset, uint64_t *ret_len)
{
    MV_LOCK_SCOPE(&wishes->lock);
    return demands ? take_demand(wishes, find, opaque, ret_offset, ret_len)
                   : take_hint(wishes, find, opaque, ret_offset, ret_len);
}

void mv_nbd_wishes_return(struct mv_nbd_wishes *wishes, uint64_t offset, uint64_t len)
{
    MV_LOCK_SCOPE(&wishes->lock);
    add_demand(wishes, offset, len);
}

void mv_nbd_wishes_lack_memory(struct mv_nbd_wishes *wishes)
{
    {
        MV_LOCK_SCOPE(&wishes->lock);
        wishes->no_memory = true;
    }
    wake(wishes);
}

bool mv_nbd_wishes_drop(struct mv_nbd_wishes *wishes)
{
    MV_LOCK_SCOPE(&wishes->lock);
    bool any = wishes->demands != NULL || wishes->no_memory;
    while (wishes->demands != NULL)
        forget_demand(wishes);
    wishes->hint_count = 0;
    wishes->no_memory = false;
    return any;
}

/* --- what to write */

int mv_nbd_wishes_write(struct mv_nbd_wishes *wishes, const struct mv_dirty_cursor *cursor,
                        const atomic_bool *cancelled, struct mv_error *err)
{
    MV_LOCK_SCOPE(&wishes->lock);
    wishes->write_done = false;
    wishes->cancelled = cancelled;
    wishes->cursor = cursor;
    while (!wishes->write_done) {
        wake(wishes); /* for a look whether it is cancelled, too */
        uint64_t until = mv_now_ns() + LOOK_MS * UINT64_C(1000000);
        struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_clockwait(&wishes->written, &wishes->lock, CLOCK_MONOTONIC, &at);
    }
    wishes->cursor = NULL;
    int r = wishes->write_result;
    return r < 0 ? mv_error_set(err, -r, "%s", wishes->write_err.text) : 0;
}

const struct mv_dirty_cursor *mv_nbd_wishes_cursor(struct mv_nbd_wishes *wishes)
{
    MV_LOCK_SCOPE(&wishes->lock);
    return wishes->write_done ? NULL : wishes->cursor;
}

void mv_nbd_wishes_written(struct mv_nbd_wishes *wishes, int result, const char *why)
{
    MV_LOCK_SCOPE(&wishes->lock);
    if (wishes->cursor == NULL || wishes->write_done)
        return;
    wishes->write_done = true;
    wishes->write_result = result;
    if (result < 0)
        mv_error_set(&wishes->write_err, -result, "%s", why);
    pthread_cond_broadcast(&wishes->written);
}

/* --- for the thread */

void mv_nbd_wishes_stop(struct mv_nbd_wishes *wishes)
{
    {
        MV_LOCK_SCOPE(&wishes->lock);
        wishes->stop = true;
    }
    wake(wishes);
}

bool mv_nbd_wishes_is_stopped(struct mv_nbd_wishes *wishes)
{
    MV_LOCK_SCOPE(&wishes->lock);
    return wishes->stop;
}

bool mv_nbd_wishes_is_any(struct mv_nbd_wishes *wishes)
{
    MV_LOCK_SCOPE(&wishes->lock);
    return wishes->demands != NULL || (wishes->cursor != NULL && !wishes->write_done);
}

int mv_nbd_wishes_check(struct mv_nbd_wishes *wishes)
{
    MV_LOCK_SCOPE(&wishes->lock);
    bool cancelled = wishes->cursor != NULL && !wishes->write_done && wishes->cancelled != NULL &&
                     atomic_load(wishes->cancelled);
    return wishes->no_memory ? -ENOMEM : cancelled ? -ECANCELED : 0;
}
