/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses of devices to guest memory.  `allowed` is looked at under the space's
 * lock: whoever clears it waits for all that have taken that lock, and knows
 * that none of them goes on.
 */
#include "dma.h"

#include "block.h"
#include "size.h"
#include "space.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/uio.h>

void mv_dma_init(struct mv_dma *dma, struct mv_space *space)
{
    dma->space = space;
    atomic_store(&dma->allowed, false);
    atomic_store(&dma->misses, 0);
}

void mv_dma_allow(struct mv_dma *dma, bool allowed)
{
    if (atomic_exchange(&dma->allowed, allowed) && !allowed)
        mv_space_await_copies(dma->space);
}

/* --- one access */

/* What is done to each part of it. */
struct access {
    const struct mv_dma *dma;
    mv_space_ram_fn *fn;
    void *opaque;
};

static int access_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    const struct access *access = opaque;
    return mv_dma_is_allowed(access->dma) ? access->fn(access->opaque, block, offset, len)
                                          : -EACCES;
}

static int refuse(struct mv_dma *dma, int error, uint64_t gpa, uint64_t len, uint64_t hole,
                  struct mv_error *err)
{
    char size[MV_SIZE_TEXT];
    mv_size_format(len, size);
    if (error == -EFAULT) {
        atomic_fetch_add_explicit(&dma->misses, 1, memory_order_relaxed);
        return mv_error_set(err, EFAULT,
                            "DMA of %s at 0x%" PRIx64 ": 0x%" PRIx64 " is no memory of the guest's",
                            size, gpa, hole);
    }
    return mv_error_set(err, -error, "DMA of %s at 0x%" PRIx64 ": %s", size, gpa,
                        error == -EACCES   ? "the device is no master of its bus"
                        : error == -ENOMEM ? "no memory for it"
                                           : "the host has not got the memory");
}

static int access_range(struct mv_dma *dma, uint64_t gpa, uint64_t len, mv_space_ram_fn *fn,
                        void *opaque, struct mv_error *err)
{
    struct access access = {dma, fn, opaque};
    uint64_t hole = 0;
    int r = -EACCES;
    if (mv_dma_is_allowed(dma))
        r = mv_space_for_ram(dma->space, gpa, len, access_part, &access, &hole);
    return r < 0 ? refuse(dma, r, gpa, len, hole, err) : 0;
}

/* --- copies */

static int read_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    uint8_t **at = opaque;
    int r = mv_block_read(block, offset, *at, len);
    *at += len;
    return r;
}

int mv_dma_read(struct mv_dma *dma, uint64_t gpa, void *buf, uint64_t len, struct mv_error *err)
{
    uint8_t *at = buf;
    return access_range(dma, gpa, len, read_part, &at, err);
}

static int write_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    const uint8_t **at = opaque;
    int r = mv_block_write(block, offset, *at, len);
    *at += len;
    return r;
}

int mv_dma_write(struct mv_dma *dma, uint64_t gpa, const void *buf, uint64_t len,
                 struct mv_error *err)
{
    const uint8_t *at = buf;
    return access_range(dma, gpa, len, write_part, &at, err);
}

/* --- single values */

struct value {
    bool is_store, is_ordered;
    unsigned size;
    uint64_t value;
};

/* Blocks and their ranges are of whole pages, so that what is aligned is in one of them. */
static int access_value(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    struct value *v = opaque;
    return v->is_store ? mv_block_store(block, offset, v->size, v->is_ordered, v->value)
                       : mv_block_load(block, offset, v->size, v->is_ordered, &v->value);
}

static int single(struct mv_dma *dma, uint64_t gpa, struct value *value, struct mv_error *err)
{
    unsigned size = value->size;
    if ((size != 1 && size != 2 && size != 4 && size != 8) || gpa % size != 0)
        return mv_error_set(err, EINVAL, "DMA of %u bytes at 0x%" PRIx64 ": that is not aligned",
                            size, gpa);
    return access_range(dma, gpa, size, access_value, value, err);
}

int mv_dma_load(struct mv_dma *dma, uint64_t gpa, unsigned size, bool acquire, uint64_t *ret,
                struct mv_error *err)
{
    struct value value = {false, acquire, size, 0};
    int r = single(dma, gpa, &value, err);
    if (r == 0)
        *ret = value.value;
    return r;
}

int mv_dma_store(struct mv_dma *dma, uint64_t gpa, unsigned size, bool release, uint64_t value,
                 struct mv_error *err)
{
    return single(dma, gpa, &(struct value){true, release, size, value}, err);
}

/* --- lists */

void mv_dma_list_init(struct mv_dma_list *list, struct mv_dma *dma, bool is_written)
{
    *list = (struct mv_dma_list){.dma = dma, .is_written = is_written};
}

static int make_room(struct mv_dma_list *list)
{
    unsigned capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    if (list->count < list->capacity)
        return 0;
    struct iovec *iov = reallocarray(list->iov, capacity, sizeof *iov);
    if (iov != NULL)
        list->iov = iov;
    struct mv_block **block = reallocarray(list->block, capacity, sizeof *block);
    if (block != NULL)
        list->block = block;
    if (iov == NULL || block == NULL)
        return -ENOMEM;
    list->capacity = capacity;
    return 0;
}

static int add_part(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len)
{
    struct mv_dma_list *list = opaque;
    int r = make_room(list);
    if (r < 0)
        return r;
    mv_block_pin(block);
    r = mv_paging_need(&block->paging, offset, len);
    if (r < 0) {
        mv_block_unpin(block);
        return r;
    }
    mv_touch_mark(&block->touch, offset, len);
    list->iov[list->count] = (struct iovec){block->host + offset, len};
    list->block[list->count] = block;
    list->count++;
    list->len += len;
    return 0;
}

/* Take back the parts from `first` on. */
static void drop_parts(struct mv_dma_list *list, unsigned first)
{
    while (list->count > first) {
        list->count--;
        list->len -= list->iov[list->count].iov_len;
        mv_block_unpin(list->block[list->count]);
    }
}

int mv_dma_list_add(struct mv_dma_list *list, uint64_t gpa, uint64_t len, struct mv_error *err)
{
    unsigned first = list->count;
    int r = access_range(list->dma, gpa, len, add_part, list, err);
    if (r < 0)
        drop_parts(list, first);
    return r;
}

void mv_dma_list_end(struct mv_dma_list *list, uint64_t written)
{
    for (unsigned i = 0; i < list->count && written > 0 && list->is_written; i++) {
        struct mv_block *block = list->block[i];
        uint64_t len = list->iov[i].iov_len;
        uint64_t part = written < len ? written : len;
        mv_dirty_mark(&block->log, (uint64_t)((uint8_t *)list->iov[i].iov_base - block->host),
                      part);
        written -= part;
    }
    drop_parts(list, 0);
}

void mv_dma_list_clear(struct mv_dma_list *list)
{
    drop_parts(list, 0);
    free(list->iov);
    free(list->block);
    *list = (struct mv_dma_list){.dma = list->dma, .is_written = list->is_written};
}
