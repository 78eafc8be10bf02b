/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of the host's pool of huge pages, in a memfd of hugetlbfs.  Mapping
 * reserves them, so that a guest never finds the pool empty later.  No state
 * and no lock; called by block.c.
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

static int open_hugetlb(struct mv_backing *backing, const struct mv_backing_request *request,
                        struct mv_error *err)
{
    char name[128], page[MV_SIZE_TEXT];
    uint64_t page_size = request->wish->hugetlb;
    unsigned log = (unsigned)__builtin_ctzll(page_size);
    snprintf(name, sizeof name, "memvisor:%s", request->id);
    backing->share = request->wish->share != MV_SWITCH_OFF;
    backing->page_size = page_size;
    backing->fd =
        memfd_create(name, MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING | log << MFD_HUGE_SHIFT);
    if (backing->fd < 0)
        return mv_error_set_errno(err, errno, "the host has no huge pages of %s",
                                  mv_size_format(page_size, page));
    int r = 0;
    if (request->size % page_size == 0)
        r = mv_backing_fd_resize(backing, request->size, "hugetlb", err);
    if (r < 0)
        return r;
    fcntl(backing->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
    return mv_backing_fd_check(backing, request, "hugetlb", err);
}

const struct mv_backing_ops mv_backing_hugetlb = {
    .kind = "hugetlb",
    .open = open_hugetlb,
    .map = mv_backing_fd_map,
    .punch = mv_backing_fd_punch,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};
