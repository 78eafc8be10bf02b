/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small pages of a block brought together to huge ones, while its guest runs: fork(2) copies
 * an entry for each page, and a guest that stands still for it should not wait for 512 of
 * them where one would do.
 */
#ifndef MV_MEMORY_BLOCK_COLLAPSE_H
#define MV_MEMORY_BLOCK_COLLAPSE_H

#include <stdatomic.h>
#include <stdint.h>

struct mv_block;

/* Bytes in memory of which the next function could bring some together; the block is pinned. */
uint64_t mv_block_collapsible(const struct mv_block *block);

/*
 * What a block has in small pages that belong to this process alone comes to be in huge ones,
 * but for *io_leave bytes, of which those are taken that stay small.  Only where a huge page
 * would be nearly full, so that the guest takes little more memory than before; and for memory
 * that is no file's, where the host can.  Ends soon where `cancelled` gets true, or where this
 * thread has used so much of a processor, in nanoseconds.  The block is pinned; any thread.
 */
void mv_block_collapse(const struct mv_block *block, uint64_t *io_leave, uint64_t until_cpu_ns,
                       const atomic_bool *cancelled);

#endif
