/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical map: a sorted array of ranges, searched by bisection under the read
 * side of `lock`.  A copy holds the lock to its end, so that after mv_space_remove nobody
 * uses the range any more.  No function takes the read side twice.
 */
#include "space.h"

#include "block.h"
#include "os.h"
#include "size.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct mv_space {
    pthread_rwlock_t lock;
    struct mv_range *ranges; /* sorted by gpa, without overlap */
    size_t count;
    size_t capacity;
    struct mv_space_listener *listeners; /* the main thread's */
};

static void unlock(pthread_rwlock_t **lock)
{
    pthread_rwlock_unlock(*lock);
}

/* Hold the read side to the end of the function. */
#define READ_SCOPE(space)                                                                          \
    __attribute__((cleanup(unlock))) pthread_rwlock_t *read_scope = &(space)->lock;                \
    pthread_rwlock_rdlock(read_scope)

int mv_space_create(struct mv_space **ret, struct mv_error *err)
{
    struct mv_space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the guest-physical map");
    mv_rwlock_init(&space->lock);
    *ret = space;
    return 0;
}

void mv_space_destroy(struct mv_space *space)
{
    if (space == NULL)
        return;
    pthread_rwlock_destroy(&space->lock);
    free(space->ranges);
    free(space);
}

/* Index of the first range that ends above gpa. */
static size_t lower_bound(const struct mv_space *space, uint64_t gpa)
{
    size_t low = 0, high = space->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mv_range *range = &space->ranges[middle];
        if (range->gpa + (range->size - 1) < gpa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *range_name(const struct mv_range *range)
{
    return range->kind == MV_RANGE_RAM ? range->block->id : range->region->name;
}

static int insert_locked(struct mv_space *space, const struct mv_range *new, struct mv_error *err)
{
    size_t at = lower_bound(space, new->gpa);
    if (at < space->count && space->ranges[at].gpa <= new->gpa + (new->size - 1)) {
        const struct mv_range *old = &space->ranges[at];
        return mv_error_set(err, EEXIST,
                            "%s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at 0x%" PRIx64
                            "-0x%" PRIx64,
                            range_name(new), new->gpa, new->gpa + (new->size - 1), range_name(old),
                            old->gpa, old->gpa + (old->size - 1));
    }
    if (space->count == space->capacity) {
        size_t capacity = space->capacity ? 2 * space->capacity : 16;
        struct mv_range *ranges = reallocarray(space->ranges, capacity, sizeof *ranges);
        if (ranges == NULL)
            return mv_error_set(err, ENOMEM, "no memory for the guest-physical map");
        space->ranges = ranges;
        space->capacity = capacity;
    }
    memmove(&space->ranges[at + 1], &space->ranges[at],
            (space->count - at) * sizeof space->ranges[0]);
    space->ranges[at] = *new;
    space->count++;
    return 0;
}

static void notify(struct mv_space *space, uint64_t gpa, uint64_t size)
{
    for (struct mv_space_listener *l = space->listeners; l != NULL; l = l->next)
        l->changed(l, gpa, size);
}

static int insert(struct mv_space *space, const struct mv_range *new, struct mv_error *err)
{
    uint64_t end;
    if (new->size == 0 || mv_add_overflows(new->gpa, new->size, &end))
        return mv_error_set(err, EINVAL, "%s at 0x%" PRIx64 ": the range is empty or too large",
                            range_name(new), new->gpa);
    pthread_rwlock_wrlock(&space->lock);
    int r = insert_locked(space, new, err);
    pthread_rwlock_unlock(&space->lock);
    if (r == 0)
        notify(space, new->gpa, new->size);
    return r;
}

int mv_space_add_ram(struct mv_space *space, uint64_t gpa, struct mv_block *block, uint64_t offset,
                     uint64_t size, struct mv_error *err)
{
    if (offset > block->size || size > block->size - offset)
        return mv_error_set(err, EINVAL, "%s at 0x%" PRIx64 ": the range is longer than the block",
                            block->id, gpa);
    const struct mv_range ram = {gpa, size, MV_RANGE_RAM, .block = block, .offset = offset};
    return insert(space, &ram, err);
}

int mv_space_add_mmio(struct mv_space *space, uint64_t gpa, uint64_t size,
                      const struct mv_mmio_region *region, struct mv_error *err)
{
    const struct mv_range mmio = {gpa, size, MV_RANGE_MMIO, .region = region};
    return insert(space, &mmio, err);
}

void mv_space_remove(struct mv_space *space, uint64_t gpa)
{
    uint64_t size = 0;
    pthread_rwlock_wrlock(&space->lock);
    size_t at = lower_bound(space, gpa);
    if (at < space->count && space->ranges[at].gpa == gpa) {
        size = space->ranges[at].size;
        memmove(&space->ranges[at], &space->ranges[at + 1],
                (space->count - at - 1) * sizeof space->ranges[0]);
        space->count--;
    }
    pthread_rwlock_unlock(&space->lock);
    if (size != 0)
        notify(space, gpa, size);
}

void mv_space_listen(struct mv_space *space, struct mv_space_listener *listener)
{
    listener->next = space->listeners;
    space->listeners = listener;
}

void mv_space_unlisten(struct mv_space *space, struct mv_space_listener *listener)
{
    struct mv_space_listener **link = &space->listeners;
    while (*link != NULL && *link != listener)
        link = &(*link)->next;
    if (*link != NULL)
        *link = listener->next;
}

/* They hold the lock, so that none is under way while it is held for writing. */
void mv_space_await_copies(struct mv_space *space)
{
    pthread_rwlock_wrlock(&space->lock);
    pthread_rwlock_unlock(&space->lock);
}

void mv_space_settle(struct mv_space *space)
{
    mv_space_await_copies(space);
    for (struct mv_space_listener *l = space->listeners; l != NULL; l = l->next) {
        if (l->settle != NULL)
            l->settle(l);
    }
}

void mv_space_forget(struct mv_space *space)
{
    notify(space, 0, UINT64_MAX);
    mv_space_settle(space);
}

static const struct mv_range *find_locked(struct mv_space *space, uint64_t gpa)
{
    size_t at = lower_bound(space, gpa);
    if (at == space->count || space->ranges[at].gpa > gpa)
        return NULL;
    return &space->ranges[at];
}

bool mv_space_find(struct mv_space *space, uint64_t gpa, struct mv_range *ret)
{
    READ_SCOPE(space);
    const struct mv_range *range = find_locked(space, gpa);
    if (range != NULL)
        *ret = *range;
    return range != NULL;
}

bool mv_space_find_block(struct mv_space *space, const struct mv_block *block, uint64_t *ret_gpa)
{
    READ_SCOPE(space);
    for (size_t i = 0; i < space->count; i++) {
        const struct mv_range *range = &space->ranges[i];
        if (range->kind != MV_RANGE_RAM || range->block != block || range->offset != 0)
            continue;
        *ret_gpa = range->gpa;
        return true;
    }
    return false;
}

static uint64_t ram_run_locked(struct mv_space *space, uint64_t gpa)
{
    uint64_t run = 0;
    const struct mv_range *end = space->ranges + space->count;
    const struct mv_range *range = find_locked(space, gpa);
    while (range != NULL && range < end && range->kind == MV_RANGE_RAM && range->gpa <= gpa + run) {
        run = range->gpa + range->size - gpa;
        range++;
    }
    return run;
}

uint64_t mv_space_ram_run(struct mv_space *space, uint64_t gpa)
{
    READ_SCOPE(space);
    return ram_run_locked(space, gpa);
}

int mv_space_for_ram(struct mv_space *space, uint64_t gpa, uint64_t len, mv_space_ram_fn *fn,
                     void *opaque, uint64_t *ret_hole)
{
    READ_SCOPE(space);
    uint64_t run = ram_run_locked(space, gpa);
    if (run < len) {
        *ret_hole = gpa + run;
        return -EFAULT;
    }
    const struct mv_range *range = find_locked(space, gpa);
    int r = 0;
    for (; len > 0 && r == 0; range++) {
        uint64_t skip = gpa - range->gpa, part = range->size - skip;
        if (part > len)
            part = len;
        r = fn(opaque, range->block, range->offset + skip, part);
        gpa += part;
        len -= part;
    }
    return r;
}

/* These take a pointer to the host's bytes, which it moves on. */
static int read_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    uint8_t **buf = opaque;
    int r = mv_block_read(block, offset, *buf, len);
    *buf += len;
    return r;
}

static int write_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    const uint8_t **buf = opaque;
    int r = mv_block_write(block, offset, *buf, len);
    *buf += len;
    return r;
}

static int zero_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    return mv_block_zero(block, offset, len);
}

int mv_space_read(struct mv_space *space, uint64_t gpa, void *buf, uint64_t len)
{
    uint8_t *at = buf;
    uint64_t hole;
    return mv_space_for_ram(space, gpa, len, read_part, &at, &hole);
}

int mv_space_write(struct mv_space *space, uint64_t gpa, const void *buf, uint64_t len)
{
    const uint8_t *at = buf;
    uint64_t hole;
    return mv_space_for_ram(space, gpa, len, write_part, &at, &hole);
}

int mv_space_zero(struct mv_space *space, uint64_t gpa, uint64_t len)
{
    uint64_t hole;
    return mv_space_for_ram(space, gpa, len, zero_part, NULL, &hole);
}

int mv_space_for_each(struct mv_space *space, int (*fn)(const struct mv_range *range, void *opaque),
                      void *opaque)
{
    int r = 0;
    READ_SCOPE(space);
    for (size_t i = 0; i < space->count && r == 0; i++)
        r = fn(&space->ranges[i], opaque);
    return r;
}
