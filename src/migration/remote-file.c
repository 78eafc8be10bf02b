/* SPDX-License-Identifier: Apache-2.0 */
#include "remote-file.h"

#include "cleanup.h"
#include "config-text.h"
#include "manifest.h"
#include "nbd-client.h"
#include "os.h"
#include "size.h"
#include "statefile.h"
#include "zero-page.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE (UINT64_C(1) << 20)

bool mv_remote_file_is_meant(const char *path)
{
    return mv_backing_is_nbd(path);
}

/* Holes of the memfd are zeros. */
static int store(int fd, const uint8_t *bytes, size_t len, uint64_t offset, struct mv_error *err)
{
    size_t at = 0, run;
    int r = 0;
    while (r == 0 && mv_zero_next_data(bytes, len, &at, &run)) {
        r = mv_pwrite_all(fd, bytes + at, run, offset + at);
        at += run;
    }
    return r < 0 ? mv_error_set_errno(err, -r, "no memory for what is fetched") : 0;
}

int mv_remote_file_fetch(const struct mv_remote_file *file, uint64_t offset, uint64_t len,
                         struct mv_error *err)
{
    if (file->nbd == NULL)
        return 0;
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_ZERO_PAGE, PIECE);
    int r = buffer == NULL ? mv_error_set_errno(err, ENOMEM, "fetching") : 0;
    for (uint64_t done = 0; r == 0 && done < len;) {
        size_t piece = len - done < PIECE ? len - done : PIECE;
        r = mv_nbd_read(file->nbd, buffer, piece, offset + done, err);
        if (r == 0)
            r = store(file->fd, buffer, piece, offset + done, err);
        done += piece;
    }
    return r;
}

/* Exports may be rounded up, as block devices are. */
static int fetch_all_but_ram(const struct mv_remote_file *file, uint64_t size, struct mv_error *err)
{
    uint64_t length, tail;
    if (size < MV_STATEFILE_RAM_OFFSET)
        return mv_error_set(err, EINVAL, "the export has %s, and no state file is so short",
                            mv_size_text(size));
    int r = mv_remote_file_fetch(file, 0, MV_STATEFILE_HEAD_BYTES, err);
    if (r == 0)
        r = mv_statefile_measure(file->fd, &length, &tail, err);
    if (r < 0)
        return r;
    if (length > size)
        return mv_error_set(err, EINVAL,
                            "header: the file was written with %" PRIu64
                            " bytes, and the export has %" PRIu64,
                            length, size);
    if (ftruncate(file->fd, (off_t)length) < 0)
        return mv_error_set_errno(err, errno, "a place for what is fetched");
    return mv_remote_file_fetch(file, tail, length - tail, err);
}

int mv_remote_file_open(const char *uri, struct mv_remote_file *ret, int *ret_fd,
                        struct mv_error *err)
{
    CLEANUP_CLOSE int fd = uri == NULL ? -1 : memfd_create("memvisor:state", MFD_CLOEXEC);
    struct mv_remote_file file = {.fd = fd};
    struct mv_nbd_export export;
    if (fd < 0)
        return mv_error_set_errno(err, uri == NULL ? ENOMEM : errno, "a place for the file");
    int r = mv_nbd_open(uri, -1, &file.nbd, &export, err);
    if (r < 0) {
        mv_error_prefix(err, "the export cannot be opened");
        return r;
    }
    r = fetch_all_but_ram(&file, export.size, err);
    if (r < 0) {
        mv_nbd_close(file.nbd);
        return r;
    }
    *ret = file;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int mv_remote_file_check(const char *ram, const struct mv_manifest *manifest, bool is_changed,
                         struct mv_error *err)
{
    if (strcmp(ram, "private") != 0)
        return mv_error_set(err, ENOTSUP,
                            "--ram %s: memory comes from an export page by page, and what the "
                            "guest changes is private: fetch the file first (nbdcopy)",
                            ram);
    if (manifest->has_base)
        return mv_error_set(err, ENOTSUP,
                            "it has only what changed since '%.200s' was written, which would be "
                            "beside it: export what 'memvisor info --flatten' makes of both",
                            manifest->base_path);
    if (is_changed)
        return mv_error_set(err, ENOTSUP,
                            "the guest's memory goes on in files of its own (save=off), which has "
                            "to be noted in the file: fetch it first (nbdcopy)");
    return 0;
}

void mv_remote_file_close(struct mv_remote_file *file)
{
    mv_nbd_close(file->nbd);
    *file = (struct mv_remote_file){0};
}
