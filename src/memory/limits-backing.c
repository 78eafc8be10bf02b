/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files and huge pages need of the host.  No state; called by host-limits.c, and
 * the pool by host-map.c.
 *
 * Room in the file systems of shared files.  A file that is made is to fit, and so is one
 * that is allocated beforehand; for a sparse one that somebody made so there is a
 * warning.  A memfd has a tmpfs without a limit, whatever that of /dev/shm is.
 *
 * The host's pool of huge pages (Documentation/admin-guide/mm/hugetlbpage.rst), of which
 * a mapping reserves what it needs.  And limits of control groups on huge pages, in each
 * of its two kinds: on pages that a mapping reserves, and on pages in use
 * (Documentation/admin-guide/cgroup-v2.rst, HugeTLB; cgroup-v1/hugetlb.rst), where going
 * beyond would end memvisor by SIGBUS, long after the start.
 */
#include "limits-ask.h"

#include "host-memory.h"
#include "log.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- file systems */

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

/* How much the file system of `ask` lacks for the `field` of all blocks on it: what to do first. */
static int explain(const struct mv_limits_job *job, const struct mv_limits_ask *ask, size_t field,
                   const char *what, struct mv_error *ret)
{
    char mount[PATH_MAX];
    uint64_t missing = mv_limits_sum(job, field, same_device, ask);
    uint64_t used = (ask->fs.f_blocks - ask->fs.f_bfree) * unit_of(&ask->fs);
    if (!mv_mount_point(ask->place, mount))
        return 0;
    if (ask->fs.f_type == TMPFS_MAGIC)
        mv_error_set(ret, ENOSPC,
                     "type as root 'mount -o remount,%ssize=%juM %s', or keep the file elsewhere",
                     (ask->fs.f_flags & ST_RDONLY) != 0 ? "rw," : "",
                     (uintmax_t)((used + missing + MV_MIB - 1) / MV_MIB),
                     mv_quoted_text(mount, true));
    else
        mv_error_set(ret, ENOSPC, "free %s there, or keep the file elsewhere",
                     mv_size_text(mv_align_up(missing - free_bytes(&ask->fs), MV_MIB)));
    mv_error_prefix(ret, "%s: room for %s more %s, and the file system at %s has %s left",
                    mv_limits_subject(job, field, same_device, ask), mv_size_text(missing), what,
                    mount, mv_limits_text(free_bytes(&ask->fs)));
    return -ENOSPC;
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
        bool is_full = mv_limits_sum(job, ROOM_NOW, same_device, ask) > room;
        struct mv_error warning;
        if (is_full && explain(job, ask, ROOM_NOW, "is needed", err) < 0)
            return -ENOSPC;
        if (!is_full && !job->quiet && mv_limits_sum(job, ROOM, same_device, ask) > room &&
            explain(job, ask, ROOM, "can come to be needed", &warning) < 0)
            mv_warn("%s", warning.text);
    }
    return 0;
}

/* --- control groups' limits on huge pages */

/* By version; formats of what comes behind "hugetlb.2MB.". */
static const struct kind {
    const char *limit[2], *use[2];
} kinds[] = {
    {{"rsvd.limit_in_bytes", "rsvd.max"}, {"rsvd.usage_in_bytes", "rsvd.current"}},
    {{"limit_in_bytes", "max"}, {"usage_in_bytes", "current"}},
};

static bool read_file(const struct mv_cgroup *cgroup, uint64_t page_size, const char *what,
                      char path[PATH_MAX], uint64_t *ret)
{
    static const struct {
        uint64_t bytes;
        const char *name;
    } units[] = {{MV_GIB, "GB"}, {MV_MIB, "MB"}, {MV_KIB, "KB"}};
    char name[96];
    size_t i = 0;
    while (page_size < units[i].bytes && i < 2)
        i++;
    snprintf(name, sizeof name, "hugetlb.%" PRIu64 "%s.%s", page_size / units[i].bytes,
             units[i].name, what);
    if (!mv_cgroup_file(cgroup, name, path))
        return false;
    *ret = mv_host_memory_number(path);
    return *ret != UINT64_MAX;
}

static int check_level(const struct mv_cgroup *cgroup, uint64_t page_size, uint64_t missing,
                       struct mv_error *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char file[PATH_MAX], use_file[PATH_MAX];
        uint64_t limit, use, wanted;
        if (!read_file(cgroup, page_size, kinds[i].limit[cgroup->v2], file, &limit) ||
            !read_file(cgroup, page_size, kinds[i].use[cgroup->v2], use_file, &use) ||
            mv_add_overflows(use, missing, &wanted) || wanted <= limit)
            continue;
        return mv_error_set(err, ENOMEM,
                            "huge pages for %s are needed, and memvisor's cgroup may have %s of "
                            "them, of which %s are taken: type as root 'echo %s > %s'",
                            mv_size_text(missing), mv_size_text(limit), mv_size_text(use),
                            mv_argument_text(wanted), file);
    }
    return 0;
}

int mv_limits_refuse_hugetlb(const struct mv_host_memory_files *files, uint64_t page_size,
                             uint64_t missing, struct mv_error *err)
{
    struct mv_cgroup cgroup;
    int r = 0;
    bool more = mv_cgroup_find(files, "hugetlb", &cgroup);
    for (; more && r == 0; more = mv_cgroup_up(&cgroup))
        r = check_level(&cgroup, page_size, missing, err);
    return r;
}

/* --- the pool of huge pages */

#define POOL "/sys/kernel/mm/hugepages/hugepages-%jukB/%s"

static uint64_t pool_number(uint64_t page_size, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, POOL, (uintmax_t)(page_size / 1024), name);
    uint64_t value = mv_host_memory_number(path);
    return value == UINT64_MAX ? 0 : value;
}

static uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Pages that a mapping can still get: free and promised to nobody, or made for it. */
static uint64_t pages_left(uint64_t page_size)
{
    return above(pool_number(page_size, "free_hugepages"),
                 pool_number(page_size, "resv_hugepages")) +
           above(pool_number(page_size, "nr_overcommit_hugepages"),
                 pool_number(page_size, "surplus_hugepages"));
}

int mv_limits_refuse_pool(uint64_t page_size, uint64_t missing, struct mv_error *err)
{
    char command[192];
    int r = mv_limits_refuse_hugetlb(&mv_host_memory_files, page_size, missing, err);
    if (r < 0)
        return r;
    uint64_t needed = missing / page_size, left = pages_left(page_size);
    if (needed <= left)
        return 0;
    uint64_t wanted = pool_number(page_size, "nr_hugepages") + needed - left;
    if (page_size == mv_host_memory_line(mv_host_memory_files.meminfo, "Hugepagesize"))
        snprintf(command, sizeof command, "sysctl vm.nr_hugepages=%ju", (uintmax_t)wanted);
    else
        snprintf(command, sizeof command, "echo %ju > " POOL, (uintmax_t)wanted,
                 (uintmax_t)(page_size / 1024), "nr_hugepages");
    return mv_error_set(err, ENOMEM,
                        "%ju huge pages of %s are needed, and %ju are left in the host's pool: "
                        "type as root '%s'",
                        (uintmax_t)needed, mv_size_text(page_size), (uintmax_t)left, command);
}

static bool same_pages(const struct mv_limits_ask *ask, const struct mv_limits_ask *like)
{
    return ask->pool != 0 && ask->request->wish.hugetlb == like->request->wish.hugetlb;
}

int mv_limits_check_pool(const struct mv_limits_job *job, struct mv_error *err)
{
    size_t pool = offsetof(struct mv_limits_ask, pool);
    for (size_t i = 0; i < job->count; i++) {
        const struct mv_limits_ask *ask = &job->asks[i];
        char folder[128];
        uint64_t page_size = ask->request->wish.hugetlb;
        snprintf(folder, sizeof folder, POOL, (uintmax_t)(page_size / 1024), "");
        /*
         * A page size that the host does not have, or a block of no whole number of pages: the
         * backing refuses it later.
         */
        if (ask->pool == 0 || ask->request->size % page_size != 0 || access(folder, F_OK) < 0)
            continue;
        int r = mv_limits_refuse_pool(page_size, mv_limits_sum(job, pool, same_pages, ask), err);
        if (r < 0) {
            mv_error_prefix(err, "%s", mv_limits_subject(job, pool, same_pages, ask));
            return r;
        }
    }
    return 0;
}
