/* SPDX-License-Identifier: Apache-2.0 */
/* Called by limits-files.c and the backings that open files. */
#include "mount-point.h"

#include "backing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* To the folder above, in place. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* A mount of a folder of the same file system is one too (statx(2), Linux 5.8). */
static bool is_mounted_at(const char *path)
{
    struct statx stx;
    return strcmp(path, "/") == 0 || (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, 0, &stx) == 0 &&
                                      (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0);
}

bool mv_mount_point(const char *path, char ret[PATH_MAX])
{
    if (realpath(path, ret) == NULL) {
        /* A descriptor of what has no name any more: "/folder/name (deleted)". */
        ssize_t len = readlink(path, ret, PATH_MAX - 1);
        if (len < 0)
            snprintf(ret, PATH_MAX, "%s", path);
        else
            ret[len] = '\0';
        if (strchr(ret, '/') == NULL)
            strcpy(ret, ".");
        else
            go_up(ret);
        char folder[PATH_MAX];
        if (realpath(ret, folder) == NULL)
            return false;
        memcpy(ret, folder, PATH_MAX);
    }
    while (!is_mounted_at(ret))
        go_up(ret);
    return true;
}

int mv_mount_refuse_read_only(const char *path, const char *what, const char *choice,
                              struct mv_error *err)
{
    char mount[PATH_MAX], quoted[MV_BACKING_QUOTED];
    if (!mv_mount_point(path, mount))
        return mv_error_set(err, EROFS, "%s: the file system is read-only: %s", what, choice);
    return mv_error_set(err, EROFS,
                        "%s: the file system at %s is read-only: %s, or type as root "
                        "'mount -o remount,rw %s'",
                        what, mount, choice, mv_backing_quote_inside(mount, quoted));
}
