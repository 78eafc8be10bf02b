/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Describes blocks.  A block's fields do not change and the host's kernel
 * counts the pages, so there is no state and no lock.
 */
#include "block-info.h"

#include "backing.h"
#include "block.h"
#include "host-map.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int mv_block_describe(const struct mv_block *block, struct mv_block_info *ret,
                      struct mv_error *err)
{
    const struct mv_backing *backing = block->backing;
    struct mv_host_map map;
    int r = mv_host_map_measure(block->host, block->size, &map, err);
    if (r < 0)
        return r;
    *ret = (struct mv_block_info){
        .id = block->id,
        .device = block->path,
        .generation = block->generation,
        .size = block->size,
        .backing = backing->ops->kind,
        .path = backing->path,
        .part = backing->part,
        .offset = backing->offset,
        .share = backing->share,
        .save = block->save,
        .page_size = backing->page_size,
        .resident = map.resident,
        .huge = map.huge,
        .locked = mv_backing_is_huge(backing) ? map.resident >= block->size
                                              : (map.all & MV_HOST_MAP_LOCKED) != 0,
        .merge = (map.all & MV_HOST_MAP_MERGEABLE) != 0,
        .dump = (map.any & MV_HOST_MAP_NO_DUMP) == 0,
        .thp = (map.all & MV_HOST_MAP_HUGE) != 0,
        .no_thp = (map.all & MV_HOST_MAP_NO_HUGE) != 0,
    };
    mv_numa_policy_describe(block, &ret->numa);
    return 0;
}

bool mv_block_share(const struct mv_block *block, struct mv_block_handle *ret)
{
    const struct mv_backing *backing = block->backing;
    if (!backing->share || backing->fd < 0)
        return false;
    *ret = (struct mv_block_handle){backing->fd, backing->offset};
    return true;
}

char *mv_block_map_path(const struct mv_block *block)
{
    struct mv_block_handle handle;
    char *path;
    /* Whoever follows a link maps from the start. */
    if (!mv_block_share(block, &handle) || handle.offset != 0)
        return NULL;
    if (block->backing->path != NULL)
        return strdup(block->backing->path);
    return asprintf(&path, "/proc/%d/fd/%d", (int)getpid(), handle.fd) < 0 ? NULL : path;
}

int mv_block_residency(const struct mv_block *block, size_t parts, uint64_t *ret_bytes,
                       struct mv_error *err)
{
    return mv_host_map_residency(block->host, block->size, parts, ret_bytes, err);
}
