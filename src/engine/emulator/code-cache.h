/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_code_cache: the decoded code of one vCPU by physical page.  Its
 * size is bounded: past the bound, the page that came first goes.  The guest
 * says what code it changed (CTR_EL0.DIC is 0, so it issues IC IVAU), and the
 * line's slots become "decode me" again.  Used by the vCPU's own thread only,
 * but for mv_code_cache_may_hold.
 */
#ifndef MV_EMULATOR_CODE_CACHE_H
#define MV_EMULATOR_CODE_CACHE_H

#include "error.h"
#include "op.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_code_cache;
struct mv_jit;

/* jit: what translates hot code, NULL for nothing; it outlives the cache. */
int mv_code_cache_create(unsigned max_pages, struct mv_jit *jit, struct mv_code_cache **ret,
                         struct mv_error *err);
void mv_code_cache_destroy(struct mv_code_cache *cache);

/*
 * The ops of the physical page `pa`, whose bytes the host has at `host`.  May
 * drop another page: the caller flushes its ITLB when *ret_dropped says so.
 */
const struct mv_op *mv_code_cache_page(struct mv_code_cache *cache, uint64_t pa,
                                       const uint8_t *host, bool *ret_dropped);
/* Fill a slot of the page that has these ops, from the instruction's word. */
void mv_code_cache_decode(struct mv_code_cache *cache, const struct mv_op *ops,
                          const struct mv_op *op);
/* Control comes to the op from elsewhere than the one before it: hot, it is translated. */
void mv_code_cache_mark(struct mv_code_cache *cache, const struct mv_op *ops,
                        const struct mv_op *op);
/* The instruction in a slot (0-1023) of the page that has these ops. */
uint32_t mv_code_cache_word(const struct mv_op *ops, unsigned slot);
/*
 * Whether the line at pa may have been decoded since all was dropped last; any
 * thread, behind a full fence after the line's change.
 */
bool mv_code_cache_may_hold(struct mv_code_cache *cache, uint64_t pa);
/* Forget the 64-byte line at pa. */
void mv_code_cache_drop_line(struct mv_code_cache *cache, uint64_t pa);
/*
 * Forget everything: the caller flushes its ITLB.  The page that runs goes on
 * being decoded where it stands until its vCPU leaves the handlers.
 */
void mv_code_cache_drop_all(struct mv_code_cache *cache);

#endif
