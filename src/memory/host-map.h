/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's kernel says of a range of this process's memory: how much of
 * it is there, and which advice stands, from /proc/self/smaps (proc(5)).  Address
 * space that is set aside for a block.  And why the host would not map memory, or
 * make its pages, which is found out afterwards.  No state and no lock: any thread.
 */
#ifndef MV_MEMORY_HOST_MAP_H
#define MV_MEMORY_HOST_MAP_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_backing;

/* Advice by the letters of VmFlags. */
enum mv_host_map_flag {
    MV_HOST_MAP_LOCKED = 1 << 0,    /* lo */
    MV_HOST_MAP_NO_DUMP = 1 << 1,   /* dd */
    MV_HOST_MAP_MERGEABLE = 1 << 2, /* mg */
    MV_HOST_MAP_HUGE = 1 << 3,      /* hg */
    MV_HOST_MAP_NO_HUGE = 1 << 4,   /* nh */
};

struct mv_host_map {
    uint64_t resident; /* bytes, huge pages of the pool too */
    uint64_t huge;     /* bytes of these in huge pages */
    unsigned all;      /* flags that every part of the range has */
    unsigned any;      /* flags that some part has */
};

/* The range is page-aligned and consists of whole mappings. */
int mv_host_map_measure(const uint8_t *host, uint64_t size, struct mv_host_map *ret,
                        struct mv_error *err);

/* --- reservations */

/*
 * Reserve size bytes at an address that is a multiple of `align` (a power of
 * two), and an inaccessible page behind them: mappings of two blocks never
 * become one in the kernel's eyes, and an overrun of one ends there.  -ENOMEM.
 */
int mv_reserve(uint64_t size, uint64_t align, uint8_t **ret_host, struct mv_error *err);
/* Also unmaps what was mapped in the place. */
void mv_unreserve(uint8_t *host, uint64_t size);

/* --- refusals */

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

/* The same after pages of a mapping could not be made; 0 where no reason is found. */
int mv_map_refuse_pages(const struct mv_backing *backing, uint64_t size, struct mv_error *err);

#endif
