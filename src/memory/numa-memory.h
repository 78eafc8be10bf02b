/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory NUMA nodes of the host have. */
#ifndef MV_MEMORY_NUMA_MEMORY_H
#define MV_MEMORY_NUMA_MEMORY_H

#include "numa-policy.h"

/*
 * A block that is bound to nodes: no other will do for its pages, so that the
 * kernel ends a process for which those are full.  -ENOMEM where that is known
 * beforehand; a warning where only a guest that uses all of it would need more
 * than they have.
 */
int mv_numa_memory_check(const struct mv_block *block, const struct mv_config_backing *wish,
                         const struct mv_numa_policy *nodes, struct mv_error *err);

#endif
