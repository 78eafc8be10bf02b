/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of reasons for which the kernel says ENOMEM: getrlimit(2),
 * Documentation/mm/overcommit-accounting.rst, the pool of huge pages.  The
 * first that is so is told.  RLIMIT_DATA is looked at beforehand: the kernel
 * does not, where a mapping takes the place of another, and then refuses
 * whatever comes next.  No state; called by those who map.
 */
#include "map-refusal.h"

#include "backing.h"
#include "host-memory.h"
#include "limits-ask.h"
#include "error.h"
#include "size.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define STATUS     "/proc/self/status"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

/* Each sets the message, or returns 0 where it is not the reason. */
typedef int reason(const struct mv_backing *backing, uint64_t size, struct mv_error *err);

static int rlimit_reason(int resource, const char *used_line, uint64_t size, const char *of,
                         struct mv_error *err)
{
    char limit[MV_SIZE_TEXT], used[MV_SIZE_TEXT], remedy[MV_RLIMIT_REMEDY];
    struct rlimit rlimit;
    uint64_t has = mv_host_memory_line(STATUS, used_line), all;
    if (mv_add_overflows(has, size, &all))
        all = RLIM_INFINITY;
    if (getrlimit((__rlimit_resource_t)resource, &rlimit) < 0 || rlimit.rlim_cur == RLIM_INFINITY ||
        all <= rlimit.rlim_cur)
        return 0;
    return mv_error_set(err, ENOMEM,
                        "this process has %s of %s already, and its limit is %s: %s",
                        mv_limits_round(has, used), of, mv_limits_round(rlimit.rlim_cur, limit),
                        mv_rlimit_remedy(resource, all, remedy));
}

static int address_space(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    (void)backing;
    return rlimit_reason(RLIMIT_AS, "VmSize", size, "address space", err);
}

static int pool(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    struct stat st;
    if (backing == NULL || !mv_backing_is_huge(backing) || fstat(backing->fd, &st) < 0)
        return 0;
    /* Private copies are made besides what the file has, and that may be in other parts of it. */
    uint64_t has = backing->share && !backing->part ? (uint64_t)st.st_blocks * 512 : 0;
    return mv_limits_refuse_pool(backing->page_size, has < size ? size - has : 0, err);
}

static int promises(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    char limit[MV_SIZE_TEXT], used[MV_SIZE_TEXT];
    const char *meminfo = mv_host_memory_files.meminfo;
    if (mv_host_memory_number(OVERCOMMIT) != 2)
        return 0;
    return mv_error_set(err, ENOMEM,
                        "vm.overcommit_memory is 2, and of the %s that the host lets itself "
                        "promise %s are taken: type as root 'sysctl vm.overcommit_memory=0', or "
                        "keep the bytes in a file on a disk (file=)",
                        mv_limits_round(mv_host_memory_line(meminfo, "CommitLimit"), limit),
                        mv_limits_round(mv_host_memory_line(meminfo, "Committed_AS"), used));
}

static reason *const of_mapping[] = {address_space, pool, promises};
static reason *const of_pages[] = {pool, promises};

#define REFUSED "the host does not map %s"

int mv_map_refuse(const struct mv_backing *backing, uint64_t size, uint64_t needed, int errnum,
                  struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    mv_size_format(size, text);
    for (size_t i = 0; errnum == ENOMEM && i < sizeof of_mapping / sizeof of_mapping[0]; i++) {
        if (of_mapping[i](backing, needed, err) < 0) {
            mv_error_prefix(err, REFUSED, text);
            return -errnum;
        }
    }
    return mv_error_set_errno(err, errnum, "the host cannot map %s: give the guest less memory",
                              text);
}

int mv_map_check(uint64_t size, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    int r = rlimit_reason(RLIMIT_DATA, "VmData", size, "private memory", err);
    if (r < 0)
        mv_error_prefix(err, REFUSED, mv_size_format(size, text));
    return r;
}

int mv_map_refuse_pages(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof of_pages / sizeof of_pages[0]; i++)
        r = of_pages[i](backing, size, err);
    return r;
}
