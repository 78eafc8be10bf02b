/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault is explained by what the host says of the backing afterwards: SIGBUS
 * itself tells no more than the address.  No state and no lock.
 */
#include "block-info.h"

#include "backing.h"
#include "block.h"
#include "host-map.h"
#include "host-pages.h"
#include "size.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

int mv_block_describe(const struct mv_block *block, struct mv_block_info *ret, struct mv_error *err)
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
        .backing = backing->kind->name,
        .path = backing->path,
        .part = backing->part,
        .offset = backing->offset,
        .share = backing->share || backing->writes_back,
        .from_source = mv_paging_source_name(block) != NULL,
        .absent = mv_paging_absent(block),
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

const char *mv_block_keys(const struct mv_block *block)
{
    return block->backing->keys;
}

bool mv_block_identify(const struct mv_block *block, struct mv_block_file *ret)
{
    const struct mv_backing *backing = block->backing;
    uint64_t size;
    if (backing->path == NULL || mv_backing_fd_size(backing->fd, &size) < 0)
        return false;
    *ret = (struct mv_block_file){backing->path, size, backing->device, backing->inode,
                                  backing->share};
    return true;
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
    return mv_host_pages_residency(block->host, block->size, parts, ret_bytes, err);
}

/* --- faults */

static bool explain_shrunk(const struct mv_block *block, uint64_t offset, uint64_t file_size,
                           struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    const char *path = backing->path;
    if (file_size > backing->offset + offset)
        return false;
    uint64_t end = backing->offset + block->size;
    ret->reason = "shrunk";
    mv_error_set(&ret->what, EIO,
                 "block %s has no byte 0x%" PRIx64 ": %s%s was shrunk to %s, not %s", block->id,
                 offset, path == NULL ? "its memory" : "file ", path == NULL ? "" : path,
                 mv_size_text(file_size), mv_size_text(end));
    if (path == NULL)
        mv_error_set(&ret->remedy, EIO, "give it back its size and bytes");
    else
        mv_error_set(&ret->remedy, EIO, "make it whole again (truncate -s %s %s, and its bytes)",
                     mv_argument_text(end), mv_quoted_text(path, true));
    return true;
}

static bool explain_full(const struct mv_block *block, uint64_t offset, struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    struct statfs fs;
    if (backing->device_node || fstatfs(backing->fd, &fs) < 0)
        return false;
    if (fs.f_type == HUGETLBFS_MAGIC) {
        ret->reason = "no-huge-page";
        mv_error_set(&ret->what, EIO,
                     "block %s has no byte 0x%" PRIx64
                     ": no huge page of %s is left in the host's pool",
                     block->id, offset, mv_size_text(backing->page_size));
        mv_error_set(&ret->remedy, EIO, "enlarge the pool (sysctl vm.nr_hugepages)");
        return true;
    }
    /*
     * A file system can be full although some bytes are free: a page may need more than one
     * block.
     */
    if (fs.f_blocks == 0 || fs.f_bavail * (uint64_t)fs.f_bsize > 16 * backing->page_size)
        return false;
    ret->reason = "no-space";
    mv_error_set(&ret->what, EIO,
                 "block %s has no byte 0x%" PRIx64 ": the file system of %s is full", block->id,
                 offset, backing->path == NULL ? "its memory" : backing->path);
    mv_error_set(&ret->remedy, EIO, "free some space there");
    return true;
}

static bool explain_absent(const struct mv_block *block, uint64_t offset,
                           struct mv_block_fault *ret)
{
    struct mv_error why;
    if (!mv_paging_explain(block, offset, &why, &ret->remedy))
        return false;
    ret->reason = "source-lost";
    mv_error_set(&ret->what, EIO, "block %s has no byte 0x%" PRIx64 ": %s: %s", block->id, offset,
                 mv_paging_source_name(block), why.text);
    return true;
}

void mv_block_fault_explain(const struct mv_block *block, uint64_t offset,
                            struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    uint64_t file_size;
    if (explain_absent(block, offset, ret))
        return;
    if (backing->fd >= 0 && mv_backing_fd_size(backing->fd, &file_size) == 0 &&
        (explain_shrunk(block, offset, file_size, ret) || explain_full(block, offset, ret)))
        return;
    ret->reason = "io-error";
    mv_error_set(&ret->what, EIO,
                 "block %s: the host can neither read nor write byte 0x%" PRIx64 "%s%s", block->id,
                 offset, backing->path == NULL ? "" : " of ",
                 backing->path == NULL ? "" : backing->path);
    mv_error_set(&ret->remedy, EIO, "see the log of the host's kernel (dmesg)");
}
