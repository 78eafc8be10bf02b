/* SPDX-License-Identifier: Apache-2.0 */
#include "host-memory.h"

#include "cleanup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* --- cgroups, as /proc tells of them */

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

/* Learn of a cgroup from a line of a file; true where there is no need of the rest. */
typedef bool take_line(struct mv_cgroup *cgroup, const char *controller, char *line);

static bool take_lines(const char *path, take_line *take, struct mv_cgroup *cgroup,
                       const char *controller)
{
    CLEANUP_FCLOSE FILE *lines = fopen(path, "re");
    CLEANUP_FREE char *line = NULL;
    size_t capacity = 0;
    while (lines != NULL && getline(&line, &capacity, lines) > 0) {
        if (take(cgroup, controller, line))
            return true;
    }
    return false;
}

/* The v1 hierarchy that has the controller, else v2 (cgroups(7)): "ID:CONTROLLERS:PATH". */
static bool take_path(struct mv_cgroup *cgroup, const char *controller, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return false;
    *controllers++ = *path++ = '\0';
    bool v1 = list_has(controllers, controller);
    if (v1 || (cgroup->path[0] == '\0' && controllers[0] == '\0')) {
        cgroup->v2 = !v1;
        snprintf(cgroup->path, sizeof cgroup->path, "%s", path);
    }
    return v1;
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
static bool take_mount(struct mv_cgroup *cgroup, const char *controller, char *line)
{
    char root[PATH_MAX], mount[PATH_MAX], type[32], options[256] = "";
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(rest + 3, "%31s %*s %255s", type, options) < 1)
        return false;
    if (strcmp(type, cgroup->v2 ? "cgroup2" : "cgroup") != 0 ||
        (!cgroup->v2 && !list_has(options, controller)))
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

static void trim(struct mv_cgroup *cgroup)
{
    size_t len = strlen(cgroup->path);
    while (len > 0 && cgroup->path[len - 1] == '/')
        cgroup->path[--len] = '\0';
}

bool mv_cgroup_find(const struct mv_host_memory_files *files, const char *controller,
                    struct mv_cgroup *ret)
{
    ret->path[0] = '\0';
    take_lines(files->cgroup, take_path, ret, controller);
    if (ret->path[0] == '\0' || !take_lines(files->mountinfo, take_mount, ret, controller))
        return false;
    trim(ret);
    return true;
}

bool mv_cgroup_file(const struct mv_cgroup *cgroup, const char *name, char ret[PATH_MAX])
{
    return snprintf(ret, PATH_MAX, "%s%s/%s", cgroup->mount, cgroup->path, name) < PATH_MAX;
}

bool mv_cgroup_up(struct mv_cgroup *cgroup)
{
    char *last = strrchr(cgroup->path, '/');
    if (last == NULL)
        return false;
    *last = '\0';
    trim(cgroup);
    return true;
}

/* --- memory */

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
