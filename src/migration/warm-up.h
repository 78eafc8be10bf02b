/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_warm_up: a restored guest whose memory is mapped from the state's file finds
 * the pages in memory that guests of the same state touched first, and notes which it touches
 * itself, for the next one (working-set.h).  A thread of its own reads the set and brings it
 * in, before and while the guest runs, and writes it when the guest has used some seconds of
 * processor, or ends.  It needs nobody: where something of it fails, that is told in a line,
 * and the guest takes its pages one by one.
 *
 * Made, told of and ended by the main thread; the blocks are there meanwhile.
 */
#ifndef MV_MIGRATION_WARM_UP_H
#define MV_MIGRATION_WARM_UP_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_block;
struct mv_block_registry;
struct mv_warm_up;

struct mv_warm_up_params {
    const char *path; /* of the state file; not kept */
    int fd;           /* its; the caller's, open until the end */
    uint8_t id[16];   /* its */
    struct mv_block_registry *blocks;
    /* Those of the blocks that it is for. */
    bool (*is_wanted)(const struct mv_block *block);
};

/* No vCPU runs yet.  *ret is NULL where no block is wanted. */
int mv_warm_up_begin(const struct mv_warm_up_params *params, struct mv_warm_up **ret,
                     struct mv_error *err);
/*
 * Before the vCPUs go on: bring in that part of the set that is in the host's page cache, for
 * some milliseconds at most, along with the thread.  A guest that runs takes its faults for
 * such pages nearly as fast as they can be brought, so that it had little of that.
 */
void mv_warm_up_help(struct mv_warm_up *warm_up);
/* The vCPUs go on, or stop; once for each. */
void mv_warm_up_run(struct mv_warm_up *warm_up, bool running);
/* Returns when the set is written.  May be NULL, as above. */
void mv_warm_up_end(struct mv_warm_up *warm_up);

struct mv_warm_up_figures {
    uint64_t set_bytes;     /* of the working set; 0 also as long as it was not read */
    uint64_t brought_bytes; /* with what lies between its pages */
    uint64_t done_ns;       /* when all was brought, by mv_now_ns; 0: not yet */
    /* Page faults of this process since the guest went on, but for those of the bringing. */
    uint64_t minor_faults, major_faults;
};
void mv_warm_up_figures(const struct mv_warm_up *warm_up, struct mv_warm_up_figures *ret);

#endif
