/* SPDX-License-Identifier: Apache-2.0 */
/* What the host cannot give is said before a guest meets it, with what to type. */
#ifndef MV_MEMORY_LIMITS_H
#define MV_MEMORY_LIMITS_H

#include "config.h"
#include "error.h"

#include <stdint.h>

struct mv_block;

/*
 * A block that has its backing and is not mapped yet: room in its file system,
 * in the pool of huge pages and in the host's memory.  `others` is how many
 * bytes of the host's memory the guest's other blocks may take.  Memory that
 * only a guest that uses all of it would need is worth a warning; -ENOSPC or
 * -ENOMEM where the host cannot give it.
 */
int mv_limits_check(const struct mv_block *block, const struct mv_config_backing *wish,
                    uint64_t others, struct mv_error *err);

/* Bytes of the host's memory that the block may take: none where a disk has them. */
uint64_t mv_limits_memory_of(const struct mv_block *block);

/* Why mmap could not make size bytes: limits of the process, promises of the kernel. */
int mv_limits_refuse_map(int errnum, uint64_t size, struct mv_error *err);

#endif
