/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to boot from.  A reset loads them anew, also where their names are
 * gone by then, so the descriptor stays open; the bytes stay in the file,
 * because a copy of a kernel would double what a small guest has resident.
 * A file that was overwritten in place is noticed by its size and times.  What
 * can be read only once, a pipe, is kept in a memfd.
 *
 * No lock: the main thread's, called by boot.c.
 */
#include "boot-file.h"

#include "cleanup.h"
#include "size.h"
#include "space.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CHUNK (256 * MV_KIB)

static ssize_t read_some(int fd, void *buf, size_t len, int64_t at)
{
    ssize_t n;
    do
        n = at < 0 ? read(fd, buf, len) : pread(fd, buf, len, at);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int refuse_read(const struct mv_boot_file *file, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum, "cannot read the %s '%s'", file->role, file->path);
}

static int write_all(int fd, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, buf, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        buf += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Read a stream to its end into a memfd, which takes its place. */
static int keep_stream(struct mv_boot_file *file, uint64_t most, struct mv_error *err)
{
    char words[MV_SIZE_TEXT];
    CLEANUP_FREE uint8_t *buf = malloc(CHUNK);
    CLEANUP_CLOSE int copy = memfd_create("memvisor-boot", MFD_CLOEXEC);
    if (buf == NULL || copy < 0)
        return mv_error_set_errno(err, buf == NULL ? ENOMEM : errno, "keeping the %s '%s'",
                                  file->role, file->path);
    for (;;) {
        ssize_t n = read_some(file->fd, buf, CHUNK, -1);
        if (n < 0)
            return refuse_read(file, (int)-n, err);
        if (n == 0)
            break;
        file->size += (uint64_t)n;
        if (file->size > most)
            return mv_error_set(err, EFBIG,
                                "the %s '%s' is larger than all of the guest's RAM (%s): give the "
                                "guest more with -m",
                                file->role, file->path, mv_size_format(most, words));
        int r = write_all(copy, buf, (size_t)n);
        if (r < 0)
            return mv_error_set_errno(err, -r, "keeping the %s '%s'", file->role, file->path);
    }
    int stream = file->fd;
    file->fd = copy;
    copy = stream; /* closed by the scope */
    return 0;
}

static int look(struct mv_boot_file *file, uint64_t most, struct mv_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return refuse_read(file, errno, err);
    if (S_ISDIR(st.st_mode))
        return mv_error_set(err, EISDIR, "the %s '%s' is a directory: name a file", file->role,
                            file->path);
    if (!S_ISREG(st.st_mode)) {
        int r = keep_stream(file, most, err);
        if (r < 0)
            return r;
        if (fstat(file->fd, &st) < 0)
            return refuse_read(file, errno, err);
    }
    file->size = (uint64_t)st.st_size;
    file->changed = st.st_mtim;
    if (file->size == 0)
        return mv_error_set(err, ENODATA, "the %s '%s' is empty", file->role, file->path);
    return 0;
}

int mv_boot_file_open(const char *role, const char *path, uint64_t most, struct mv_boot_file **ret,
                      struct mv_error *err)
{
    struct mv_boot_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the %s", role);
    file->role = role;
    file->path = strdup(path);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r;
    if (file->fd < 0)
        r = mv_error_set_errno(err, errno, "cannot open the %s '%s'", role, path);
    else if (file->path == NULL)
        r = mv_error_set(err, ENOMEM, "no memory for the %s", role);
    else
        r = look(file, most, err);
    if (r < 0) {
        mv_boot_file_close(file);
        return r;
    }
    *ret = file;
    return 0;
}

void mv_boot_file_close(struct mv_boot_file *file)
{
    if (file == NULL)
        return;
    mv_cleanup_close(&file->fd);
    free(file->path);
    free(file);
}

int mv_boot_file_head(struct mv_boot_file *file, void *buf, size_t len, size_t *ret_len,
                      struct mv_error *err)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read_some(file->fd, (uint8_t *)buf + got, len - got, (int64_t)got);
        if (n < 0)
            return refuse_read(file, (int)-n, err);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *ret_len = got;
    return 0;
}

static int check_unchanged(const struct mv_boot_file *file, struct mv_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return refuse_read(file, errno, err);
    if ((uint64_t)st.st_size != file->size || st.st_mtim.tv_sec != file->changed.tv_sec ||
        st.st_mtim.tv_nsec != file->changed.tv_nsec)
        return mv_error_set(err, ESTALE,
                            "the %s '%s' was changed after the guest's start: start the guest anew",
                            file->role, file->path);
    return 0;
}

int mv_boot_file_load(struct mv_boot_file *file, struct mv_space *space, uint64_t gpa,
                      struct mv_error *err)
{
    int r = check_unchanged(file, err);
    if (r < 0)
        return r;
    CLEANUP_FREE uint8_t *buf = malloc(CHUNK);
    if (buf == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the %s", file->role);
    for (uint64_t at = 0; at < file->size;) {
        uint64_t left = file->size - at;
        ssize_t n = read_some(file->fd, buf, left < CHUNK ? left : CHUNK, (int64_t)at);
        if (n < 0)
            return refuse_read(file, (int)-n, err);
        if (n == 0)
            return mv_error_set(err, ESTALE, "the %s '%s' became shorter while it was read",
                                file->role, file->path);
        r = mv_space_write(space, gpa + at, buf, (uint64_t)n);
        if (r < 0)
            return mv_error_set(err, -r, "no RAM for the %s at 0x%llx", file->role,
                                (unsigned long long)(gpa + at));
        at += (uint64_t)n;
    }
    return 0;
}
