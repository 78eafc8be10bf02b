/* SPDX-License-Identifier: Apache-2.0 */
/* What the host is to do with a block's pages, as the bank's keys say. */
#ifndef MV_MEMORY_POLICY_H
#define MV_MEMORY_POLICY_H

#include "config.h"
#include "error.h"

struct mv_block;

/*
 * Apply policy, thp, merge, dump, lock and prealloc to a mapped block, and check that
 * each took effect.  A negative errno with what the host lacks and what to type;
 * the block is then to be freed.
 */
int mv_policy_apply(struct mv_block *block, const struct mv_config_backing *wish,
                    struct mv_error *err);

#endif
