/* SPDX-License-Identifier: Apache-2.0 */
#include "ram-reflink.h"

#include "block-info.h"
#include "block-populated.h"
#include "block.h"
#include "paging.h"
#include "size.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/*
 * The host's kernel writes the file's changes to the disk first, and has writers of it wait
 * meanwhile: for no longer than this takes.
 */
#define STEP (64 * MV_MIB)

static bool is_cancelled(const struct mv_ram_reflink_params *params)
{
    return params->cancelled != NULL && atomic_load(params->cancelled);
}

static int take_over(const struct mv_ram_source *source, const struct mv_block_handle *handle,
                     const struct mv_ram_extent *extent, int fd)
{
    const struct file_clone_range range = {
        .src_fd = handle->fd,
        .src_offset = handle->offset + extent->start,
        .src_length = extent->end - extent->start,
        .dest_offset = source->offset + extent->start,
    };
    int r;
    do
        r = ioctl(fd, FICLONERANGE, &range);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* The next extent of data that is to be taken over in one step: 1, or 0, or an error. */
static int next_extent(struct mv_block_populated *populated, uint64_t at, uint64_t size,
                       struct mv_ram_extent *ret, struct mv_error *err)
{
    uint64_t len;
    int r = mv_block_populated_next(populated, &at, &len, err);
    if (r == 1)
        *ret = (struct mv_ram_extent){at, at + len < size ? at + len : size};
    if (r == 1 && ret->end > at - at % STEP + STEP)
        ret->end = at - at % STEP + STEP;
    return r;
}

/* One after another, up to the end or the first that fails: whether all are there. */
static bool take_all(struct mv_ram_source *source, const struct mv_block *block,
                     const struct mv_block_handle *handle,
                     const struct mv_ram_reflink_params *params)
{
    struct mv_block_populated *populated;
    struct mv_ram_extent extent = {0};
    struct mv_error ignored; /* whoever copies will tell */
    int r = 1;
    if (mv_block_populated_open(block, &populated, &ignored) < 0)
        return false;
    while (r == 1 && !is_cancelled(params)) {
        r = next_extent(populated, extent.end, source->size, &extent, &ignored);
        if (r == 1 && (source->extent_count == MV_RAM_EXTENTS ||
                       take_over(source, handle, &extent, params->fd) < 0))
            r = -EOPNOTSUPP;
        if (r == 1)
            source->extents[source->extent_count++] = extent;
    }
    mv_block_populated_close(populated);
    return r == 0;
}

/* Holes again, as who copies expects them. */
static int give_up(struct mv_ram_source *source, const struct mv_ram_reflink_params *params,
                   struct mv_error *err)
{
    bool any = source->extent_count > 0;
    free(source->extents);
    source->extents = NULL;
    source->extent_count = 0;
    if (any && fallocate(params->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (off_t)source->offset, (off_t)source->size) < 0)
        return mv_error_set_errno(err, errno, "block %s: its place in '%s' cannot be emptied",
                                  source->id, params->file);
    return 0;
}

int mv_ram_reflink(struct mv_ram_source *source, const struct mv_ram_reflink_params *params,
                   struct mv_error *err)
{
    struct mv_block_handle handle;
    struct mv_ram_hold hold;
    if (source->registry == NULL || source->partial)
        return 0;
    int r = mv_ram_source_hold(source, &hold, err);
    if (r < 0)
        return r;
    /* What is absent (paging.h) has to be fetched, as who copies does. */
    if (mv_paging_absent(hold.block) == 0 && mv_block_share(hold.block, &handle)) {
        source->extents = malloc(MV_RAM_EXTENTS * sizeof *source->extents);
        if (source->extents == NULL || !take_all(source, hold.block, &handle, params) ||
            source->extent_count == 0)
            r = give_up(source, params, err);
    }
    mv_ram_source_release(&hold);
    return r;
}
