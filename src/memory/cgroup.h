/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_cgroup: where the control group of this process is, in the
 * hierarchy that has a controller.  A plain value, no lock.
 */
#ifndef MV_MEMORY_CGROUP_H
#define MV_MEMORY_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_host_memory_files;

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
