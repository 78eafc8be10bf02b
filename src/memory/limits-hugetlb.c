/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of control groups on huge pages, in each of its two kinds: on pages
 * that a mapping reserves, and on pages in use
 * (Documentation/admin-guide/cgroup-v2.rst, HugeTLB; cgroup-v1/hugetlb.rst).
 * The second would end memvisor by SIGBUS, long after the start.  No state;
 * called by limits-pool.c.
 */
#include "limits-ask.h"

#include "cgroup.h"
#include "host-memory.h"

#include <inttypes.h>
#include <stdio.h>

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
