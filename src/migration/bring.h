/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_bring: pages of blocks that are mapped from files are brought into memory and
 * into the page tables, with large reads, so that nobody waits for one after the other.
 * Where most pages of a huge page are wanted, all of it is brought, and comes as a huge page
 * where the file system has such.  Nothing of it can fail: what the host does not bring comes
 * when it is touched.
 *
 * One thread adds and brings, and others may help it with what is in memory already; the
 * counts are atomics.  Called by warm-up.c.
 */
#ifndef MV_MIGRATION_BRING_H
#define MV_MIGRATION_BRING_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_working_set_pages;

/* Bytes that come in one step, and the huge page. */
#define MV_BRING_PIECE (UINT64_C(2) << 20)

struct mv_bring {
    struct mv_bring_piece {
        uint8_t *host;
        uint64_t len; /* bytes, up to MV_BRING_PIECE */
        bool whole;   /* a huge page's place, of which most is wanted */
    } * pieces;
    size_t count, capacity;
    _Atomic size_t next;
    atomic_bool cancelled;  /* may be set at any time */
    atomic_bool waited;     /* for a page that was not in the host's memory */
    _Atomic uint64_t bytes; /* that came */
    /* Page faults that were taken for it. */
    _Atomic uint64_t minor, major;
};

/* Pages of a block, which stays until all is done.  -ENOMEM. */
int mv_bring_add(struct mv_bring *bring, const struct mv_block *block,
                 const struct mv_working_set_pages *pages, struct mv_error *err);
/*
 * Bring what was added as far as it is in the host's page cache, until a page is met that is
 * not, or until this thread has used so much processor time for it, of at most INT64_MAX; any
 * number of threads at a time.
 */
void mv_bring_cached(struct mv_bring *bring, uint64_t cpu_ns);
/* Then the rest, in this thread and in another one where there are processors. */
void mv_bring_rest(struct mv_bring *bring);
/* What was added is forgotten; the counts stay. */
void mv_bring_clear(struct mv_bring *bring);

#endif
