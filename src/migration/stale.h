/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_stale_files: state files that are good for as long as the guest stands still,
 * since some of its memory is outside of them.  Before it goes on they are marked stale, in
 * the files themselves, wherever they have been moved to.  Main thread.
 */
#ifndef MV_MIGRATION_STALE_H
#define MV_MIGRATION_STALE_H

#include "error.h"

#include <stddef.h>

/* Begins as zeros. */
struct mv_stale_files {
    struct mv_stale_file {
        int fd;
        char *path; /* as it was when it was written */
    } * list;
    size_t count;
};

/* The descriptor, open for writing, is the list's from here on; on failure the file is marked now.
 */
int mv_stale_files_add(struct mv_stale_files *files, int fd, const char *path,
                       struct mv_error *err);
/* Mark all, and forget them.  What cannot be marked is told, and stays in the list. */
int mv_stale_files_mark(struct mv_stale_files *files, struct mv_error *err);
/* The guest ends as it is: the files stay good. */
void mv_stale_files_clear(struct mv_stale_files *files);

#endif
