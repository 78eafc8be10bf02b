/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's kernel says of a range of this process's memory: how much of
 * it is there, and which advice stands.  From /proc/self/smaps (proc(5)).
 */
#ifndef MV_MEMORY_HOST_MAP_H
#define MV_MEMORY_HOST_MAP_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    uint64_t locked;   /* bytes */
    unsigned all;      /* flags that every part of the range has */
    unsigned any;      /* flags that some part has */
};

/* The range is page-aligned and consists of whole mappings. */
int mv_host_map_measure(const uint8_t *host, uint64_t size, struct mv_host_map *ret,
                        struct mv_error *err);

/* Bytes resident in each of `parts` stretches of size / parts bytes, by pagemap. */
int mv_host_map_residency(const uint8_t *host, uint64_t size, size_t parts, uint64_t *ret_bytes,
                          struct mv_error *err);

#endif
