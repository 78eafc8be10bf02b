/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's pool of huge pages (Documentation/admin-guide/mm/hugetlbpage.rst), of
 * which a mapping reserves what it needs.  And limits of control groups on huge pages,
 * in each of its two kinds: on pages that a mapping reserves, and on pages in use
 * (Documentation/admin-guide/cgroup-v2.rst, HugeTLB; cgroup-v1/hugetlb.rst), where
 * going beyond would end memvisor by SIGBUS, long after the start.  No state; called
 * by host-limits.c and by host-map.c.
 */
#include "limits-ask.h"

#include "host-memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* --- control groups */

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
        char file[PATH_MAX], use_file[PATH_MAX], need[MV_SIZE_TEXT], limit_text[MV_SIZE_TEXT];
        char use_text[MV_SIZE_TEXT], argument[MV_BACKING_SIZE_ARGUMENT];
        uint64_t limit, use, wanted;
        if (!read_file(cgroup, page_size, kinds[i].limit[cgroup->v2], file, &limit) ||
            !read_file(cgroup, page_size, kinds[i].use[cgroup->v2], use_file, &use) ||
            mv_add_overflows(use, missing, &wanted) || wanted <= limit)
            continue;
        return mv_error_set(err, ENOMEM,
                            "huge pages for %s are needed, and memvisor's cgroup may have %s of "
                            "them, of which %s are taken: type as root 'echo %s > %s'",
                            mv_size_format(missing, need), mv_size_format(limit, limit_text),
                            mv_size_format(use, use_text),
                            mv_backing_size_argument(wanted, argument), file);
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

/* --- the pool */

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
    char page[MV_SIZE_TEXT], command[192];
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
                        (uintmax_t)needed, mv_size_format(page_size, page), (uintmax_t)left,
                        command);
}

static bool same_pages(const struct mv_limits_ask *ask, const struct mv_limits_ask *like)
{
    return ask->pool != 0 && ask->request->wish->hugetlb == like->request->wish->hugetlb;
}

int mv_limits_check_pool(const struct mv_limits_job *job, struct mv_error *err)
{
    size_t pool = offsetof(struct mv_limits_ask, pool);
    for (size_t i = 0; i < job->count; i++) {
        const struct mv_limits_ask *ask = &job->asks[i];
        char who[MV_LIMITS_SUBJECT], folder[128];
        uint64_t page_size = ask->request->wish->hugetlb;
        snprintf(folder, sizeof folder, POOL, (uintmax_t)(page_size / 1024), "");
        /*
         * A page size that the host does not have, or a block of no whole number of pages: the
         * backing refuses it later.
         */
        if (ask->pool == 0 || ask->request->size % page_size != 0 || access(folder, F_OK) < 0)
            continue;
        int r = mv_limits_refuse_pool(page_size, mv_limits_sum(job, pool, same_pages, ask), err);
        if (r < 0) {
            mv_error_prefix(err, "%s", mv_limits_subject(job, pool, same_pages, ask, who));
            return r;
        }
    }
    return 0;
}
