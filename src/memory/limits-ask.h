/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the memory room: what blocks ask of the host, worked out once for the
 * checks of host-limits.c, which are one function each.  It follows from a block's wish and
 * what is in the place that it names: nothing is opened or made.  What cannot be found out so
 * is asked for nothing, and told when it is opened.  No state.
 */
#ifndef MV_MEMORY_LIMITS_ASK_H
#define MV_MEMORY_LIMITS_ASK_H

#include "backing.h"
#include "block.h"
#include "policy.h"
#include "size.h"

#include <sys/statfs.h>

/* What one block asks for; sums and names go by offsets of these fields. */
struct mv_limits_ask {
    const struct mv_backing_request *request;
    struct mv_limits_use use;
    /* A shared file: what its file system has not given it yet, in bytes. */
    uint64_t room;
    uint64_t room_now; /* of it before the guest starts, or a file made for it */
    dev_t device;
    ino_t inode; /* 0: a file made for it */
    struct statfs fs;
    char *place;                 /* the file, or the folder that it will be made in */
    uint64_t pool;               /* bytes of new huge pages */
    struct mv_numa_policy bound; /* its nodes; the word is NULL where others will do */
};

struct mv_host_memory_files;

struct mv_limits_job {
    struct mv_limits_ask *asks;
    size_t count;
    const struct mv_limits_use *there;
    bool quiet;
};

/* --- limits-ask.c */

/* Free it with mv_limits_job_free, also where this fails. */
int mv_limits_job_make(struct mv_limits_job *job, const struct mv_backing_request *requests,
                       size_t count, struct mv_error *err);
void mv_limits_job_free(struct mv_limits_job *job);

typedef bool mv_limits_filter(const struct mv_limits_ask *ask, const struct mv_limits_ask *like);

/* The sum of a field over all asks that the filter (NULL: all) finds alike; no more than fits. */
uint64_t mv_limits_sum(const struct mv_limits_job *job, size_t field, mv_limits_filter *alike,
                       const struct mv_limits_ask *like);

/* "block ram0", "blocks ram0, ram1": those of the sum that add to it. */
#define MV_LIMITS_SUBJECT 256
const char *mv_limits_subject_format(const struct mv_limits_job *job, size_t field,
                                     mv_limits_filter *alike, const struct mv_limits_ask *like,
                                     char buf[MV_LIMITS_SUBJECT]);
#define mv_limits_subject(job, field, alike, like)                                                 \
    mv_limits_subject_format(job, field, alike, like, (char[MV_LIMITS_SUBJECT]){""})

/* Figures of the host are seldom round: down to whole MiB. */
#define mv_limits_text(bytes) mv_size_text(mv_limits_round(bytes))
uint64_t mv_limits_round(uint64_t bytes);

/* --- limits-backing.c: -ENOSPC or -ENOMEM, with what to do */

int mv_limits_check_files(const struct mv_limits_job *job, struct mv_error *err);
int mv_limits_check_pool(const struct mv_limits_job *job, struct mv_error *err);

/*
 * Sets the message where the pool of huge pages, or a limit on them, cannot give a mapping
 * what it still needs (`missing` bytes); else 0.
 */
int mv_limits_refuse_pool(uint64_t page_size, uint64_t missing, struct mv_error *err);

/* The part of it that looks at the limits of the cgroup and those above it. */
int mv_limits_refuse_hugetlb(const struct mv_host_memory_files *files, uint64_t page_size,
                             uint64_t missing, struct mv_error *err);

#endif
