/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files.  One with a name: shared, so that every change of the guest is in it and other
 * processes can map it; or private, copied on write, so that many guests
 * start from one image that is never written.
 *
 * A lock of the open file description (fcntl_locking(2)) tells other memvisors
 * of it: an exclusive one where the file is shared with nobody but those who
 * map it on purpose, a shared one where it is only read.
 *
 * One without, for blocks that want a file but name none: O_TMPFILE where the file
 * system has it, else a file that is unlinked at once.
 *
 * No other state; called by block.c, and by limits-backing.c for where a file's file
 * system is mounted.
 */
#include "backing.h"

#include "cleanup.h"
#include "size.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- where it is mounted */

/* To the folder above, in place. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* A mount of a folder of the same file system is one too (statx(2), Linux 5.8). */
static bool is_mounted_at(const char *path)
{
    struct statx stx;
    return strcmp(path, "/") == 0 || (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, 0, &stx) == 0 &&
                                      (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0);
}

bool mv_mount_point(const char *path, char ret[PATH_MAX])
{
    if (realpath(path, ret) == NULL) {
        /* A file that was unlinked, by its descriptor, reads "/folder/name (deleted)". */
        ssize_t len = readlink(path, ret, PATH_MAX - 1);
        if (len < 0)
            snprintf(ret, PATH_MAX, "%s", path);
        else
            ret[len] = '\0';
        if (strchr(ret, '/') == NULL)
            strcpy(ret, ".");
        else
            go_up(ret);
        char folder[PATH_MAX];
        if (realpath(ret, folder) == NULL)
            return false;
        memcpy(ret, folder, PATH_MAX);
    }
    while (!is_mounted_at(ret))
        go_up(ret);
    return true;
}

/* The file system of the path is read-only; `choice` is what else can be done. */
static int refuse_read_only(const char *path, const char *choice, struct mv_error *err)
{
    char mount[PATH_MAX];
    if (!mv_mount_point(path, mount))
        return mv_error_set(err, EROFS, "the file system is read-only: %s", choice);
    return mv_error_set(err, EROFS,
                        "the file system at %s is read-only: %s, or type as root "
                        "'mount -o remount,rw %s'",
                        mount, choice, mv_quoted_text(mount, true));
}

/* --- without a name */

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

/* In request->mem_dir, or in $TMPDIR or /dev/shm where that is NULL. */
static int open_temporary(struct mv_backing *backing, const struct mv_backing_request *request,
                          struct mv_error *err)
{
    const char *folder = mv_backing_temporary_folder(request);
    struct stat st;
    if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
        return mv_error_set(err, ENOTDIR,
                            "'%s' is no folder: --mem-dir takes one, and file= a file", folder);
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    fd = fd < 0 ? -errno : fd;
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
        fd = open_unlinked(folder);
    if (fd == -EROFS) {
        refuse_read_only(folder, "name another folder with --mem-dir", err);
        mv_error_prefix(err, "cannot make an unnamed file");
        return fd;
    }
    if (fd < 0)
        return mv_error_set_errno(err, -fd, "cannot make a file in '%s'", folder);
    backing->fd = fd;
    return mv_backing_fd_resize(backing, request->size, err);
}

/* --- with a name */

static int refuse_missing(const struct mv_backing *backing,
                          const struct mv_backing_request *request, struct mv_error *err)
{
    uint64_t size;
    if (mv_add_overflows(backing->offset, request->size, &size) || size > INT64_MAX)
        return mv_error_set(err, ERANGE, "%s: offset=0x%" PRIx64 " is too large", backing->what,
                            backing->offset);
    return mv_error_set(
        err, ENOENT, "%s does not exist: make it with truncate -s %s %s, or write create=on",
        backing->what, mv_argument_text(size), mv_quoted_text(request->wish.file, false));
}

/* Why the file cannot be opened for writing although it is there. */
static int refuse_access(const struct mv_backing *backing, const char *path, int errnum,
                         struct mv_error *err)
{
    bool denied = errnum == EACCES || errnum == EPERM;
    if (errnum == EROFS) {
        refuse_read_only(path, "write share=off to leave the file as it is", err);
        mv_error_prefix(err, "%s", backing->what);
        return -errnum;
    }
    if (backing->share && denied && access(path, R_OK) == 0)
        return mv_error_set(err, errnum,
                            "%s is read-only, but share=on writes the guest's changes to it: "
                            "write share=off, or chmod u+w %s",
                            backing->what, mv_quoted_text(path, false));
    if (denied)
        return mv_error_set(err, errnum, "no permission to open %s: chmod u+%s %s", backing->what,
                            backing->share ? "rw" : "r", mv_quoted_text(path, false));
    if (errnum == EISDIR)
        return mv_error_set(err, errnum, "%s is a directory: name a file in it", backing->what);
    return mv_error_set_errno(err, errnum, "cannot open %s", backing->what);
}

/* Makes the file and gives it its size; removes it again where that fails. */
static int create_file(struct mv_backing *backing, const struct mv_backing_request *request,
                       struct mv_error *err)
{
    const char *path = request->wish.file;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EROFS) {
        refuse_read_only(path, "name a file elsewhere", err);
        mv_error_prefix(err, "cannot create %s", backing->what);
        return -EROFS;
    }
    if (fd < 0)
        return errno == EEXIST ? -EEXIST
                               : mv_error_set_errno(err, errno, "cannot create %s", backing->what);
    backing->fd = fd;
    int r = 0;
    /* A part: others may use the file from now on, so it grows only once this part is claimed. */
    if (!backing->part)
        r = mv_backing_fd_resize(backing, request->size, err);
    if (r < 0)
        unlink(path);
    backing->created = r == 0;
    return r;
}

static int open_named(struct mv_backing *backing, const struct mv_backing_request *request,
                      struct mv_error *err)
{
    const char *path = request->wish.file;
    if (request->wish.create) {
        int r = create_file(backing, request, err);
        if (r != -EEXIST)
            return r;
    }
    int mode = backing->share ? O_RDWR : O_RDONLY;
    backing->fd = open(path, mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (backing->fd < 0)
        return errno == ENOENT ? refuse_missing(backing, request, err)
                               : refuse_access(backing, path, errno, err);
    return 0;
}

static int open_file(struct mv_backing *backing, const struct mv_backing_request *request,
                     struct mv_error *err)
{
    bool named = request->wish.file != NULL;
    backing->share = request->wish.share != MV_SWITCH_OFF;
    int r = named ? open_named(backing, request, err) : open_temporary(backing, request, err);
    if (r < 0)
        return r;
    if (named && (backing->path = realpath(request->wish.file, NULL)) == NULL)
        return mv_error_set_errno(err, errno, "%s", backing->what);
    backing->lock_len = backing->part ? request->size : 0;
    return mv_backing_fd_check(backing, request, err);
}

const struct mv_backing_kind mv_backing_file = {"file", "the unnamed file", open_file};

static int set_lock(const struct mv_backing *backing, short type)
{
    struct flock lock = {.l_type = type,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)backing->offset,
                         .l_len = (off_t)backing->lock_len};
    return fcntl(backing->fd, F_OFD_SETLK, &lock);
}

void mv_backing_release(struct mv_backing *backing)
{
    set_lock(backing, F_UNLCK);
}

/* Only memvisors look at the lock; on a file system without locks nothing is refused. */
int mv_backing_claim(struct mv_backing *backing, struct mv_error *err)
{
    bool alone = backing->share && !backing->same_file;
    if (backing->path == NULL || set_lock(backing, alone ? F_WRLCK : F_RDLCK) == 0 ||
        (errno != EAGAIN && errno != EACCES))
        return 0;
    if (alone)
        return mv_error_set(err, EBUSY,
                            "file '%s' is in use by another memvisor: end that one, write "
                            "share=off to leave the file as it is, or same-file=ok for both to "
                            "share it",
                            backing->path);
    return mv_error_set(err, EBUSY,
                        "file '%s' is in use by another memvisor, which writes to it: end that "
                        "one, or give it same-file=ok",
                        backing->path);
}
