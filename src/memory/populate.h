/* SPDX-License-Identifier: Apache-2.0 */
/* A block's pages are brought into memory by several threads: prealloc=on, lock=on. */
#ifndef MV_MEMORY_POPULATE_H
#define MV_MEMORY_POPULATE_H

#include <stdint.h>

struct mv_block;

/*
 * Call `bring` for the whole of a mapped block, in pieces of some MiB (offset
 * and len in bytes), in as many threads as there are processors; a bar on a
 * terminal says that the block is `doing` ("allocating").  The first negative
 * errno ends it, and -ECANCELED where the user does (log.h).
 */
int mv_populate(const struct mv_block *block, const char *doing,
                int (*bring)(const struct mv_block *block, uint64_t offset, uint64_t len));

#endif
