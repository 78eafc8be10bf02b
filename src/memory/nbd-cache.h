/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_nbd_cache: a bound on what of an export's block is in this host's memory (cache=).
 * A thread drops pages that nobody needed lately once there are more: those that the guest has
 * not changed, or whose changes were written back.  What it has changed of a private block
 * stays, however much that is.
 *
 * Its lock guards what wakes the thread; the rest is the thread's.  Called by backing-nbd.c.
 */
#ifndef MV_MEMORY_NBD_CACHE_H
#define MV_MEMORY_NBD_CACHE_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_block;
struct mv_nbd_cache;
struct mv_space;

/* Less would not do for what one instruction may need, and what is on its way. */
#define MV_NBD_CACHE_MIN (UINT64_C(4) << 20)

/*
 * limit: bytes.  The block's pages come from an export already, and nobody has come to access
 * it.  writes_back: mv_backing_nbd_sync writes what was changed.
 */
int mv_nbd_cache_start(struct mv_block *block, struct mv_space *space, uint64_t limit,
                       bool writes_back, struct mv_nbd_cache **ret, struct mv_error *err);
/* Pages came.  Any thread; NULL: there is no bound. */
void mv_nbd_cache_look(struct mv_nbd_cache *cache);
/* Before an engine goes that listens to the space.  NULL, or stopped already: nothing. */
void mv_nbd_cache_stop(struct mv_nbd_cache *cache);
/* Behind that, when no pages come any more.  May be NULL. */
void mv_nbd_cache_free(struct mv_nbd_cache *cache);

#endif
