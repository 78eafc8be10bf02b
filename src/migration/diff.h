/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_diff: in what two states differ: values of the machine, its blocks and devices,
 * fields of the parts' states, and pages of the blocks that both files have.  When they were
 * saved, by which memvisor and under which id is no difference.  No lock.  Called by the
 * verb info.
 */
#ifndef MV_MIGRATION_DIFF_H
#define MV_MIGRATION_DIFF_H

#include "chain.h"

/* Of values and fields, the first so many are told. */
#define MV_DIFF_VALUES_MAX 100000

/* A value that differs: its text in either state, NULL where that has none. */
struct mv_diff_value {
    const char *of; /* "machine", "block", "device", "state" */
    char *name;     /* the block's id, the device's or part's path; "" for the machine */
    char *what;     /* "gpa", "version", a field: "x[3]"; "" for all of it */
    char *texts[2];
};

/* Pages that differ, one behind the other; bytes, in the block. */
struct mv_diff_run {
    uint64_t offset, size;
};

struct mv_diff_block {
    const struct mv_manifest_block *block; /* the first state's, as long as its chain is open */
    uint64_t bytes;                        /* in all runs */
    struct mv_diff_run *runs;
    size_t run_count;
    char *not_compared; /* why its bytes were not, or NULL */
};

struct mv_diff {
    struct mv_diff_value *values;
    size_t value_count;
    size_t more;                  /* values that are not told */
    struct mv_diff_block *blocks; /* that differ, or could not be compared */
    size_t block_count;
};

/*
 * Both chains are whole, and open until the diff is cleared.  -EINVAL for a part's state that
 * is none, -EBADMSG for memory that is damaged and had to be looked at, -ENOMEM, and why a
 * file cannot be read.
 */
int mv_diff_make(const struct mv_chain *a, const struct mv_chain *b, struct mv_diff *ret,
                 struct mv_error *err);
void mv_diff_clear(struct mv_diff *diff);

/* --- diff-state.c: the parts' states, for diff.c */

int mv_diff_add(struct mv_diff *diff, const char *of, const char *name, const char *what,
                const char *text, const char *other, struct mv_error *err);
int mv_diff_states(struct mv_diff *diff, const struct mv_chain_file *a,
                   const struct mv_chain_file *b, struct mv_error *err);

#endif
