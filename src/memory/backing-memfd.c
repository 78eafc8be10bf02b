/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memfd: shared memory without a name, which other processes reach through
 * /proc or are handed as a descriptor.  It can neither grow nor shrink (its
 * seals), so that nobody who maps it can take bytes away from the guest.  No
 * state and no lock; called by block.c.
 */
#include "backing.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_memfd(struct mv_backing *backing, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "memvisor:%s", request->id);
    backing->share = true;
    backing->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (backing->fd < 0)
        return mv_error_set_errno(err, errno, "cannot make a memfd");
    int r = mv_backing_fd_resize(backing, request->size, "the memfd", err);
    if (r < 0)
        return r;
    fcntl(backing->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
    return mv_backing_fd_check(backing, request, "the memfd", err);
}

const struct mv_backing_ops mv_backing_memfd = {
    .kind = "memfd",
    .open = open_memfd,
    .map = mv_backing_fd_map,
    .punch = mv_backing_fd_punch,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};
