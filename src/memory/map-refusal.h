/* SPDX-License-Identifier: Apache-2.0 */
/* Why the host would not map memory, or make its pages: found out afterwards. */
#ifndef MV_MEMORY_MAP_REFUSAL_H
#define MV_MEMORY_MAP_REFUSAL_H

#include "error.h"

#include <stdint.h>

struct mv_backing;

/*
 * mmap failed with errnum for a block's size bytes of the backing, or for a
 * mere reservation of addresses where that is NULL: limits of this process,
 * the pool of huge pages, what the kernel lets itself promise.  needed: bytes
 * that were asked for.  -errnum.
 */
int mv_map_refuse(const struct mv_backing *backing, uint64_t size, uint64_t needed, int errnum,
                  struct mv_error *err);

/* -ENOMEM where private memory of this size would be more than this process may have. */
int mv_map_check(uint64_t size, struct mv_error *err);

/* The same of pages that could not be made in a mapping, where a reason is found; else 0. */
int mv_map_refuse_pages(const struct mv_backing *backing, uint64_t size, struct mv_error *err);

#endif
