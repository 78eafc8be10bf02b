/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block whose bytes come to live in another object while vCPUs run: the
 * mapping changes in one step, and the descriptor keeps its number, which
 * others may know.  Main thread; called by devices.
 */
#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "size.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const struct mv_block *block, struct mv_backing *new, struct mv_error *err)
{
    static const struct mv_config_backing wish;
    const struct mv_backing_request request = {block->id, block->size, &wish, NULL};
    char has[MV_SIZE_TEXT], wants[MV_SIZE_TEXT];
    struct stat st;
    if (fstat(new->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    if ((uint64_t)st.st_size != block->size)
        return mv_error_set(err, EINVAL, "its memory has %s, and block %s has %s",
                            mv_size_format((uint64_t)st.st_size, has), block->id,
                            mv_size_format(block->size, wants));
    int r = mv_backing_fd_check(new, &request, "its memory", err);
    if (r == 0 && new->page_size != block->backing->page_size)
        return mv_error_set(err, EINVAL, "its memory has pages of %s, and block %s has pages of %s",
                            mv_size_format(new->page_size, has), block->id,
                            mv_size_format(block->backing->page_size, wants));
    return r;
}

int mv_block_replace_fd(struct mv_block *block, int fd, struct mv_error *err)
{
    struct mv_backing *old = block->backing;
    struct mv_backing new = {.fd = fd, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    int r = check(block, &new, err);
    if (r < 0 || (new.device == old->device && new.inode == old->inode))
        return r;
    /* What may fail comes before anything has changed, or can be taken back without failing. */
    CLEANUP_CLOSE int before = fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
    if (before < 0 || dup3(fd, old->fd, O_CLOEXEC) < 0)
        return mv_error_set_errno(err, errno, "block %s", block->id);
    r = mv_backing_mmap(&new, block->host, block->size, MAP_SHARED, err);
    if (r < 0) {
        dup3(before, old->fd, O_CLOEXEC);
        return r;
    }
    old->device = new.device;
    old->inode = new.inode;
    mv_dirty_mark(&block->log, 0, block->size);
    return 0;
}
