/* SPDX-License-Identifier: Apache-2.0 */
/* Where a file's file system is mounted, for remedies that name it.  No state, no lock. */
#ifndef MV_MEMORY_MOUNT_POINT_H
#define MV_MEMORY_MOUNT_POINT_H

#include "error.h"

#include <limits.h>
#include <stdbool.h>

/* The nearest mount above a path, or the path itself; one that is gone has that of its folder. */
bool mv_mount_point(const char *path, char ret[PATH_MAX]);

/*
 * -EROFS with "WHAT: the file system at /mnt is read-only: CHOICE, or" and the
 * command that makes it writable.
 */
int mv_mount_refuse_read_only(const char *path, const char *what, const char *choice,
                              struct mv_error *err);

#endif
