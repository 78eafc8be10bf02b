/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backings with a descriptor do alike: check its size, map it, punch
 * holes, write it out.  And the kind that is one alone: a descriptor that the parent
 * process left open (fd=N), of a memfd, a file or anything else that can be mapped.
 * Who else uses it is the parent's to know, so it is not locked.  No state and no
 * lock; called by block.c and those kinds.
 */
#include "backing.h"

#include "cleanup.h"
#include "error.h"
#include "size.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *mv_backing_size_argument(uint64_t size, char buf[MV_BACKING_SIZE_ARGUMENT])
{
    static const char suffixes[] = "\0KMGTP";
    unsigned unit = 0;
    while (size != 0 && size % 1024 == 0 && unit < 5) {
        size /= 1024;
        unit++;
    }
    snprintf(buf, MV_BACKING_SIZE_ARGUMENT, "%" PRIu64 "%.1s", size, &suffixes[unit]);
    return buf;
}

static const char *quote_double(const char *path, char buf[MV_BACKING_QUOTED])
{
    char *to = buf;
    *to++ = '"';
    for (; *path != '\0' && to < buf + MV_BACKING_QUOTED - 4; path++) {
        if (strchr("\"$`\\", *path) != NULL)
            *to++ = '\\';
        *to++ = *path;
    }
    strcpy(to, "\"");
    return buf;
}

const char *mv_backing_quote(const char *path, char buf[MV_BACKING_QUOTED])
{
    if (strchr(path, '\'') != NULL)
        return quote_double(path, buf);
    snprintf(buf, MV_BACKING_QUOTED, "'%s'", path);
    return buf;
}

const char *mv_backing_quote_inside(const char *path, char buf[MV_BACKING_QUOTED])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:,@%";
    return path[strspn(path, plain)] == '\0' ? path : quote_double(path, buf);
}

/* Huge pages may come by way of a file or descriptor, too. */
static void look_for_huge_pages(struct mv_backing *backing)
{
    struct statfs fs;
    if (fstatfs(backing->fd, &fs) == 0 && (unsigned long)fs.f_type == HUGETLBFS_MAGIC)
        backing->page_size = (uint64_t)fs.f_bsize;
}

int mv_backing_fd_size(int fd, uint64_t *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISBLK(st.st_mode))
        return ioctl(fd, BLKGETSIZE64, ret) < 0 ? -errno : 0;
    *ret = (uint64_t)st.st_size;
    return 0;
}

static int check_part(const struct mv_backing *backing, const struct mv_backing_request *request,
                      const char *what, struct mv_error *err)
{
    char offset[MV_SIZE_TEXT], page[MV_SIZE_TEXT], size[MV_SIZE_TEXT];
    uint64_t end;
    if (backing->offset % backing->page_size != 0)
        return mv_error_set(err, EINVAL,
                            "%s has pages of %s, and offset=0x%" PRIx64
                            " is no multiple of that: make it 0x%" PRIx64,
                            what, mv_size_format(backing->page_size, page), backing->offset,
                            backing->offset - backing->offset % backing->page_size);
    if (mv_add_overflows(backing->offset, request->size, &end) || end > INT64_MAX)
        return mv_error_set(err, ERANGE, "%s from offset %s on: %s beyond that is too large", what,
                            mv_size_format(backing->offset, offset),
                            mv_size_format(request->size, size));
    return 0;
}

static int check_pages(const struct mv_backing *backing, const struct mv_backing_request *request,
                       const char *what, struct mv_error *err)
{
    char size[MV_SIZE_TEXT], page[MV_SIZE_TEXT], wanted[MV_SIZE_TEXT];
    uint64_t wish = request->wish->hugetlb;
    if (wish != 0 && wish != backing->page_size)
        return mv_error_set(err, EINVAL, "%s has pages of %s, not of %s as hugetlb= asks", what,
                            mv_size_format(backing->page_size, page), mv_size_format(wish, wanted));
    if (request->size % backing->page_size == 0)
        return 0;
    uint64_t down = request->size - request->size % backing->page_size;
    return mv_error_set(err, EINVAL,
                        "%s has pages of %s, and %s is no multiple of that: make it %s", what,
                        mv_size_format(backing->page_size, page),
                        mv_size_format(request->size, size),
                        mv_size_format(down + backing->page_size, wanted));
}

/*
 * Refuse a part that ends behind the file's end, and say how to make the file longer (by a
 * hole).
 */
static int refuse_part(const struct mv_backing *backing, const struct mv_backing_request *request,
                       const char *what, uint64_t has, struct mv_error *err)
{
    char words[MV_SIZE_TEXT], size[MV_SIZE_TEXT], argument[MV_BACKING_SIZE_ARGUMENT];
    char quoted[MV_BACKING_QUOTED];
    uint64_t end = backing->offset + request->size;
    mv_size_format(has, words);
    mv_size_format(request->size, size);
    mv_backing_size_argument(end, argument);
    if (backing->device_node)
        return mv_error_set(err, EINVAL,
                            "%s has %s, but the block has %s from offset 0x%" PRIx64
                            " on: give it less, or a lower offset=",
                            what, words, size, backing->offset);
    if (backing->path == NULL)
        return mv_error_set(err, EINVAL,
                            "%s holds %s, but the block has %s from offset 0x%" PRIx64
                            " on: give it that size with ftruncate(fd, %" PRIu64 ")",
                            what, words, size, backing->offset, end);
    return mv_error_set(err, EINVAL,
                        "%s is %s long, but the block has %s from offset 0x%" PRIx64
                        " on: truncate -s %s %s%s",
                        what, words, size, backing->offset, argument,
                        mv_backing_quote(backing->path, quoted),
                        backing->share ? ", or write create=on" : "");
}

static int refuse_size(const struct mv_backing *backing, const struct mv_backing_request *request,
                       const char *what, uint64_t has, struct mv_error *err)
{
    char has_words[MV_SIZE_TEXT], wants_words[MV_SIZE_TEXT], argument[MV_BACKING_SIZE_ARGUMENT];
    char quoted[MV_BACKING_QUOTED];
    mv_size_format(has, has_words);
    mv_size_format(request->size, wants_words);
    mv_backing_size_argument(request->size, argument);
    if (backing->part)
        return refuse_part(backing, request, what, has, err);
    if (backing->device_node)
        return mv_error_set(err, EINVAL,
                            "%s has %s, but the block has %s: say offset=0 to take a part of a "
                            "larger one",
                            what, has_words, wants_words);
    if (backing->path == NULL)
        return mv_error_set(err, EINVAL,
                            "%s holds %s, but the block has %s: give it that size with "
                            "ftruncate(fd, %" PRIu64 ")",
                            what, has_words, wants_words, request->size);
    if (has > request->size) {
        mv_backing_size_argument(has, argument);
        return mv_error_set(err, EINVAL,
                            "%s is %s long, but the block has %s: say -m %s of a bank, size=%s of a "
                            "device's memory, offset=0 to take a part of it, or choose another "
                            "file",
                            what, has_words, wants_words, argument, argument);
    }
    return mv_error_set(err, EINVAL, "%s is %s long, but the block has %s: truncate -s %s %s",
                        what, has_words, wants_words, argument,
                        mv_backing_quote(backing->path, quoted));
}

int mv_backing_fd_resize(const struct mv_backing *backing, uint64_t size, const char *what,
                         struct mv_error *err)
{
    char wanted[MV_SIZE_TEXT], limit[MV_SIZE_TEXT], remedy[MV_RLIMIT_REMEDY];
    struct rlimit rlimit;
    if (ftruncate(backing->fd, (off_t)size) == 0)
        return 0;
    int errnum = errno;
    mv_size_format(size, wanted);
    if (errnum == EFBIG && getrlimit(RLIMIT_FSIZE, &rlimit) == 0 && rlimit.rlim_cur < size)
        return mv_error_set(err, errnum,
                            "%s cannot have %s, the limit of this process is %s for a file: %s", what,
                            wanted, mv_size_format(rlimit.rlim_cur, limit),
                            mv_rlimit_remedy(RLIMIT_FSIZE, size, remedy));
    return mv_error_set_errno(err, errnum, "%s cannot have %s", what, wanted);
}

/*
 * Other memvisors may make the same file longer at the same time.  ftruncate could cut off
 * what they got, so it is only for file systems without fallocate.
 */
int mv_backing_fd_grow(struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    uint64_t end = backing->offset + size, page = backing->page_size, has;
    CLEANUP_FREE char *what = NULL;
    if (mv_backing_fd_size(backing->fd, &has) < 0 || has >= end)
        return 0;
    if (mv_backing_is_huge(backing) ||
        fallocate(backing->fd, 0, (off_t)(end - page), (off_t)page) < 0) {
        if (asprintf(&what, "file '%s'", backing->path) < 0)
            what = NULL;
        int r = mv_backing_fd_resize(backing, end, what == NULL ? "the file" : what, err);
        if (r < 0)
            return r;
    }
    backing->old_size = has;
    backing->new_size = end;
    return 0;
}

/* A sealed memfd cannot be mapped for writing, and mmap would not say why (fcntl(2)). */
static int check_seals(const struct mv_backing *backing, const char *what, struct mv_error *err)
{
    int seals = backing->share ? fcntl(backing->fd, F_GET_SEALS) : -1;
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) == 0)
        return 0;
    return mv_error_set(err, EPERM,
                        "%s is sealed against writing, but share=on writes the guest's changes to "
                        "it: write share=off",
                        what);
}

int mv_backing_fd_check(struct mv_backing *backing, const struct mv_backing_request *request,
                        const char *what, struct mv_error *err)
{
    struct stat st;
    if (fstat(backing->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "cannot look at %s", what);
    if (S_ISDIR(st.st_mode))
        return mv_error_set(err, EISDIR, "%s is a directory: name a file in it", what);
    backing->device_node = S_ISBLK(st.st_mode);
    if (!S_ISREG(st.st_mode) && !backing->device_node)
        return mv_error_set(err, ENODEV,
                            "%s is no file that can be mapped: name a regular file or a block "
                            "device",
                            what);
    backing->device = backing->device_node ? st.st_rdev : st.st_dev;
    backing->inode = backing->device_node ? 0 : st.st_ino;
    look_for_huge_pages(backing);
    int r = check_seals(backing, what, err);
    if (r == 0)
        r = check_pages(backing, request, what, err);
    uint64_t has = 0;
    if (r == 0 && mv_backing_fd_size(backing->fd, &has) < 0)
        r = mv_error_set_errno(err, errno, "cannot look at %s", what);
    if (r == 0)
        r = check_part(backing, request, what, err);
    if (r < 0)
        return r;
    /* A private mapping never writes to the file. */
    backing->short_of_part = backing->part && has < backing->offset + request->size &&
                             request->wish->create && !backing->device_node &&
                             (backing->share || backing->created);
    if (backing->short_of_part)
        return 0;
    if (backing->part ? has < backing->offset + request->size : has != request->size)
        return refuse_size(backing, request, what, has, err);
    return 0;
}

int mv_backing_fd_map(struct mv_backing *backing, uint8_t *host, uint64_t size,
                      struct mv_error *err)
{
    /* A private copy of a huge page comes from the pool alone, so it is reserved now. */
    int private = mv_backing_is_huge(backing) ? MAP_PRIVATE : MAP_PRIVATE | MAP_NORESERVE;
    return mv_backing_mmap(backing, host, size, backing->share ? MAP_SHARED : private, err);
}

/* Dropping a private page would show the file's bytes again: so zeros are written. */
int mv_backing_fd_punch(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len)
{
    (void)host;
    if (!backing->share)
        return -EOPNOTSUPP;
    return fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)(backing->offset + offset), (off_t)len) < 0
               ? -errno
               : 0;
}

int mv_backing_fd_sync(struct mv_backing *backing, uint8_t *host, uint64_t size)
{
    if (!backing->share)
        return 0;
    return msync(host, size, MS_SYNC) < 0 ? -errno : 0;
}

/* --- the parent's descriptor */

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
    /* A duplicate: other parts of this process may close or use the parent's number. */
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
