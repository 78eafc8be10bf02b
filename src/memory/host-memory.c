/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads meminfo, and the limits of this process's memory cgroup and all above
 * it: memory.max and memory.swap.max of cgroup v2, memory.limit_in_bytes and
 * memory.memsw.limit_in_bytes of v1 (Documentation/admin-guide/cgroup-v2.rst
 * and cgroup-v1/memory.rst).  No state and no lock; called by those who
 * look for limits.
 */
#include "host-memory.h"

#include "cgroup.h"
#include "cleanup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct mv_host_memory_files mv_host_memory_files = {"/proc/meminfo", "/proc/self/cgroup",
                                                          "/proc/self/mountinfo"};

uint64_t mv_host_memory_line(const char *path, const char *name)
{
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    char line[1024];
    size_t len = strlen(name);
    uint64_t kib;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, len) == 0 && line[len] == ':' &&
            sscanf(line + len + 1, "%" SCNu64, &kib) == 1)
            return kib * 1024;
    }
    return 0;
}

uint64_t mv_host_memory_number(const char *path)
{
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    uint64_t value;
    return file != NULL && fscanf(file, "%" SCNu64, &value) == 1 ? value : UINT64_MAX;
}

static void lower(struct mv_host_limit *limit, uint64_t bytes, const char file[PATH_MAX])
{
    if (bytes >= limit->bytes)
        return;
    limit->bytes = bytes;
    memcpy(limit->file, file, PATH_MAX);
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void apply_level(struct mv_host_memory *memory, const struct mv_cgroup *cgroup)
{
    char file[PATH_MAX], swap_file[PATH_MAX];
    if (!mv_cgroup_file(cgroup, cgroup->v2 ? "memory.max" : "memory.limit_in_bytes", file) ||
        !mv_cgroup_file(cgroup, cgroup->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
                        swap_file))
        return;
    uint64_t max = mv_host_memory_number(file), swap = mv_host_memory_number(swap_file);
    lower(&memory->memory, max, file);
    /* v2 counts swap by itself, v1 memory and swap together. */
    uint64_t own_swap = cgroup->v2 && swap < memory->swap ? swap : memory->swap;
    lower(&memory->whole, add_saturating(max, own_swap), file);
    if (!cgroup->v2)
        lower(&memory->whole, swap, swap_file);
}

int mv_host_memory_read(const struct mv_host_memory_files *files, struct mv_host_memory *ret,
                        struct mv_error *err)
{
    uint64_t total = mv_host_memory_line(files->meminfo, "MemTotal");
    uint64_t pool = mv_host_memory_line(files->meminfo, "Hugetlb");
    struct mv_cgroup cgroup;
    if (total == 0)
        return mv_error_set(err, ENOENT, "%s does not tell how much memory there is",
                            files->meminfo);
    *ret = (struct mv_host_memory){.swap = mv_host_memory_line(files->meminfo, "SwapTotal")};
    ret->memory.bytes = total > pool ? total - pool : 0;
    ret->whole.bytes = add_saturating(ret->memory.bytes, ret->swap);
    ret->available = add_saturating(mv_host_memory_line(files->meminfo, "MemAvailable"),
                                    mv_host_memory_line(files->meminfo, "SwapFree"));
    bool more = mv_cgroup_find(files, "memory", &cgroup);
    for (; more; more = mv_cgroup_up(&cgroup))
        apply_level(ret, &cgroup);
    return 0;
}
