/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice among the kinds of backings, and what all of them do alike.  No
 * state and no lock; called by block.c and by the kinds.
 */
#include "backing.h"

#include "host-map.h"
#include "size.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static bool wants_fd(const struct mv_backing_request *request)
{
    return request->wish->has_fd;
}

static bool wants_file(const struct mv_backing_request *request)
{
    return request->wish->file != NULL;
}

static bool wants_hugetlb(const struct mv_backing_request *request)
{
    return request->wish->hugetlb != 0;
}

static bool wants_memfd(const struct mv_backing_request *request)
{
    return request->wish->memfd;
}

/* Shared memory without a name of its own, or a folder for all RAM. */
static bool wants_temporary(const struct mv_backing_request *request)
{
    return request->wish->share == MV_SWITCH_ON || request->mem_dir != NULL;
}

static bool wants_anonymous(const struct mv_backing_request *request)
{
    (void)request;
    return true;
}

/* The first that wants the request gets it. */
static const struct {
    bool (*wants)(const struct mv_backing_request *request);
    const struct mv_backing_ops *ops;
} choices[] = {
    {wants_fd, &mv_backing_parent_fd},   {wants_file, &mv_backing_file},
    {wants_hugetlb, &mv_backing_hugetlb}, {wants_memfd, &mv_backing_memfd},
    {wants_temporary, &mv_backing_file}, {wants_anonymous, &mv_backing_anonymous},
};

const struct mv_backing_ops *mv_backing_choose(const struct mv_backing_request *request)
{
    size_t i = 0;
    while (!choices[i].wants(request))
        i++;
    return choices[i].ops;
}

int mv_backing_open(const struct mv_backing_request *request, struct mv_backing **ret,
                    struct mv_error *err)
{
    struct mv_backing *backing = calloc(1, sizeof *backing);
    if (backing == NULL)
        return mv_error_set(err, ENOMEM, "no memory for a backing");
    backing->ops = mv_backing_choose(request);
    backing->fd = -1;
    backing->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    backing->same_file = request->wish->same_file;
    backing->part = request->wish->has_offset;
    backing->offset = request->wish->offset;
    int r = backing->ops->open == NULL ? 0 : backing->ops->open(backing, request, err);
    if (r < 0)
        backing->ops->close(backing);
    else
        *ret = backing;
    return r;
}

/*
 * A file that was made, or made longer, for a block that could not be made is put back as
 * it was. If the lock on all of it is refused, others use it already, and it stays.
 */
static void undo(struct mv_backing *backing)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool locked = fcntl(backing->fd, F_OFD_SETLK, &all) == 0;
    bool in_use = !locked && (errno == EAGAIN || errno == EACCES);
    uint64_t has;
    if (backing->created && backing->path != NULL && !in_use &&
        (locked || !backing->part))
        unlink(backing->path);
    else if (backing->new_size > 0 && locked && mv_backing_fd_size(backing->fd, &has) == 0 &&
             has == backing->new_size && ftruncate(backing->fd, (off_t)backing->old_size) < 0) {
        /* It keeps a hole at its end, which does no harm. */
    }
}

void mv_backing_free(struct mv_backing *backing)
{
    if (backing->created || backing->new_size > 0)
        undo(backing);
    if (backing->fd >= 0)
        close(backing->fd);
    free(backing->path);
    free(backing);
}

bool mv_backing_is_huge(const struct mv_backing *backing)
{
    return backing->page_size > (uint64_t)sysconf(_SC_PAGESIZE);
}

int mv_backing_mmap(struct mv_backing *backing, uint8_t *host, uint64_t size, int flags,
                    struct mv_error *err)
{
    size_t whole = mv_align_up(size, backing->page_size);
    int r = flags & MAP_SHARED ? 0 : mv_map_check(whole, err);
    if (r < 0)
        return r;
    if (mmap(host, whole, PROT_READ | PROT_WRITE, flags | MAP_FIXED, backing->fd,
             (off_t)backing->offset) == MAP_FAILED)
        return mv_map_refuse(backing, size, whole, errno, err);
    return 0;
}

/* Kernels before 5.14 have no such advice: then each page is touched. */
static void touch(uint8_t *host, uint64_t len, uint64_t page_size)
{
    for (uint64_t at = 0; at < len; at += page_size)
        __atomic_fetch_or(host + at, 0, __ATOMIC_RELAXED);
}

int mv_backing_populate(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len)
{
    if (madvise(host + offset, len, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    touch(host + offset, len, backing->page_size);
    return 0;
}
