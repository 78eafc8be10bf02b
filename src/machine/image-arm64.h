/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64 Linux Images (Linux, Documentation/arm64/booting.rst): what the header
 * says, and what a file is that has no such header.  Pure.
 */
#ifndef MV_MACHINE_IMAGE_ARM64_H
#define MV_MACHINE_IMAGE_ARM64_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* As much of a file's start as tells what it is. */
#define MV_IMAGE_HEAD 4096

struct mv_image {
    uint64_t text_offset; /* of the Image behind a 2 MiB-aligned base */
    uint64_t memory_size; /* bytes from there on that are the kernel's own */
};

/*
 * Read the header of a file of which the first `len` bytes are in head (all
 * where it has fewer than MV_IMAGE_HEAD) and which is file_size long.  -ENOEXEC
 * with a message that says what the file is instead, and what to do.
 */
int mv_image_parse(const char *path, const uint8_t *head, size_t len, uint64_t file_size,
                   struct mv_image *ret, struct mv_error *err);

#endif
