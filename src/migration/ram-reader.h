/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of blocks out of a state file: each chunk is read once, its sum is checked, and
 * it is copied into the block, by as many threads as there are processors, at most 4, one of
 * which is the caller's.  What is a hole in the file is not read.  No state; called by
 * whoever restores or verifies, while no vCPU runs.
 */
#ifndef MV_MIGRATION_RAM_READER_H
#define MV_MIGRATION_RAM_READER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_ram_view;

struct mv_ram_read_part {
    const char *id;
    struct mv_block *block; /* of at least so many bytes; NULL: the sums are all that is wanted */
    bool is_zero;           /* the block has nothing but zeros, so that these need not be written */
    uint64_t size;          /* bytes */
    uint64_t offset;        /* in the file, bytes */
    const struct mv_ram_view *view; /* where its bytes are in several files; then none of these: */
    const uint8_t *sums;            /* as a section of type SUMS has them (statefile.h) */
    size_t sums_length;             /* bytes */
};

/* How many bytes of sums a part of this size has: 8 for each MV_RAM_CHUNK, the last of a rest. */
uint64_t mv_ram_sums_length(uint64_t size);

/*
 * `doing` is what a bar on a terminal says, `file` the name for messages.  -EINVAL where a
 * sum or the number of them is wrong, -EIO where memory or file fail, -ECANCELED by log.h;
 * part of the bytes may have been copied then.
 */
int mv_ram_read(int fd, const char *file, const char *doing, const struct mv_ram_read_part *parts,
                size_t count, struct mv_error *err);

#endif
