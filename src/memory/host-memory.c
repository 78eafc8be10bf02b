/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads /proc/meminfo, the mount table and the files of control groups, of
 * both versions.  No state; called by limits.c.
 */
#include "host-memory.h"

#include "cleanup.h"

#include <inttypes.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void cleanup_file(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}
#define CLEANUP_FILE __attribute__((cleanup(cleanup_file)))

static void cleanup_mounts(FILE **mounts)
{
    if (*mounts != NULL)
        endmntent(*mounts);
}
#define CLEANUP_MOUNTS __attribute__((cleanup(cleanup_mounts)))

uint64_t mv_host_memory_info(const char *name)
{
    CLEANUP_FILE FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    size_t len = strlen(name);
    uint64_t kib;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, len) == 0 && sscanf(line + len, ": %" SCNu64, &kib) == 1)
            return kib * 1024;
    }
    return UINT64_MAX;
}

uint64_t mv_host_memory_number(const char *path)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    uint64_t value;
    return file != NULL && fscanf(file, "%" SCNu64, &value) == 1 ? value : UINT64_MAX;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a == UINT64_MAX || b == UINT64_MAX ? a : a + b;
}

uint64_t mv_host_memory_available(int swap)
{
    uint64_t available = mv_host_memory_info("MemAvailable");
    return swap ? add(available, mv_host_memory_info("SwapFree")) : available;
}

/* --- control groups */

/* The two versions: the kind of mount, an option that it must have, the limit's file. */
static const struct version {
    const char *type;
    const char *option;
    const char *controller; /* of /proc/self/cgroup's line; "" for version 2 */
    const char *limit;
} versions[] = {
    {"cgroup2", NULL, "", "memory.max"},
    {"cgroup", "memory", "memory", "memory.limit_in_bytes"},
};

/* Where the group of this process is below its mount, from /proc/self/cgroup. */
static bool find_path(const struct version *version, char *buf, size_t size)
{
    CLEANUP_FILE FILE *file = fopen("/proc/self/cgroup", "re");
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    while (file != NULL && getline(&line, &room, file) > 0) {
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        bool mine = false;
        char *rest = controllers + 1, *word;
        while ((word = strsep(&rest, ",")) != NULL)
            mine |= strcmp(word, version->controller) == 0;
        if (mine)
            return (size_t)snprintf(buf, size, "%s", path) < size;
    }
    return false;
}

/* The least of the limits of a group and those it is in. */
static uint64_t least_limit(const char *mount, char *path, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        CLEANUP_FREE char *name = NULL;
        if (asprintf(&name, "%s%s/%s", mount, path, file) < 0) {
            name = NULL;
            return least;
        }
        uint64_t limit = mv_host_memory_number(name);
        least = limit < least ? limit : least;
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static uint64_t group_limit(const struct version *version)
{
    char path[4096];
    CLEANUP_MOUNTS FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *mount;
    while (mounts != NULL && (mount = getmntent(mounts)) != NULL) {
        if (strcmp(mount->mnt_type, version->type) != 0 ||
            (version->option != NULL && hasmntopt(mount, version->option) == NULL))
            continue;
        return find_path(version, path, sizeof path)
                   ? least_limit(mount->mnt_dir, path, version->limit)
                   : UINT64_MAX;
    }
    return UINT64_MAX;
}

uint64_t mv_host_memory_total(const char **ret_who)
{
    uint64_t total = add(mv_host_memory_info("MemTotal"), mv_host_memory_info("SwapTotal"));
    *ret_who = "the host has";
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        uint64_t limit = group_limit(&versions[i]);
        if (limit >= total)
            continue;
        total = limit;
        *ret_who = "its control group may use";
    }
    return total;
}

char *mv_host_memory_tmpfs(dev_t device)
{
    CLEANUP_MOUNTS FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *mount;
    struct stat st;
    char *found = NULL;
    while (mounts != NULL && (mount = getmntent(mounts)) != NULL) {
        if (strcmp(mount->mnt_type, "tmpfs") != 0 || stat(mount->mnt_dir, &st) < 0 ||
            st.st_dev != device ||
            (found != NULL && strlen(found) <= strlen(mount->mnt_dir)))
            continue;
        free(found);
        found = strdup(mount->mnt_dir);
    }
    return found;
}
