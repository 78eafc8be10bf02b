/* SPDX-License-Identifier: Apache-2.0 */
#include "space.h"

#include "block.h"
#include "size.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)

struct mv_space {
    pthread_rwlock_t lock;
    struct mv_range *ranges; /* sorted by gpa, without overlap */
    size_t count;
    size_t capacity;
    struct mv_space_listener *listeners; /* the main thread's */
};

int mv_space_create(struct mv_space **ret, struct mv_error *err)
{
    struct mv_space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the guest-physical map");
    pthread_rwlock_init(&space->lock, NULL);
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
        return mv_error_set(err, EEXIST, "%s at 0x%llx-0x%llx overlaps %s at 0x%llx-0x%llx",
                            range_name(new), (unsigned long long)new->gpa,
                            (unsigned long long)(new->gpa + (new->size - 1)), range_name(old),
                            (unsigned long long)old->gpa,
                            (unsigned long long)(old->gpa + (old->size - 1)));
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
    uint64_t last;
    if (new->size == 0 || mv_add_overflows(new->gpa, new->size - 1, &last))
        return mv_error_set(err, EINVAL, "%s at 0x%llx: the range is empty or too large",
                            range_name(new), (unsigned long long)new->gpa);
    pthread_rwlock_wrlock(&space->lock);
    int r = insert_locked(space, new, err);
    pthread_rwlock_unlock(&space->lock);
    if (r == 0)
        notify(space, new->gpa, new->size);
    return r;
}

int mv_space_add_ram(struct mv_space *space, uint64_t gpa, struct mv_block *block,
                     uint64_t offset, uint64_t size, struct mv_error *err)
{
    return insert(space,
                  &(struct mv_range){.gpa = gpa,
                                     .size = size,
                                     .kind = MV_RANGE_RAM,
                                     .block = block,
                                     .offset = offset},
                  err);
}

int mv_space_add_mmio(struct mv_space *space, uint64_t gpa, uint64_t size,
                      const struct mv_mmio_region *region, struct mv_error *err)
{
    return insert(
        space,
        &(struct mv_range){.gpa = gpa, .size = size, .kind = MV_RANGE_MMIO, .region = region},
        err);
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

static const struct mv_range *find_locked(struct mv_space *space, uint64_t gpa)
{
    size_t at = lower_bound(space, gpa);
    if (at == space->count || space->ranges[at].gpa > gpa)
        return NULL;
    return &space->ranges[at];
}

bool mv_space_find(struct mv_space *space, uint64_t gpa, struct mv_range *ret)
{
    pthread_rwlock_rdlock(&space->lock);
    const struct mv_range *range = find_locked(space, gpa);
    if (range != NULL)
        *ret = *range;
    pthread_rwlock_unlock(&space->lock);
    return range != NULL;
}

uint64_t mv_space_ram_run(struct mv_space *space, uint64_t gpa)
{
    uint64_t run = 0;
    pthread_rwlock_rdlock(&space->lock);
    const struct mv_range *end = space->ranges + space->count;
    const struct mv_range *range = find_locked(space, gpa);
    while (range != NULL && range < end && range->kind == MV_RANGE_RAM &&
           range->gpa <= gpa + run) {
        run = range->gpa + range->size - gpa;
        range++;
    }
    pthread_rwlock_unlock(&space->lock);
    return run;
}

/*
 * Guest RAM is shared with running vCPUs, so whole aligned words are copied as
 * relaxed atomics; the ends byte by byte.
 */
static void copy_relaxed(uint8_t *to, const uint8_t *from, uint64_t len)
{
    uint64_t i = 0;
    if (((uintptr_t)to & 7) == 0 && ((uintptr_t)from & 7) == 0)
        for (; i + 8 <= len; i += 8)
            __atomic_store_n((uint64_t *)(to + i),
                             __atomic_load_n((const uint64_t *)(from + i), __ATOMIC_RELAXED),
                             __ATOMIC_RELAXED);
    for (; i < len; i++)
        __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

static void copy_out(uint8_t *host, uint8_t *buf, uint64_t len)
{
    copy_relaxed(buf, host, len);
}

static void copy_in(uint8_t *host, uint8_t *buf, uint64_t len)
{
    copy_relaxed(host, buf, len);
}

static void zero(uint8_t *host, uint8_t *buf, uint64_t len)
{
    (void)buf;
    uint8_t *first = (uint8_t *)mv_align_up((uintptr_t)host, PAGE);
    uint8_t *last = (uint8_t *)(((uintptr_t)host + len) & ~(uintptr_t)(PAGE - 1));
    if (first < last && madvise(first, (size_t)(last - first), MADV_DONTNEED) == 0) {
        memset(host, 0, (size_t)(first - host));
        memset(last, 0, (size_t)(host + len - last));
    } else {
        memset(host, 0, len);
    }
}

/* Apply fn to each stretch of host memory behind a run of RAM. */
static int for_ram(struct mv_space *space, uint64_t gpa, uint64_t len, uint8_t *buf,
                   void (*fn)(uint8_t *host, uint8_t *buf, uint64_t len))
{
    if (len == 0)
        return 0;
    if (mv_space_ram_run(space, gpa) < len)
        return -EFAULT;
    pthread_rwlock_rdlock(&space->lock);
    const struct mv_range *range = find_locked(space, gpa);
    while (len > 0) {
        uint64_t skip = gpa - range->gpa, part = range->size - skip;
        if (part > len)
            part = len;
        fn(range->block->host + range->offset + skip, buf, part);
        gpa += part;
        len -= part;
        if (buf != NULL)
            buf += part;
        range++;
    }
    pthread_rwlock_unlock(&space->lock);
    return 0;
}

int mv_space_read(struct mv_space *space, uint64_t gpa, void *buf, uint64_t len)
{
    return for_ram(space, gpa, len, buf, copy_out);
}

int mv_space_write(struct mv_space *space, uint64_t gpa, const void *buf, uint64_t len)
{
    return for_ram(space, gpa, len, (uint8_t *)(uintptr_t)buf, copy_in);
}

int mv_space_zero(struct mv_space *space, uint64_t gpa, uint64_t len)
{
    return for_ram(space, gpa, len, NULL, zero);
}

int mv_space_for_each(struct mv_space *space,
                      int (*fn)(const struct mv_range *range, void *opaque), void *opaque)
{
    int r = 0;
    pthread_rwlock_rdlock(&space->lock);
    for (size_t i = 0; i < space->count && r == 0; i++)
        r = fn(&space->ranges[i], opaque);
    pthread_rwlock_unlock(&space->lock);
    return r;
}
