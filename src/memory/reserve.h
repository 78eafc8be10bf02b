/* SPDX-License-Identifier: Apache-2.0 */
/* Places in the host's address space for blocks. */
#ifndef MV_MEMORY_RESERVE_H
#define MV_MEMORY_RESERVE_H

#include "error.h"

#include <stdint.h>

/*
 * Reserve size bytes at an address that is a multiple of `align` (a power of
 * two), and an inaccessible page behind them: mappings of two blocks never
 * become one in the kernel's eyes, and an overrun of one ends there.  -ENOMEM.
 */
int mv_reserve(uint64_t size, uint64_t align, uint8_t **ret_host, struct mv_error *err);
/* Also unmaps what was mapped in the place. */
void mv_unreserve(uint8_t *host, uint64_t size);

#endif
