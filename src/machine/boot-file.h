/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_boot_file: a file that the guest boots from.  It is read into
 * guest memory at the start and again at each reset.
 */
#ifndef MV_MACHINE_BOOT_FILE_H
#define MV_MACHINE_BOOT_FILE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct mv_space;

struct mv_boot_file {
    const char *role; /* "kernel", "initrd", "firmware"; not owned */
    char *path;
    int fd;
    uint64_t size; /* bytes, not 0 */
    struct timespec changed;
};

/*
 * Open `path`.  What has no size of its own (a pipe, a terminal) is read to
 * its end first; -EFBIG where that is more than `most` bytes.  -EISDIR,
 * -ENODATA (empty) and what open(2) says are the other refusals.
 */
int mv_boot_file_open(const char *role, const char *path, uint64_t most, struct mv_boot_file **ret,
                      struct mv_error *err);
void mv_boot_file_close(struct mv_boot_file *file);

/* The first bytes, at most len of them; their number, or a negative errno. */
int mv_boot_file_head(struct mv_boot_file *file, void *buf, size_t len, size_t *ret_len,
                      struct mv_error *err);

/*
 * Copy the whole file to gpa, where `size` bytes of RAM are.  -ESTALE where it
 * is no longer the file that was opened.
 */
int mv_boot_file_load(struct mv_boot_file *file, struct mv_space *space, uint64_t gpa,
                      struct mv_error *err);

#endif
