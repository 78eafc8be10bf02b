/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice among the kinds of backings, what is done with all of them, and the kinds that
 * have no file.  No state and no lock; called by block.c and by the kinds.
 *
 * anonymous: private memory of the host; nothing is reserved until it is touched.
 * Whether it gets huge pages is the host's own policy, because a guest's resident
 * memory counts.
 *
 * memfd: shared memory without a name, which other processes reach through /proc or
 * are handed as a descriptor.  It can neither grow nor shrink (its seals), so that
 * nobody who maps it can take bytes away from the guest.
 *
 * hugetlb: a memfd of the host's pool of huge pages.  Mapping reserves them, so that a
 * guest never finds the pool empty later.
 */
#include "backing-nbd.h"

#include "block.h"
#include "host-map.h"
#include "size.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

const struct mv_backing_kind *mv_backing_choose(const struct mv_backing_request *request)
{
    const struct mv_config_backing *wish = &request->wish;
    if (request->place != NULL)
        return &mv_backing_placed;
    if (wish->has_fd)
        return &mv_backing_parent_fd;
    if (wish->file != NULL)
        return &mv_backing_file;
    if (wish->nbd != NULL)
        return &mv_backing_nbd;
    if (wish->hugetlb != 0)
        return &mv_backing_hugetlb;
    if (wish->memfd)
        return &mv_backing_memfd;
    /* Shared memory without a name of its own, or a folder for all RAM. */
    bool temporary = wish->share == MV_SWITCH_ON || request->mem_dir != NULL;
    return temporary ? &mv_backing_file : &mv_backing_anonymous;
}

static int name_it(struct mv_backing *backing, const struct mv_backing_request *request)
{
    const struct mv_config_backing *wish = &request->wish;
    if (request->place != NULL)
        return asprintf(&backing->what, "%s '%s'", backing->kind->what, request->place->path);
    if (wish->file != NULL)
        return asprintf(&backing->what, "file '%s'", wish->file);
    if (wish->nbd != NULL)
        return asprintf(&backing->what, "export '%s'", wish->nbd);
    if (wish->has_fd)
        return asprintf(&backing->what, "descriptor %d", wish->fd);
    return asprintf(&backing->what, "%s", backing->kind->what);
}

int mv_backing_open(const struct mv_backing_request *request, struct mv_backing **ret,
                    struct mv_error *err)
{
    struct mv_backing *backing = calloc(1, sizeof *backing);
    if (backing == NULL)
        return mv_error_set(err, ENOMEM, "no memory for a backing");
    *backing = (struct mv_backing){.kind = mv_backing_choose(request),
                                   .fd = -1,
                                   .page_size = (uint64_t)sysconf(_SC_PAGESIZE),
                                   .same_file = request->wish.same_file,
                                   .part = request->wish.has_offset,
                                   .offset = request->wish.offset};
    int r = 0;
    if (name_it(backing, request) < 0) {
        backing->what = NULL;
        r = mv_error_set(err, ENOMEM, "no memory for a backing");
    }
    if (r == 0 && backing->kind->open != NULL)
        r = backing->kind->open(backing, request, err);
    if (r < 0)
        mv_backing_free(backing);
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
    if (backing->created && backing->path != NULL && !in_use && (locked || !backing->part))
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
    mv_backing_nbd_free(backing->nbd);
    free(backing->what);
    free(backing->path);
    free(backing->keys);
    free(backing);
}

int mv_backing_note_keys(struct mv_backing *backing, const struct mv_config_backing *wish,
                         struct mv_error *err)
{
    struct mv_config_backing again = *wish;
    again.create = again.has_fd = false;
    /* Whoever has the bytes from elsewhere has no use for the file. */
    bool placed = backing->kind == &mv_backing_placed;
    again.file = !placed && (wish->file != NULL || wish->has_fd) ? backing->path : NULL;
    again.nbd = placed ? NULL : wish->nbd;
    again.cache = again.nbd == NULL ? 0 : wish->cache;
    if (again.file == NULL)
        again.same_file = false;
    if (again.file == NULL && again.nbd == NULL)
        again.has_offset = false;
    if (again.file == NULL && (wish->file != NULL || wish->has_fd))
        again.share = MV_SWITCH_DEFAULT;
    return mv_config_print_backing(&again, &backing->keys, err);
}

bool mv_backing_is_huge(const struct mv_backing *backing)
{
    return backing->page_size > (uint64_t)sysconf(_SC_PAGESIZE);
}

int mv_backing_map(struct mv_backing *backing, uint8_t *host, uint64_t size, struct mv_error *err)
{
    size_t whole = mv_align_up(size, backing->page_size);
    int flags = MAP_FIXED | (backing->share ? MAP_SHARED : MAP_PRIVATE);
    if (backing->fd < 0)
        flags |= MAP_ANONYMOUS;
    /* A private copy of a huge page comes from the pool alone, so it is reserved now. */
    if (!backing->share && !mv_backing_is_huge(backing))
        flags |= MAP_NORESERVE;
    int r = backing->share ? 0 : mv_map_check(whole, err);
    if (r < 0)
        return r;
    if (mmap(host, whole, PROT_READ | PROT_WRITE, flags, backing->fd, (off_t)backing->offset) ==
        MAP_FAILED)
        return mv_map_refuse(backing, size, whole, errno, err);
    return 0;
}

int mv_backing_punch(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len)
{
    if (backing->fd < 0)
        return madvise(host + offset, len, MADV_DONTNEED) < 0 ? -errno : 0;
    /* Dropping a private page would show the file's bytes again: so zeros are written. */
    if (!backing->share)
        return -EOPNOTSUPP;
    int r = fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (off_t)(backing->offset + offset), (off_t)len);
    return r < 0 ? -errno : 0;
}

int mv_backing_populate(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len)
{
    if (madvise(host + offset, len, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* Kernels before 5.14 have no such advice: then each page is touched. */
    for (uint64_t at = offset; at < offset + len; at += backing->page_size)
        __atomic_fetch_or(host + at, 0, __ATOMIC_RELAXED);
    return 0;
}

/* --- the kinds without a file */

const struct mv_backing_kind mv_backing_anonymous = {"anonymous", "memory", NULL};

static int make_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      unsigned flags)
{
    char name[128];
    snprintf(name, sizeof name, "memvisor:%s", request->id);
    backing->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    return backing->fd < 0 ? -errno : 0;
}

static int seal_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    /* A size that is no whole number of huge pages is refused by the check below. */
    int r = 0;
    if (!mv_backing_is_huge(backing) || request->size % backing->page_size == 0)
        r = mv_backing_fd_resize(backing, request->size, err);
    if (r < 0)
        return r;
    fcntl(backing->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
    return mv_backing_fd_check(backing, request, err);
}

static int open_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    backing->share = true;
    int r = make_memfd(backing, request, 0);
    return r < 0 ? mv_error_set_errno(err, -r, "cannot make a memfd")
                 : seal_memfd(backing, request, err);
}

const struct mv_backing_kind mv_backing_memfd = {"memfd", "the memfd", open_memfd};

static int open_hugetlb(struct mv_backing *backing, const struct mv_backing_request *request,
                        struct mv_error *err)
{
    unsigned log = (unsigned)__builtin_ctzll(request->wish.hugetlb);
    backing->share = request->wish.share != MV_SWITCH_OFF;
    backing->page_size = request->wish.hugetlb;
    int r = make_memfd(backing, request, MFD_HUGETLB | log << MFD_HUGE_SHIFT);
    return r < 0 ? mv_error_set_errno(err, -r, "the host has no huge pages of %s",
                                      mv_size_text(backing->page_size))
                 : seal_memfd(backing, request, err);
}

const struct mv_backing_kind mv_backing_hugetlb = {"hugetlb", "hugetlb", open_hugetlb};
