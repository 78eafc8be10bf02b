/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams in files to boot from: gzip (RFC 1952) by zlib, zstd
 * (RFC 8878) by libzstd.
 */
#ifndef MV_MACHINE_UNPACK_H
#define MV_MACHINE_UNPACK_H

#include "boot-file.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_unpacker;

/* By the first bytes of a stream, or by its name; NULL where there is none. */
const struct mv_unpacker *mv_unpacker_by_magic(const uint8_t *bytes, size_t len);
const struct mv_unpacker *mv_unpacker_by_name(const char *name);
const char *mv_unpacker_name(const struct mv_unpacker *unpacker);

/*
 * Unpack the `len` bytes from `at` on; the result, of at most `most` bytes, takes
 * the place of the file's copy.  Nothing but zeros may be behind the stream.
 * -EFBIG, -EBADMSG (cut off, broken, something behind it), or what else fails;
 * the file is as it was then.
 */
int mv_unpack(const struct mv_unpacker *unpacker, struct mv_boot_file *file, uint64_t at,
              uint64_t len, uint64_t most, struct mv_error *err);

#endif
