/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explains a fault by what the host says of the backing afterwards: SIGBUS
 * itself tells no more than the address.  No state; called by the machine.
 */
#include "block-fault.h"

#include "backing.h"
#include "block.h"
#include "size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <linux/magic.h>
#include <sys/statfs.h>

static bool explain_shrunk(const struct mv_block *block, uint64_t offset, uint64_t file_size,
                           struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    char now[MV_SIZE_TEXT], whole[MV_SIZE_TEXT], argument[MV_BACKING_SIZE_ARGUMENT];
    char quoted[MV_BACKING_QUOTED];
    if (file_size > backing->offset + offset)
        return false;
    uint64_t end = backing->offset + block->size;
    ret->reason = "shrunk";
    mv_error_set(&ret->what, EIO, "block %s has no byte 0x%" PRIx64 ": %s%s was shrunk to %s, not %s",
                 block->id, offset, backing->path == NULL ? "its memory" : "file ",
                 backing->path == NULL ? "" : backing->path, mv_size_format(file_size, now),
                 mv_size_format(end, whole));
    if (backing->path == NULL)
        mv_error_set(&ret->remedy, EIO, "give it back its size and bytes");
    else
        mv_error_set(&ret->remedy, EIO, "make it whole again (truncate -s %s %s, and its bytes)",
                     mv_backing_size_argument(end, argument),
                     mv_backing_quote_inside(backing->path, quoted));
    return true;
}

static bool explain_full(const struct mv_block *block, uint64_t offset, struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    char page[MV_SIZE_TEXT];
    struct statfs fs;
    if (backing->device_node || fstatfs(backing->fd, &fs) < 0)
        return false;
    if (fs.f_type == HUGETLBFS_MAGIC) {
        ret->reason = "no-huge-page";
        mv_error_set(&ret->what, EIO, "block %s has no byte 0x%" PRIx64
                     ": no huge page of %s is left in the host's pool",
                     block->id, offset, mv_size_format(backing->page_size, page));
        mv_error_set(&ret->remedy, EIO, "enlarge the pool (sysctl vm.nr_hugepages)");
        return true;
    }
    /* What is left may be too little for a page and what leads to it. */
    if (fs.f_blocks == 0 || fs.f_bavail * (uint64_t)fs.f_bsize > 16 * backing->page_size)
        return false;
    ret->reason = "no-space";
    mv_error_set(&ret->what, EIO,
                 "block %s has no byte 0x%" PRIx64 ": the file system of %s is full", block->id,
                 offset, backing->path == NULL ? "its memory" : backing->path);
    mv_error_set(&ret->remedy, EIO, "free some space there");
    return true;
}

void mv_block_fault_explain(const struct mv_block *block, uint64_t offset,
                            struct mv_block_fault *ret)
{
    const struct mv_backing *backing = block->backing;
    uint64_t file_size;
    bool known = backing->fd >= 0 && mv_backing_fd_size(backing->fd, &file_size) == 0 &&
                 (explain_shrunk(block, offset, file_size, ret) ||
                  explain_full(block, offset, ret));
    if (known)
        return;
    ret->reason = "io-error";
    mv_error_set(&ret->what, EIO, "block %s: the host can neither read nor write byte 0x%" PRIx64
                 "%s%s", block->id, offset, backing->path == NULL ? "" : " of ",
                 backing->path == NULL ? "" : backing->path);
    mv_error_set(&ret->remedy, EIO, "see the log of the host's kernel (dmesg)");
}
