/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unnamed files: for blocks that want a file but name none.  O_TMPFILE where
 * the file system has it, else a file that is unlinked at once.  Called by
 * backing-file.c.
 */
#include "backing.h"

#include "cleanup.h"
#include "mount-point.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

const char *mv_backing_temporary_folder(const struct mv_backing_request *request)
{
    const char *tmpdir = getenv("TMPDIR");
    if (request->mem_dir != NULL)
        return request->mem_dir;
    return tmpdir != NULL && tmpdir[0] == '/' ? tmpdir : "/dev/shm";
}

static int open_unlinked(const char *folder)
{
    CLEANUP_FREE char *path = NULL;
    if (asprintf(&path, "%s/memvisor-XXXXXX", folder) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

int mv_backing_temporary_open(struct mv_backing *backing, const struct mv_backing_request *request,
                              struct mv_error *err)
{
    const char *folder = mv_backing_temporary_folder(request);
    struct stat st;
    if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
        return mv_error_set(err, ENOTDIR, "'%s' is no folder: --mem-dir takes one, and file= a file",
                            folder);
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    fd = fd < 0 ? -errno : fd;
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
        fd = open_unlinked(folder);
    if (fd == -EROFS)
        return mv_mount_refuse_read_only(folder, "cannot make an unnamed file",
                                         "name another folder with --mem-dir", err);
    if (fd < 0)
        return mv_error_set_errno(err, -fd, "cannot make a file in '%s'", folder);
    backing->fd = fd;
    return mv_backing_fd_resize(backing, request->size, "the unnamed file", err);
}
