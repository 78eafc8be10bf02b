/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads smaps and pagemap of this process.  No state and no lock: any thread.
 * Called by block-info.c and by what checks that advice took effect.
 */
#include "host-map.h"

#include "cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    {"Locked:", offsetof(struct mv_host_map, locked), false},
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

/* Documentation/admin-guide/mm/pagemap.rst: bit 63 is "page present". */
static uint64_t count_present(const uint64_t *entries, size_t count)
{
    uint64_t present = 0;
    for (size_t i = 0; i < count; i++)
        present += entries[i] >> 63;
    return present;
}

int mv_host_map_residency(const uint8_t *host, uint64_t size, size_t parts, uint64_t *ret_bytes,
                          struct mv_error *err)
{
    enum { CHUNK = 8192 };
    CLEANUP_CLOSE int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE uint64_t *entries = malloc(CHUNK * sizeof *entries);
    if (fd < 0 || entries == NULL)
        return mv_error_set_errno(err, fd < 0 ? errno : ENOMEM, "cannot read /proc/self/pagemap");
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = size / page;
    uint64_t first = (uintptr_t)host / page;
    for (size_t part = 0; part < parts; part++) {
        uint64_t at = pages * part / parts, end = pages * (part + 1) / parts, present = 0;
        while (at < end) {
            size_t count = end - at < CHUNK ? end - at : CHUNK;
            ssize_t n = pread(fd, entries, count * 8, (off_t)((first + at) * 8));
            if (n <= 0 || n % 8 != 0)
                return mv_error_set_errno(err, n < 0 ? errno : EIO,
                                          "cannot read /proc/self/pagemap");
            present += count_present(entries, (size_t)n / 8);
            at += (uint64_t)n / 8;
        }
        ret_bytes[part] = present * page;
    }
    return 0;
}
