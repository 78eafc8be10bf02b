/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to boot from.  A reset boots from the bytes of the start, whatever has
 * become of the file meanwhile: overwritten in place, cut off, gone, or a pipe
 * from the beginning.  So they are copied, into a memfd: memory beside the
 * guest's of the size of kernel and initrd, which the host may swap out; a
 * mapping of the file would change with it.
 *
 * No lock: the main thread's, called by boot.c and kernel-pack.c.
 */
#include "boot.h"

#include "cleanup.h"
#include "machine.h"
#include "os.h"
#include "size.h"
#include "space.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CHUNK      (256 * MV_KIB)
#define LOAD_CHUNK (64 * MV_KIB)

void mv_boot_file_replace(struct mv_boot_file *file, int copy, uint64_t size)
{
    mv_cleanup_close(&file->fd);
    file->fd = copy;
    file->offset = 0;
    file->size = size;
}

/* --- copies */

static int refuse_read(const struct mv_boot_file *file, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum, "cannot read the %s '%s'", file->role, file->path);
}

static int refuse_copy(const struct mv_boot_file *file, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum, "keeping the %s '%s' for resets", file->role,
                              file->path);
}

ssize_t mv_boot_file_bytes(const struct mv_boot_file *file, uint64_t at, void *buf, size_t len,
                           struct mv_error *err)
{
    uint64_t left = at < file->size ? file->size - at : 0;
    ssize_t n;
    do
        n = pread(file->fd, buf, len < left ? len : left, (off_t)(file->offset + at));
    while (n < 0 && errno == EINTR);
    return n < 0 ? refuse_read(file, errno, err) : n;
}

int mv_boot_file_copy(const struct mv_boot_file *file, struct mv_error *err)
{
    int copy = memfd_create("memvisor-boot", MFD_CLOEXEC);
    return copy < 0 ? refuse_copy(file, errno, err) : copy;
}

int mv_boot_file_copy_add(const struct mv_boot_file *file, int copy, const void *buf, size_t len,
                          struct mv_error *err)
{
    int r = mv_write_all(copy, buf, len);
    return r < 0 ? refuse_copy(file, -r, err) : 0;
}

/* --- reading */

static int copy_all(struct mv_boot_file *file, int source, uint64_t most, struct mv_error *err)
{
    char words[MV_SIZE_TEXT];
    uint64_t size = 0;
    CLEANUP_FREE uint8_t *buf = malloc(CHUNK);
    CLEANUP_CLOSE int copy = mv_boot_file_copy(file, err);
    if (copy < 0)
        return copy;
    if (buf == NULL)
        return refuse_copy(file, ENOMEM, err);
    for (;;) {
        ssize_t n = read(source, buf, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse_read(file, errno, err);
        if (n == 0)
            break;
        size += (uint64_t)n;
        if (size > most)
            return mv_error_set(err, EFBIG,
                                "the %s '%s' is larger than all of the guest's RAM (%s): give the "
                                "guest more with -m",
                                file->role, file->path, mv_size_format(most, words));
        int r = mv_boot_file_copy_add(file, copy, buf, (size_t)n, err);
        if (r < 0)
            return r;
    }
    mv_boot_file_replace(file, copy, size);
    copy = -1;
    return 0;
}

int mv_boot_file_read(struct mv_boot_file *file, uint64_t most, bool again, struct mv_error *err)
{
    struct stat st;
    CLEANUP_CLOSE int source = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (source < 0)
        return mv_error_set_errno(err, errno, "cannot open the %s '%s'", file->role, file->path);
    if (fstat(source, &st) < 0)
        return refuse_read(file, errno, err);
    if (S_ISDIR(st.st_mode))
        return mv_error_set(err, EISDIR, "the %s '%s' is a directory: name a file", file->role,
                            file->path);
    if (again && !S_ISREG(st.st_mode))
        return mv_error_set(err, EINVAL,
                            "the %s '%s' is no file, and --reload on reads it anew at each reset: "
                            "give a file, or leave --reload out",
                            file->role, file->path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > most) {
        mv_boot_file_replace(file, source, (uint64_t)st.st_size);
        source = -1;
        return 0;
    }
    int r = copy_all(file, source, most, err);
    if (r == 0 && file->size == 0)
        r = mv_error_set(err, ENODATA, "the %s '%s' is empty", file->role, file->path);
    return r;
}

int mv_boot_file_take(struct mv_boot_file *file, const struct mv_machine_image *image,
                      struct mv_error *err)
{
    struct stat st;
    uint64_t end;
    if (image->size == 0)
        return mv_error_set(err, EINVAL, "the state has no %s: its guest could not be reset",
                            file->role);
    if (fstat(image->fd, &st) < 0)
        return refuse_read(file, errno, err);
    if (mv_add_overflows(image->offset, image->size, &end) || end > (uint64_t)st.st_size)
        return mv_error_set(err, EINVAL,
                            "the %s '%s' is to end at byte %llu, and the file has %llu", file->role,
                            file->path, (unsigned long long)end, (unsigned long long)st.st_size);
    int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return refuse_read(file, errno, err);
    mv_boot_file_replace(file, fd, image->size);
    file->offset = image->offset;
    return 0;
}

int mv_boot_file_load(const struct mv_boot_file *file, struct mv_space *space, uint64_t gpa,
                      struct mv_error *err)
{
    uint8_t buf[LOAD_CHUNK]; /* a reset needs no memory */
    for (uint64_t at = 0; at < file->size;) {
        uint64_t left = file->size - at;
        ssize_t n = mv_boot_file_bytes(file, at, buf, left < sizeof buf ? left : sizeof buf, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return mv_error_set(err, ESTALE, "the copy of the %s '%s' ends early", file->role,
                                file->path);
        int r = mv_space_write(space, gpa + at, buf, (uint64_t)n);
        if (r < 0)
            return mv_error_set(err, -r, "no RAM for the %s at 0x%llx", file->role,
                                (unsigned long long)(gpa + at));
        at += (uint64_t)n;
    }
    return 0;
}
