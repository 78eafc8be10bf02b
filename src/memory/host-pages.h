/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of a range of this process's memory the host's kernel has, without touching
 * them: /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).  A struct
 * mv_host_pages belongs to one thread; the ranges need not stay mapped.
 */
#ifndef MV_MEMORY_HOST_PAGES_H
#define MV_MEMORY_HOST_PAGES_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mv_host_pages_kind {
    MV_HOST_PAGES_KEPT,    /* in memory, or swapped out */
    MV_HOST_PAGES_PRIVATE, /* the same, but not those that are a file's or shared */
};

#define MV_HOST_PAGES_RUNS 64

/* What a look brought is kept until the next one. */
struct mv_host_pages {
    int fd;
    enum mv_host_pages_kind kind;
    bool no_scan;  /* the kernel has no PAGEMAP_SCAN */
    uint64_t last; /* address up to which the runs are known */
    size_t next, count;
    struct mv_host_pages_run {
        uint64_t start, end; /* addresses */
    } runs[MV_HOST_PAGES_RUNS];
};

int mv_host_pages_open(enum mv_host_pages_kind kind, struct mv_host_pages *ret,
                       struct mv_error *err);
void mv_host_pages_close(struct mv_host_pages *pages);

/*
 * The first run of such pages in [at, end), which are multiples of the host's page size: 1,
 * 0 where there is none, or a negative errno.  From call to call `at` does not get less.
 * A run may be told in parts, and end behind `end`.
 */
int mv_host_pages_next(struct mv_host_pages *pages, uint64_t at, uint64_t end,
                       struct mv_host_pages_run *ret, struct mv_error *err);

/* Bytes resident in each of `parts` stretches of size / parts bytes. */
int mv_host_pages_residency(const uint8_t *host, uint64_t size, size_t parts, uint64_t *ret_bytes,
                            struct mv_error *err);

#endif
