/* SPDX-License-Identifier: Apache-2.0 */
#include "host-map.h"

#include "backing.h"
#include "cleanup.h"
#include "error.h"
#include "host-memory.h"
#include "limits-ask.h"
#include "size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is there: smaps */

/* Lines of a mapping's entry that count bytes, in kB. */
static const struct {
    const char *name;
    size_t offset;
    bool huge;
} counters[] = {
    {"Rss:", offsetof(struct mv_host_map, resident), false},
    {"AnonHugePages:", offsetof(struct mv_host_map, huge), false},
    {"ShmemPmdMapped:", offsetof(struct mv_host_map, huge), false},
    {"FilePmdMapped:", offsetof(struct mv_host_map, huge), false},
    /* Pages of the pool are no part of Rss. */
    {"Shared_Hugetlb:", offsetof(struct mv_host_map, resident), true},
    {"Private_Hugetlb:", offsetof(struct mv_host_map, resident), true},
};

static const struct {
    const char *letters;
    enum mv_host_map_flag flag;
} flags[] = {
    {" lo", MV_HOST_MAP_LOCKED}, {" dd", MV_HOST_MAP_NO_DUMP}, {" mg", MV_HOST_MAP_MERGEABLE},
    {" hg", MV_HOST_MAP_HUGE},   {" nh", MV_HOST_MAP_NO_HUGE},
};

static void take_counter(struct mv_host_map *map, const char *line)
{
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        size_t len = strlen(counters[i].name);
        uint64_t kib;
        if (strncmp(line, counters[i].name, len) != 0 || sscanf(line + len, "%" SCNu64, &kib) != 1)
            continue;
        *(uint64_t *)((char *)map + counters[i].offset) += kib * 1024;
        if (counters[i].huge)
            map->huge += kib * 1024;
    }
}

static unsigned parse_flags(const char *line)
{
    unsigned found = 0;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strstr(line, flags[i].letters) != NULL)
            found |= flags[i].flag;
    }
    return found;
}

int mv_host_map_measure(const uint8_t *host, uint64_t size, struct mv_host_map *ret,
                        struct mv_error *err)
{
    CLEANUP_FCLOSE FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL)
        return mv_error_set_errno(err, errno, "cannot read /proc/self/smaps");
    struct mv_host_map map = {.all = ~0u};
    CLEANUP_FREE char *line = NULL;
    size_t capacity = 0;
    uint64_t first = (uintptr_t)host, last = first + size - 1, from, to;
    bool inside = false;
    while (getline(&line, &capacity, smaps) > 0) {
        /* Only a mapping's head starts with an address: names have capitals. */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
            inside = from <= last && to > first;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            map.all &= parse_flags(line);
            map.any |= parse_flags(line);
        } else if (inside) {
            take_counter(&map, line);
        }
    }
    *ret = map;
    return 0;
}

/* --- reservations */

static uint64_t guarded(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return mv_align_up(size, page) + page;
}

int mv_reserve(uint64_t size, uint64_t align, uint8_t **ret_host, struct mv_error *err)
{
    uint64_t whole, page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (mv_add_overflows(size, align + 2 * page, &whole) || whole > SIZE_MAX)
        return mv_error_set(err, ENOMEM, "%s is too large for this host's address space",
                            mv_size_text(size));
    whole = guarded(size) + align;
    uint8_t *start =
        mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return mv_map_refuse(NULL, size, whole, errno, err);
    /* What sticks out on both ends goes back. */
    uint8_t *host = (uint8_t *)mv_align_up((uintptr_t)start, align);
    uint8_t *end = host + guarded(size);
    if (host > start)
        munmap(start, (size_t)(host - start));
    if (start + whole > end)
        munmap(end, (size_t)(start + whole - end));
    *ret_host = host;
    return 0;
}

void mv_unreserve(uint8_t *host, uint64_t size)
{
    munmap(host, guarded(size));
}

/*
 * --- refusals: one table of reasons for which the kernel says ENOMEM (getrlimit(2),
 * Documentation/mm/overcommit-accounting.rst, the pool of huge pages), of which the
 * first that is so is told.  RLIMIT_DATA is looked at beforehand: the kernel does not,
 * where a mapping takes the place of another, and then refuses whatever comes next.
 */

#define STATUS     "/proc/self/status"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

/* Each sets the message, or returns 0 where it is not the reason. */
typedef int reason(const struct mv_backing *backing, uint64_t size, struct mv_error *err);

static int rlimit_reason(int resource, const char *used_line, uint64_t size, const char *of,
                         struct mv_error *err)
{
    char remedy[MV_RLIMIT_REMEDY];
    struct rlimit rlimit;
    uint64_t has = mv_host_memory_line(STATUS, used_line), all;
    if (mv_add_overflows(has, size, &all))
        all = RLIM_INFINITY;
    if (getrlimit((__rlimit_resource_t)resource, &rlimit) < 0 || rlimit.rlim_cur == RLIM_INFINITY ||
        all <= rlimit.rlim_cur)
        return 0;
    return mv_error_set(err, ENOMEM, "this process has %s of %s already, and its limit is %s: %s",
                        mv_limits_text(has), of, mv_limits_text(rlimit.rlim_cur),
                        mv_rlimit_remedy(resource, all, remedy));
}

static int address_space(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    return rlimit_reason(RLIMIT_AS, "VmSize", size, "address space", err);
}

static int pool(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    struct stat st;
    if (backing == NULL || !mv_backing_is_huge(backing) || fstat(backing->fd, &st) < 0)
        return 0;
    /*
     * Private copies need pages besides those of the file; and the file's may be in other parts
     * of it.
     */
    uint64_t has = backing->share && !backing->part ? (uint64_t)st.st_blocks * 512 : 0;
    return mv_limits_refuse_pool(backing->page_size, has < size ? size - has : 0, err);
}

static int promises(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    const char *meminfo = mv_host_memory_files.meminfo;
    if (mv_host_memory_number(OVERCOMMIT) != 2)
        return 0;
    return mv_error_set(err, ENOMEM,
                        "vm.overcommit_memory is 2, and of the %s that the host lets itself "
                        "promise %s are taken: type as root 'sysctl vm.overcommit_memory=0', or "
                        "keep the bytes in a file on a disk (file=)",
                        mv_limits_text(mv_host_memory_line(meminfo, "CommitLimit")),
                        mv_limits_text(mv_host_memory_line(meminfo, "Committed_AS")));
}

static reason *const of_mapping[] = {address_space, pool, promises};
static reason *const of_pages[] = {pool, promises};

#define REFUSED "the host does not map %s"

int mv_map_refuse(const struct mv_backing *backing, uint64_t size, uint64_t needed, int errnum,
                  struct mv_error *err)
{
    for (size_t i = 0; errnum == ENOMEM && i < sizeof of_mapping / sizeof of_mapping[0]; i++) {
        if (of_mapping[i](backing, needed, err) < 0) {
            mv_error_prefix(err, REFUSED, mv_size_text(size));
            return -errnum;
        }
    }
    return mv_error_set_errno(err, errnum, "the host cannot map %s: give the guest less memory",
                              mv_size_text(size));
}

int mv_map_check(uint64_t size, struct mv_error *err)
{
    int r = rlimit_reason(RLIMIT_DATA, "VmData", size, "private memory", err);
    if (r < 0)
        mv_error_prefix(err, REFUSED, mv_size_text(size));
    return r;
}

int mv_map_refuse_pages(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof of_pages / sizeof of_pages[0]; i++)
        r = of_pages[i](backing, size, err);
    return r;
}
