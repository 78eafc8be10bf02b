/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's pool of huge pages (Documentation/admin-guide/mm/hugetlbpage.rst).
 * A mapping reserves what it needs of it.  No state; called by host-limits.c
 * and by map-refusal.c.
 */
#include "limits-ask.h"

#include "host-memory.h"

#include <stdio.h>
#include <unistd.h>

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
        /* A size that the host has not, or that is no multiple, is the backing's to refuse. */
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
