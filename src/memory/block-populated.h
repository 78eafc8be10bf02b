/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a block may hold anything but zeros, found without touching them: what was
 * never written costs no memory, and looking at it must not make it cost some.
 */
#ifndef MV_MEMORY_BLOCK_POPULATED_H
#define MV_MEMORY_BLOCK_POPULATED_H

#include "error.h"

#include <stdint.h>

struct mv_block;
struct mv_block_populated;

/*
 * Begin to look.  The block is there (main thread, or pinned); it may go while one looks,
 * and then what is told says nothing.  The rest: one thread at a time.
 */
int mv_block_populated_open(const struct mv_block *block, struct mv_block_populated **ret,
                            struct mv_error *err);
/* May be NULL. */
void mv_block_populated_close(struct mv_block_populated *populated);

/*
 * The next run that may hold anything but zeros, at or behind *io_offset: 1, its offset and
 * length in bytes, multiples of 4 KiB; 0 where none is left; or a negative errno.  Start with
 * 0, go on with offset + length or further on.  What is written meanwhile may be missing.
 * What the host cannot read is told as a run, so that whoever reads it finds out.
 */
int mv_block_populated_next(struct mv_block_populated *populated, uint64_t *io_offset,
                            uint64_t *ret_len, struct mv_error *err);

#endif
