/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on the files that blocks' bytes live in (mv_backing_claim), where they change hands: a
 * guest that moves has its shared files at both ends, and one end at a time has them locked.
 * They are taken when a block is made, unless it is among those left here.  The main thread's.
 */
#ifndef MV_MEMORY_BLOCK_CLAIM_H
#define MV_MEMORY_BLOCK_CLAIM_H

#include "error.h"

#include <stddef.h>

struct mv_block_registry;

/*
 * Blocks of these ids that will be made leave their files to whoever has them locked.  The
 * last call counts; the list stays the caller's, and is looked at until the next one.
 */
void mv_block_claims_leave(struct mv_block_registry *registry, const char *const *ids,
                           size_t count);
/* Lock all that is not, or, with -EBUSY, nothing: the message names block and file. */
int mv_block_claims_take(struct mv_block_registry *registry, struct mv_error *err);
/* Let others have what only one may.  Nobody writes there any more. */
void mv_block_claims_release(struct mv_block_registry *registry);

#endif
