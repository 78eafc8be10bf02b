/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads meminfo, and the limits of this process's memory cgroup and all above
 * it: memory.max and memory.swap.max of cgroup v2, memory.limit_in_bytes and
 * memory.memsw.limit_in_bytes of v1 (Documentation/admin-guide/cgroup-v2.rst
 * and cgroup-v1/memory.rst).  No state and no lock; called by those who
 * look for limits.
 */
#include "host-memory.h"

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

/* --- finding the cgroup */

struct cgroup {
    bool v2;
    char path[PATH_MAX];  /* in its hierarchy */
    char mount[PATH_MAX]; /* where that hierarchy is mounted */
};

/* Whether a list that commas separate has the word. */
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len) {
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* The v1 hierarchy that has the memory controller, else v2 (cgroups(7)): "ID:CONTROLLERS:PATH". */
static bool find_cgroup(const char *file, struct cgroup *ret)
{
    CLEANUP_FCLOSE FILE *lines = fopen(file, "re");
    CLEANUP_FREE char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (lines != NULL && getline(&line, &capacity, lines) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL)
            continue;
        *controllers++ = *path++ = '\0';
        bool v1 = list_has(controllers, "memory");
        if (!v1 && (found || controllers[0] != '\0'))
            continue;
        found = true;
        ret->v2 = !v1;
        snprintf(ret->path, sizeof ret->path, "%s", path);
        if (v1)
            break;
    }
    return found;
}

/* Blanks and the like stand in mountinfo as \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        unsigned code;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1 && code != 0) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* proc_pid_mountinfo(5): "36 35 98:0 ROOT MOUNT OPTIONS ... - TYPE SOURCE SUPER-OPTIONS". */
static bool take_mount(struct cgroup *cgroup, const char *line)
{
    char root[PATH_MAX], mount[PATH_MAX], type[32], options[256] = "";
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(rest + 3, "%31s %*s %255s", type, options) < 1)
        return false;
    if (strcmp(type, cgroup->v2 ? "cgroup2" : "cgroup") != 0 ||
        (!cgroup->v2 && !list_has(options, "memory")))
        return false;
    unescape(root);
    unescape(mount);
    /* Only a part of the hierarchy may be mounted, as in a container. */
    size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(cgroup->path, root, len) == 0 && strstr(cgroup->path, "/..") == NULL &&
        (cgroup->path[len] == '/' || cgroup->path[len] == '\0'))
        memmove(cgroup->path, cgroup->path + len, strlen(cgroup->path + len) + 1);
    else
        cgroup->path[0] = '\0';
    snprintf(cgroup->mount, sizeof cgroup->mount, "%s", mount);
    return true;
}

static bool find_mount(const char *file, struct cgroup *cgroup)
{
    CLEANUP_FCLOSE FILE *lines = fopen(file, "re");
    CLEANUP_FREE char *line = NULL;
    size_t capacity = 0;
    while (lines != NULL && getline(&line, &capacity, lines) > 0) {
        if (take_mount(cgroup, line))
            return true;
    }
    return false;
}

/* --- its limits */

/* False where no such file can be named. */
static bool name_file(const struct cgroup *cgroup, const char *name, char buf[PATH_MAX])
{
    return snprintf(buf, PATH_MAX, "%s%s/memory.%s", cgroup->mount, cgroup->path, name) < PATH_MAX;
}

static void apply_level(struct mv_host_memory *memory, const struct cgroup *cgroup)
{
    char file[PATH_MAX], swap_file[PATH_MAX];
    if (!name_file(cgroup, cgroup->v2 ? "max" : "limit_in_bytes", file) ||
        !name_file(cgroup, cgroup->v2 ? "swap.max" : "memsw.limit_in_bytes", swap_file))
        return;
    uint64_t max = mv_host_memory_number(file), swap = mv_host_memory_number(swap_file);
    lower(&memory->memory, max, file);
    /* v2 counts swap by itself, v1 memory and swap together. */
    uint64_t own_swap = cgroup->v2 && swap < memory->swap ? swap : memory->swap;
    lower(&memory->whole, add_saturating(max, own_swap), file);
    if (!cgroup->v2)
        lower(&memory->whole, swap, swap_file);
}

static void apply_cgroups(struct mv_host_memory *memory, struct cgroup *cgroup)
{
    for (;;) {
        size_t len = strlen(cgroup->path);
        while (len > 0 && cgroup->path[len - 1] == '/')
            cgroup->path[--len] = '\0';
        apply_level(memory, cgroup);
        char *last = strrchr(cgroup->path, '/');
        if (last == NULL)
            break;
        *last = '\0';
    }
}

int mv_host_memory_read(const struct mv_host_memory_files *files, struct mv_host_memory *ret,
                        struct mv_error *err)
{
    uint64_t total = mv_host_memory_line(files->meminfo, "MemTotal");
    uint64_t pool = mv_host_memory_line(files->meminfo, "Hugetlb");
    struct cgroup cgroup = {0};
    if (total == 0)
        return mv_error_set(err, ENOENT, "%s does not tell how much memory there is",
                            files->meminfo);
    *ret = (struct mv_host_memory){.swap = mv_host_memory_line(files->meminfo, "SwapTotal")};
    ret->memory.bytes = total > pool ? total - pool : 0;
    ret->whole.bytes = add_saturating(ret->memory.bytes, ret->swap);
    ret->available = add_saturating(mv_host_memory_line(files->meminfo, "MemAvailable"),
                                    mv_host_memory_line(files->meminfo, "SwapFree"));
    if (find_cgroup(files->cgroup, &cgroup) && find_mount(files->mountinfo, &cgroup))
        apply_cgroups(ret, &cgroup);
    return 0;
}
