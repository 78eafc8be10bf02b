/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of backings that have no file.  No state and no lock; called by block.c.
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
#include "backing.h"

#include "size.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

static int map_anonymous(struct mv_backing *backing, uint8_t *host, uint64_t size,
                         struct mv_error *err)
{
    return mv_backing_mmap(backing, host, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, err);
}

static int punch_anonymous(struct mv_backing *backing, uint8_t *host, uint64_t offset,
                           uint64_t len)
{
    (void)backing;
    return madvise(host + offset, len, MADV_DONTNEED) < 0 ? -errno : 0;
}

const struct mv_backing_ops mv_backing_anonymous = {
    .kind = "anonymous",
    .map = map_anonymous,
    .punch = punch_anonymous,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};

static int make_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      unsigned flags)
{
    char name[128];
    snprintf(name, sizeof name, "memvisor:%s", request->id);
    backing->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    return backing->fd < 0 ? -errno : 0;
}

/* `what` names it in messages. */
static int seal_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      const char *what, struct mv_error *err)
{
    /* A size that is no whole number of huge pages is refused by the check below. */
    int r = 0;
    if (!mv_backing_is_huge(backing) || request->size % backing->page_size == 0)
        r = mv_backing_fd_resize(backing, request->size, what, err);
    if (r < 0)
        return r;
    fcntl(backing->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
    return mv_backing_fd_check(backing, request, what, err);
}

static int open_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    backing->share = true;
    int r = make_memfd(backing, request, 0);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot make a memfd");
    return seal_memfd(backing, request, "the memfd", err);
}

const struct mv_backing_ops mv_backing_memfd = {
    .kind = "memfd",
    .open = open_memfd,
    .map = mv_backing_fd_map,
    .punch = mv_backing_fd_punch,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};

static int open_hugetlb(struct mv_backing *backing, const struct mv_backing_request *request,
                        struct mv_error *err)
{
    char page[MV_SIZE_TEXT];
    uint64_t page_size = request->wish->hugetlb;
    unsigned log = (unsigned)__builtin_ctzll(page_size);
    backing->share = request->wish->share != MV_SWITCH_OFF;
    backing->page_size = page_size;
    int r = make_memfd(backing, request, MFD_HUGETLB | log << MFD_HUGE_SHIFT);
    if (r < 0)
        return mv_error_set_errno(err, -r, "the host has no huge pages of %s",
                                  mv_size_format(page_size, page));
    return seal_memfd(backing, request, "hugetlb", err);
}

const struct mv_backing_ops mv_backing_hugetlb = {
    .kind = "hugetlb",
    .open = open_hugetlb,
    .map = mv_backing_fd_map,
    .punch = mv_backing_fd_punch,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};
