/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backings with a descriptor do alike: check its size, and give it one.
 * And the kind that is one alone: a descriptor that the parent
 * process left open (fd=N), of a memfd, a file or anything else that can be mapped.
 * Who else uses it is the parent's to know, so it is not locked.  And a part of a file
 * that has a block's bytes already, as a restored guest's.  No state and no
 * lock; called by block.c and those kinds.
 */
#include "backing-nbd.h"

#include "block.h"
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

const char *mv_argument_format(uint64_t size, char buf[MV_ARGUMENT_TEXT])
{
    static const char suffixes[] = "\0KMGTP";
    unsigned unit = 0;
    for (; size != 0 && size % 1024 == 0 && unit < 5; unit++)
        size /= 1024;
    snprintf(buf, MV_ARGUMENT_TEXT, "%" PRIu64 "%.1s", size, &suffixes[unit]);
    return buf;
}

const char *mv_quoted_format(const char *path, bool inside, char buf[MV_QUOTED_TEXT])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:,@%";
    char *to = buf;
    if (inside && path[strspn(path, plain)] == '\0')
        return path;
    const char quote = inside || strchr(path, '\'') != NULL ? '"' : '\'';
    *to++ = quote;
    for (; *path != '\0' && to < buf + MV_QUOTED_TEXT - 4; path++) {
        if (quote == '"' && strchr("\"$`\\", *path) != NULL)
            *to++ = '\\';
        *to++ = *path;
    }
    *to++ = quote;
    *to = '\0';
    return buf;
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

static int check_part(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    uint64_t end;
    if (backing->offset % backing->page_size != 0)
        return mv_error_set(err, EINVAL,
                            "%s has pages of %s, and offset=0x%" PRIx64
                            " is no multiple of that: make it 0x%" PRIx64,
                            backing->what, mv_size_text(backing->page_size), backing->offset,
                            backing->offset - backing->offset % backing->page_size);
    if (mv_add_overflows(backing->offset, size, &end) || end > INT64_MAX)
        return mv_error_set(err, ERANGE, "%s from offset %s on: %s beyond that is too large",
                            backing->what, mv_size_text(backing->offset), mv_size_text(size));
    return 0;
}

static int check_pages(const struct mv_backing *backing, const struct mv_backing_request *request,
                       struct mv_error *err)
{
    uint64_t wish = request->wish.hugetlb, page = backing->page_size;
    if (wish != 0 && wish != page)
        return mv_error_set(err, EINVAL, "%s has pages of %s, not of %s as hugetlb= asks",
                            backing->what, mv_size_text(page), mv_size_text(wish));
    if (request->size % page == 0)
        return 0;
    return mv_error_set(err, EINVAL,
                        "%s has pages of %s, and %s is no multiple of that: make it %s",
                        backing->what, mv_size_text(page), mv_size_text(request->size),
                        mv_size_text(request->size - request->size % page + page));
}

/* A file can be made longer (by a hole). */
static int refuse_size(const struct mv_backing *backing, uint64_t size, uint64_t has,
                       struct mv_error *err)
{
    char from[40] = "";
    uint64_t end = backing->offset + size;
    if (backing->part)
        snprintf(from, sizeof from, " from offset 0x%" PRIx64 " on", backing->offset);
    if (backing->device_node)
        mv_error_set(err, EINVAL, "%s",
                     backing->part ? "give it less, or a lower offset="
                                   : "say offset=0 to take a part of a larger one");
    else if (backing->path == NULL)
        mv_error_set(err, EINVAL, "give it that size with ftruncate(fd, %" PRIu64 ")", end);
    else if (has > end)
        mv_error_set(err, EINVAL,
                     "say -m %s of a bank, size=%s of a device's memory, offset=0 to take a part "
                     "of it, or choose another file",
                     mv_argument_text(has), mv_argument_text(has));
    else
        mv_error_set(err, EINVAL, "truncate -s %s %s%s", mv_argument_text(end),
                     mv_quoted_text(backing->path, false),
                     backing->part && backing->share ? ", or write create=on" : "");
    mv_error_prefix(err, "%s %s %s%s, but the block has %s%s", backing->what,
                    backing->device_node    ? "has"
                    : backing->path == NULL ? "holds"
                                            : "is",
                    mv_size_text(has), backing->device_node || backing->path == NULL ? "" : " long",
                    mv_size_text(size), from);
    return -EINVAL;
}

int mv_backing_fd_resize(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    char remedy[MV_RLIMIT_REMEDY];
    struct rlimit rlimit;
    if (ftruncate(backing->fd, (off_t)size) == 0)
        return 0;
    int errnum = errno;
    if (errnum == EFBIG && getrlimit(RLIMIT_FSIZE, &rlimit) == 0 && rlimit.rlim_cur < size)
        return mv_error_set(err, errnum,
                            "%s cannot have %s, the limit of this process is %s for a file: %s",
                            backing->what, mv_size_text(size), mv_size_text(rlimit.rlim_cur),
                            mv_rlimit_remedy(RLIMIT_FSIZE, size, remedy));
    return mv_error_set_errno(err, errnum, "%s cannot have %s", backing->what, mv_size_text(size));
}

/*
 * Other memvisors may make the same file longer at the same time.  ftruncate could cut off
 * what they got, so it is only for file systems without fallocate.
 */
int mv_backing_fd_grow(struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    uint64_t end = backing->offset + size, page = backing->page_size, has;
    int r = 0;
    if (mv_backing_fd_size(backing->fd, &has) < 0 || has >= end)
        return 0;
    if (mv_backing_is_huge(backing) ||
        fallocate(backing->fd, 0, (off_t)(end - page), (off_t)page) < 0)
        r = mv_backing_fd_resize(backing, end, err);
    if (r < 0)
        return r;
    backing->old_size = has;
    backing->new_size = end;
    return 0;
}

/* A sealed memfd cannot be mapped for writing, and mmap would not say why (fcntl(2)). */
static int check_seals(const struct mv_backing *backing, struct mv_error *err)
{
    int seals = backing->share ? fcntl(backing->fd, F_GET_SEALS) : -1;
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) == 0)
        return 0;
    return mv_error_set(err, EPERM,
                        "%s is sealed against writing, but share=on writes the guest's changes to "
                        "it: write share=off",
                        backing->what);
}

int mv_backing_fd_check(struct mv_backing *backing, const struct mv_backing_request *request,
                        struct mv_error *err)
{
    const char *what = backing->what;
    uint64_t has = 0;
    struct stat st;
    struct statfs fs;
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
    /* Huge pages may come by way of a file or descriptor, too. */
    if (fstatfs(backing->fd, &fs) == 0 && (unsigned long)fs.f_type == HUGETLBFS_MAGIC)
        backing->page_size = (uint64_t)fs.f_bsize;
    int r = check_seals(backing, err);
    if (r == 0)
        r = check_pages(backing, request, err);
    if (r == 0 && mv_backing_fd_size(backing->fd, &has) < 0)
        r = mv_error_set_errno(err, errno, "cannot look at %s", what);
    if (r == 0)
        r = check_part(backing, request->size, err);
    if (r < 0)
        return r;
    bool too_short = has < backing->offset + request->size;
    /* A private mapping never writes to the file. */
    backing->short_of_part = backing->part && too_short && request->wish.create &&
                             !backing->device_node && (backing->share || backing->created);
    if (backing->short_of_part || !(backing->part ? too_short : has != request->size))
        return 0;
    return refuse_size(backing, request->size, has, err);
}

/* --- the parent's descriptor */

static int open_parent_fd(struct mv_backing *backing, const struct mv_backing_request *request,
                          struct mv_error *err)
{
    const struct mv_config_backing *wish = &request->wish;
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
    return mv_backing_fd_check(backing, request, err);
}

const struct mv_backing_kind mv_backing_parent_fd = {"fd", "descriptor", open_parent_fd};

/* --- bytes that are there already */

static int open_placed(struct mv_backing *backing, const struct mv_backing_request *request,
                       struct mv_error *err)
{
    const struct mv_block_place *place = request->place;
    /* The file is as long as it is to be, whatever the wish would make of one of its own. */
    const struct mv_backing_request own = {.id = request->id, .size = request->size};
    backing->share = place->share;
    backing->part = true;
    backing->offset = place->offset;
    if (place->fd < 0)
        return mv_backing_nbd_open(backing, place->path, request->size, err);
    backing->lock_len = request->size;
    backing->path = strdup(place->path);
    backing->fd = fcntl(place->fd, F_DUPFD_CLOEXEC, 3);
    if (backing->path == NULL || backing->fd < 0)
        return mv_error_set_errno(err, backing->fd < 0 ? errno : ENOMEM, "%s", backing->what);
    return mv_backing_fd_check(backing, &own, err);
}

const struct mv_backing_kind mv_backing_placed = {"file", "state file", open_placed};
