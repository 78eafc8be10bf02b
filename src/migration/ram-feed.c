/* SPDX-License-Identifier: Apache-2.0 */
#include "ram-feed.h"

#include "block-info.h"
#include "block-populated.h"
#include "block.h"
#include "cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- sources */

int mv_ram_source_make(struct mv_ram_source *source, const struct mv_ram_part *part,
                       struct mv_space *space, struct mv_error *err)
{
    const struct mv_block *block = part->block;
    const char *id = block != NULL ? block->id : part->id;
    *source = (struct mv_ram_source){
        .id = strdup(id),
        .registry = block != NULL ? block->registry : NULL,
        .generation = block != NULL ? block->generation : 0,
        .bytes = part->bytes,
        .size = block != NULL ? block->size : part->size,
        .offset = part->offset,
    };
    if (source->id == NULL)
        return mv_error_set(err, ENOMEM, "no memory to copy block %s", id);
    return block == NULL || space == NULL
               ? 0
               : mv_dirty_cursor_open(space, part->block, &source->cursor, err);
}

void mv_ram_source_clear(struct mv_ram_source *source)
{
    if (source->partial && source->cursor != NULL)
        mv_dirty_cursor_return(source->cursor, source->pages);
    else
        mv_dirty_cursor_close(source->cursor);
    free(source->extents);
    free(source->pages);
    free(source->id);
    *source = (struct mv_ram_source){0};
}

int mv_ram_source_refuse_gone(const struct mv_ram_source *source, struct mv_error *err)
{
    return mv_error_set(err, ESTALE, "block %s is gone: its device was unplugged meanwhile",
                        source->id);
}

int mv_ram_source_hold(const struct mv_ram_source *source, struct mv_ram_hold *ret,
                       struct mv_error *err)
{
    *ret = (struct mv_ram_hold){.bytes = source->bytes};
    if (source->registry == NULL)
        return 0;
    ret->block = mv_block_pin_generation(source->registry, source->id, source->generation);
    if (ret->block == NULL)
        return mv_ram_source_refuse_gone(source, err);
    ret->bytes = ret->block->host;
    return 0;
}

void mv_ram_source_release(const struct mv_ram_hold *hold)
{
    if (hold->block != NULL)
        mv_block_unpin(hold->block);
}

static int refuse_read(const struct mv_ram_source *source, const struct mv_ram_hold *hold,
                       uint64_t offset, struct mv_error *err)
{
    struct mv_block_fault fault;
    if (hold->block == NULL)
        return mv_error_set(err, EIO, "%s: the host cannot read byte 0x%" PRIx64, source->id,
                            offset);
    mv_block_fault_explain(hold->block, offset, &fault);
    return mv_error_set(err, EIO, "%s: %s", fault.what.text, fault.remedy.text);
}

int mv_ram_source_read(const struct mv_ram_source *source, const struct mv_ram_hold *hold,
                       uint64_t offset, void *buf, uint64_t len, const atomic_bool *cancelled,
                       struct mv_error *err)
{
    struct mv_block *block = hold->block;
    uint64_t absent = offset, rest;
    int r = block == NULL ? 0 : mv_paging_fetch(&block->paging, offset, len, cancelled);
    if (r == -ECANCELED)
        return mv_error_set(err, ECANCELED, "cancelled");
    if (r < 0) {
        mv_paging_next_absent(block, &absent, &rest);
        return refuse_read(source, hold, absent, err);
    }
    const uint8_t *failed = mv_memory_copy_out(buf, hold->bytes + offset, len);
    return failed == NULL ? 0 : refuse_read(source, hold, (uint64_t)(failed - hold->bytes), err);
}

/* --- feeds */

void mv_ram_feed_init(struct mv_ram_feed *feed, const struct mv_ram_source *sources, size_t count,
                      bool all)
{
    *feed = (struct mv_ram_feed){.sources = sources, .count = count, .all = all};
    pthread_mutex_init(&feed->lock, NULL);
}

void mv_ram_feed_end(struct mv_ram_feed *feed)
{
    mv_block_populated_close(feed->populated);
    pthread_mutex_destroy(&feed->lock);
}

static int open_populated(struct mv_ram_feed *feed, const struct mv_ram_source *source,
                          struct mv_error *err)
{
    struct mv_ram_hold hold;
    int r = mv_ram_source_hold(source, &hold, err);
    if (r < 0)
        return r;
    r = mv_block_populated_open(hold.block, &feed->populated, err);
    mv_ram_source_release(&hold);
    return r;
}

/* As find: they are in ascending order. */
static int find_extent(const struct mv_ram_source *source, uint64_t *io_offset, uint64_t *ret_len)
{
    size_t low = 0, high = source->extent_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (source->extents[middle].end <= *io_offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == source->extent_count)
        return 0;
    const struct mv_ram_extent *extent = &source->extents[low];
    *io_offset = extent->start > *io_offset ? extent->start : *io_offset;
    *ret_len = extent->end - *io_offset;
    return 1;
}

/* The first run of the source at or behind *io_offset: 1, 0 where there is none, or an error. */
static int find(struct mv_ram_feed *feed, const struct mv_ram_source *source, uint64_t *io_offset,
                uint64_t *ret_len, struct mv_error *err)
{
    if (!feed->all)
        return source->cursor != NULL && mv_dirty_cursor_next(source->cursor, io_offset, ret_len);
    if (source->partial)
        return 0;
    if (source->extents != NULL)
        return find_extent(source, io_offset, ret_len);
    if (source->registry == NULL) {
        *ret_len = source->size - *io_offset;
        return *ret_len > 0;
    }
    int r = feed->populated == NULL ? open_populated(feed, source, err) : 0;
    return r < 0 ? r : mv_block_populated_next(feed->populated, io_offset, ret_len, err);
}

static void add_run(struct mv_ram_work *work, uint64_t start, uint64_t end)
{
    if (work->count > 0 && work->runs[work->count - 1].end == start)
        work->runs[work->count - 1].end = (uint32_t)end;
    else
        work->runs[work->count++] = (struct mv_ram_run){(uint32_t)start, (uint32_t)end};
}

/* All runs of the chunk in which the one at `offset` begins. */
static int collect(struct mv_ram_feed *feed, const struct mv_ram_source *source, uint64_t offset,
                   uint64_t len, struct mv_ram_work *work, struct mv_error *err)
{
    uint64_t start = offset - offset % MV_RAM_CHUNK, left = source->size - start, bytes = 0;
    int r = 1;
    work->source = source;
    work->offset = start;
    work->len = left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK;
    work->count = 0;
    uint64_t end = start + work->len;
    while (r == 1 && offset < end) {
        uint64_t stop = len < end - offset ? offset + len : end;
        add_run(work, offset - start, stop - start);
        bytes += stop - offset;
        feed->at = offset = stop;
        r = find(feed, source, &offset, &len, err);
    }
    work->weight = feed->all ? end - feed->weighed : bytes;
    feed->weighed = end;
    return r < 0 ? r : 1;
}

int mv_ram_feed_take(struct mv_ram_feed *feed, struct mv_ram_work *ret, struct mv_error *err)
{
    MV_LOCK_SCOPE(&feed->lock);
    while (feed->next < feed->count) {
        const struct mv_ram_source *source = &feed->sources[feed->next];
        uint64_t offset = feed->at, len;
        int r = find(feed, source, &offset, &len, err);
        if (r < 0)
            return r;
        if (r == 1)
            return collect(feed, source, offset, len, ret, err);
        mv_block_populated_close(feed->populated);
        feed->populated = NULL;
        feed->next++;
        feed->at = feed->weighed = 0;
    }
    return 0;
}
