/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_working_set: which pages guests of a state touch first, and the file beside the
 * state file that has it, FILE.ws.  Little-endian:
 *
 *      0  magic, "memvisor set\n", zeros (16)
 *     16  format (4): 1
 *     20  the header's length (4)
 *     24  id of the state (16)
 *     40  the file's length (8)
 *     48  zeros (8)
 *     56  XXH3-64 of all before it (8)
 *     64  sections (section.h) of type PAGES, one for each block, named after it, of the kind
 *         "touched", version 1: runs of pages, in ascending order, apart from each other:
 *           first page (8), pages (4), age (4)
 *         and the end, with nothing behind it
 *
 * The age counts the runs of a guest since the last one that touched the pages; a set joins
 * what several runs touched, and what none of MV_WORKING_SET_AGE has touched is forgotten.
 *
 * The file is hostile until it is read: it may come with a state file of somebody else.  No
 * lock: one thread at a time.  Called by warm-up.c.
 */
#ifndef MV_MIGRATION_WORKING_SET_H
#define MV_MIGRATION_WORKING_SET_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In bytes. */
#define MV_WORKING_SET_PAGE UINT64_C(4096)
#define MV_WORKING_SET_AGE  4

struct mv_working_set_run {
    uint64_t first; /* page */
    uint32_t pages; /* not 0 */
    uint32_t age;   /* below MV_WORKING_SET_AGE */
};

struct mv_working_set_pages {
    const char *id; /* of the block; its owner's */
    uint64_t size;  /* of the block, bytes */
    struct mv_working_set_run *runs;
    size_t count, capacity;
};

/* Of all blocks that it is asked for. */
struct mv_working_set {
    uint8_t id[16]; /* of the state */
    struct mv_working_set_pages *blocks;
    size_t count;
};

/*
 * Fill in the runs of a set that has its id and its blocks.  -ENOENT where there is no file,
 * -ESTALE where it is of another state, -EINVAL where it is damaged or names pages that no
 * block has, -EEXIST where it is a file that no memvisor wrote for this, -ENOTSUP for a newer
 * format, or why it cannot be read: no runs are there then. Of blocks that it has no pages of, and
 * of those that are not asked for, nothing is told.
 */
int mv_working_set_read(struct mv_working_set *set, const char *path, struct mv_error *err);
/* It is there whole or not at all (output-file.h). */
int mv_working_set_write(const struct mv_working_set *set, const char *path, struct mv_error *err);
/* The runs are gone; the blocks stay. */
void mv_working_set_clear(struct mv_working_set *set);

/* Bytes of all its pages. */
uint64_t mv_working_set_bytes(const struct mv_working_set *set);

/*
 * The next run that was touched at or behind *io_offset, in bytes, in whole pages: false
 * where there is none.
 */
typedef bool mv_working_set_next_fn(const void *opaque, uint64_t *io_offset, uint64_t *ret_len);
/*
 * Join what was touched with what is there of a block.  `whole`: the run was one of which
 * those pages that it did not touch come to be a run older.  -ENOMEM: the pages are as they
 * were.
 */
int mv_working_set_join(struct mv_working_set_pages *pages, mv_working_set_next_fn *next,
                        const void *opaque, bool whole, struct mv_error *err);

#endif
