/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host is to do with a block's pages, as the bank's keys say: advice, pages that are
 * locked or allocated beforehand, and on which NUMA nodes they are to be (policy=,
 * host-nodes=; numa-policy.c).  What the kernel accepts without doing it is told by its own
 * account of the mapping (host-map.h).  No state; called by block.c.
 */
#ifndef MV_MEMORY_POLICY_H
#define MV_MEMORY_POLICY_H

#include "error.h"

#include <stdint.h>

struct mv_block;
struct mv_config_backing;

/*
 * Apply policy, thp, merge, dump, lock and prealloc to a mapped block, and check that
 * each took effect.  A negative errno with what the host lacks and what to type;
 * the block is then to be freed.
 */
int mv_policy_apply(struct mv_block *block, const struct mv_config_backing *wish,
                    struct mv_error *err);

/* --- numa-policy.c */

#define MV_NUMA_NODES 1024

struct mv_numa_policy {
    const char *word; /* "default", "bind", "interleave", "preferred"; a constant */
    uint64_t nodes[MV_NUMA_NODES / 64]; /* a bit each; none for the default */
};

/* Stores the nodes that policy=bind names, where it is given and they are there. */
void mv_numa_policy_bound(const struct mv_config_backing *wish, struct mv_numa_policy *ret);

/*
 * Have the pages of a mapped block come from the nodes that were wished for,
 * and move those that are there.  Before the pages are touched.  -ENOTSUP
 * where the host has no such policies or ignores them for such memory, -ENXIO
 * where a node is not there, and the message lists those that are.
 */
int mv_numa_policy_apply(const struct mv_block *block, const struct mv_config_backing *wish,
                         struct mv_error *err);

/* The nodes as "0-1,3". */
#define MV_NUMA_TEXT 256
const char *mv_numa_policy_nodes(const struct mv_numa_policy *policy, char buf[MV_NUMA_TEXT]);

/* What stands, as the host's kernel says. */
void mv_numa_policy_describe(const struct mv_block *block, struct mv_numa_policy *ret);

#endif
