/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor that the parent process left open (fd=N): a memfd, a file or
 * anything else that can be mapped.  Who else uses it is the parent's to know,
 * so it is not locked.  No state and no lock; called by block.c.
 */
#include "backing.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_parent_fd(struct mv_backing *backing, const struct mv_backing_request *request,
                          struct mv_error *err)
{
    const struct mv_config_backing *wish = request->wish;
    char what[32];
    snprintf(what, sizeof what, "descriptor %d", wish->fd);
    int mode = fcntl(wish->fd, F_GETFL);
    if (mode < 0)
        return mv_error_set(err, EBADF,
                            "descriptor %d is not open: have the parent process leave it open, as "
                            "in a shell's %d<>FILE",
                            wish->fd, wish->fd);
    backing->share = wish->share != MV_SWITCH_OFF;
    if (backing->share && (mode & O_ACCMODE) != O_RDWR)
        return mv_error_set(err, EACCES,
                            "descriptor %d is not open for reading and writing: open it so, or "
                            "write share=off",
                            wish->fd);
    if ((mode & O_ACCMODE) == O_WRONLY)
        return mv_error_set(err, EACCES, "descriptor %d is not open for reading", wish->fd);
    /* The number stays the parent's, whatever it means to others in this process. */
    backing->fd = fcntl(wish->fd, F_DUPFD_CLOEXEC, 3);
    if (backing->fd < 0)
        return mv_error_set_errno(err, errno, "cannot use descriptor %d", wish->fd);
    return mv_backing_fd_check(backing, request, what, err);
}

const struct mv_backing_ops mv_backing_parent_fd = {
    .kind = "fd",
    .open = open_parent_fd,
    .map = mv_backing_fd_map,
    .punch = mv_backing_fd_punch,
    .sync = mv_backing_fd_sync,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};
