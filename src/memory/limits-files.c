/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room in the file systems of shared files.  A file that is made is to fit, and
 * so is one that is allocated beforehand; for a sparse one that somebody made
 * so there is a warning.  A memfd has a tmpfs without a limit, whatever that of
 * /dev/shm is.  No state; called by host-limits.c.
 */
#include "limits-ask.h"

#include "log.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM     offsetof(struct mv_limits_ask, room)
#define ROOM_NOW offsetof(struct mv_limits_ask, room_now)

static bool same_device(const struct mv_limits_ask *ask, const struct mv_limits_ask *like)
{
    return ask->room != 0 && ask->device == like->device;
}

/* What its blocks are counted in. */
static uint64_t unit_of(const struct statfs *fs)
{
    return (uint64_t)(fs->f_frsize != 0 ? fs->f_frsize : fs->f_bsize);
}

/* Root may have what is kept back for it (statvfs(3)). */
static uint64_t free_bytes(const struct statfs *fs)
{
    return (geteuid() == 0 ? fs->f_bfree : fs->f_bavail) * unit_of(fs);
}

static void remedy(const struct mv_limits_ask *ask, const char *mount, uint64_t missing, char *buf,
                   size_t size)
{
    char words[MV_SIZE_TEXT], quoted[MV_BACKING_QUOTED];
    uint64_t used = (ask->fs.f_blocks - ask->fs.f_bfree) * unit_of(&ask->fs);
    if (ask->fs.f_type == TMPFS_MAGIC)
        snprintf(buf, size,
                 "type as root 'mount -o remount,%ssize=%juM %s', or keep the file elsewhere",
                 (ask->fs.f_flags & ST_RDONLY) != 0 ? "rw," : "",
                 (uintmax_t)((used + missing + MV_MIB - 1) / MV_MIB),
                 mv_backing_quote_inside(mount, quoted));
    else
        snprintf(buf, size, "free %s there, or keep the file elsewhere",
                 mv_size_format(mv_align_up(missing - free_bytes(&ask->fs), MV_MIB), words));
}

/* Says how much the file system of `ask` lacks for the `field` of all blocks on it. */
static int tell(const struct mv_limits_job *job, const struct mv_limits_ask *ask, size_t field,
                const char *what, bool refuse, struct mv_error *err)
{
    char who[MV_LIMITS_SUBJECT], size[MV_SIZE_TEXT], room[MV_SIZE_TEXT], mount[PATH_MAX];
    char text[MV_BACKING_QUOTED + 128];
    uint64_t missing = mv_limits_sum(job, field, same_device, ask);
    if (!mv_mount_point(ask->place, mount))
        return 0;
    remedy(ask, mount, missing, text, sizeof text);
    mv_limits_subject(job, field, same_device, ask, who);
    mv_size_format(missing, size);
    mv_limits_round(free_bytes(&ask->fs), room);
    if (refuse)
        return mv_error_set(err, ENOSPC,
                            "%s: room for %s more %s, and the file system at %s has %s left: %s",
                            who, size, what, mount, room, text);
    mv_warn("%s: room for %s more %s, and the file system at %s has %s left: %s", who, size, what,
            mount, room, text);
    return 0;
}

static bool is_first_of_device(const struct mv_limits_job *job, size_t i)
{
    size_t k = 0;
    while (!same_device(&job->asks[k], &job->asks[i]))
        k++;
    return k == i;
}

int mv_limits_check_files(const struct mv_limits_job *job, struct mv_error *err)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct mv_limits_ask *ask = &job->asks[i];
        /* One without a limit has no blocks. */
        if (ask->room == 0 || ask->fs.f_blocks == 0 || !is_first_of_device(job, i))
            continue;
        uint64_t room = free_bytes(&ask->fs);
        int r = 0;
        if (mv_limits_sum(job, ROOM_NOW, same_device, ask) > room)
            r = tell(job, ask, ROOM_NOW, "is needed", true, err);
        else if (!job->quiet && mv_limits_sum(job, ROOM, same_device, ask) > room)
            r = tell(job, ask, ROOM, "can come to be needed", false, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}
