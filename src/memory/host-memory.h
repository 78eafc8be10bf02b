/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory there is for this process, as meminfo, its memory cgroup and all above it
 * say: memory.max and memory.swap.max of cgroup v2, memory.limit_in_bytes and
 * memory.memsw.limit_in_bytes of v1 (Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/memory.rst).  What others use of it at the moment is not counted, except in
 * `available`, which is the kernel's guess.  No state and no lock.
 */
#ifndef MV_MEMORY_HOST_MEMORY_H
#define MV_MEMORY_HOST_MEMORY_H

#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_host_limit {
    uint64_t bytes;
    char file[PATH_MAX]; /* of the cgroup that says so; "" where the host has no more */
};

struct mv_host_memory {
    struct mv_host_limit memory; /* what can be in memory at a time */
    struct mv_host_limit whole;  /* with what can be swapped out */
    uint64_t swap;               /* bytes of the host's, all of it */
    uint64_t available;          /* bytes: MemAvailable and free swap */
};

/* Where to read that; tests have their own. */
struct mv_host_memory_files {
    const char *meminfo;
    const char *cgroup;
    const char *mountinfo;
};
extern const struct mv_host_memory_files mv_host_memory_files;

/* -ENOENT where the host tells nothing. */
int mv_host_memory_read(const struct mv_host_memory_files *files, struct mv_host_memory *ret,
                        struct mv_error *err);

/* "NAME: N kB" of /proc/meminfo or a file like it, in bytes; 0 where there is none. */
uint64_t mv_host_memory_line(const char *file, const char *name);

/* The number in a file of the kernel's; UINT64_MAX where there is none, or "max". */
uint64_t mv_host_memory_number(const char *file);

/* --- cgroups */

struct mv_cgroup {
    bool v2;
    char path[PATH_MAX];  /* in its hierarchy */
    char mount[PATH_MAX]; /* where that hierarchy is mounted */
};

/* By a controller's name, such as "memory"; false where it is in no hierarchy that is mounted. */
bool mv_cgroup_find(const struct mv_host_memory_files *files, const char *controller,
                    struct mv_cgroup *ret);

/* The path of a file in it: false where none can be named. */
bool mv_cgroup_file(const struct mv_cgroup *cgroup, const char *name, char ret[PATH_MAX]);

/* To the group above it: false where there is none. */
bool mv_cgroup_up(struct mv_cgroup *cgroup);

#endif
