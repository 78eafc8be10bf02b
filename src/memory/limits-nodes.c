/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the NUMA nodes that blocks are bound to: no other will do for their
 * pages, so that the kernel ends a process for which those are full.  Reads the
 * nodes' meminfo below /sys.  No state; called by host-limits.c.
 */
#include "limits-ask.h"

#include "host-memory.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MEMORY offsetof(struct mv_limits_ask, use.memory)
#define EARLY  offsetof(struct mv_limits_ask, use.early)
#define LOCKED offsetof(struct mv_limits_ask, use.locked)

struct room {
    uint64_t total; /* bytes */
    uint64_t left;  /* bytes: free, or clean copies of what is on a disk */
};

static void add_line(const char *line, struct room *room)
{
    static const char *const left[] = {"MemFree", "Active(file)", "Inactive(file)",
                                       "SReclaimable"};
    char name[32];
    uint64_t kib;
    if (sscanf(line, "Node %*u %31[^:]: %" SCNu64, name, &kib) != 2)
        return;
    if (strcmp(name, "MemTotal") == 0)
        room->total += kib * 1024;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        if (strcmp(name, left[i]) == 0)
            room->left += kib * 1024;
    }
}

static bool measure(const struct mv_numa_policy *nodes, struct room *ret)
{
    *ret = (struct room){0};
    for (unsigned n = 0; n < MV_NUMA_NODES; n++) {
        char line[128];
        if (!(nodes->nodes[n / 64] >> n % 64 & 1))
            continue;
        snprintf(line, sizeof line, "/sys/devices/system/node/node%u/meminfo", n);
        FILE *file = fopen(line, "re");
        if (file == NULL)
            return false;
        while (fgets(line, sizeof line, file) != NULL)
            add_line(line, ret);
        fclose(file);
    }
    return true;
}

/* Bound to some of the nodes that `like` is bound to, and to no others. */
static bool within(const struct mv_limits_ask *ask, const struct mv_limits_ask *like)
{
    for (size_t i = 0; i < MV_NUMA_NODES / 64; i++) {
        if (ask->bound.nodes[i] & ~like->bound.nodes[i])
            return false;
    }
    return ask->bound.word != NULL;
}

static bool is_first_of_set(const struct mv_limits_job *job, size_t i)
{
    const struct mv_limits_ask *ask = &job->asks[i];
    for (size_t k = 0; k < i; k++) {
        if (within(&job->asks[k], ask) && within(ask, &job->asks[k]))
            return false;
    }
    return ask->bound.word != NULL;
}

/* What is to be there before the guest starts, by the key that wants it. */
struct early {
    const char *key;
    size_t field;  /* of the asks */
    uint64_t left; /* bytes of the nodes */
};

static int refuse(const struct mv_limits_job *job, const struct mv_limits_ask *ask,
                  const struct early *need, struct mv_error *err)
{
    char who[MV_LIMITS_SUBJECT], size[MV_SIZE_TEXT], has[MV_SIZE_TEXT], list[MV_NUMA_TEXT];
    return mv_error_set(err, ENOMEM,
                        "%s: %s=on: %s is more than the %s that host-nodes=%s has left: name more "
                        "nodes, give a smaller bank, or leave %s=on out",
                        mv_limits_subject(job, need->field, within, ask, who), need->key,
                        mv_size_format(mv_limits_sum(job, need->field, within, ask), size),
                        mv_limits_round(need->left, has), mv_numa_policy_nodes(&ask->bound, list),
                        need->key);
}

static void warn(const struct mv_limits_job *job, const struct mv_limits_ask *ask, uint64_t total)
{
    char who[MV_LIMITS_SUBJECT], size[MV_SIZE_TEXT], has[MV_SIZE_TEXT], list[MV_NUMA_TEXT];
    mv_warn("%s: policy=bind: %s is more than the %s that host-nodes=%s has: should the guest use "
            "all of it, the kernel ends memvisor",
            mv_limits_subject(job, MEMORY, within, ask, who),
            mv_size_format(mv_limits_sum(job, MEMORY, within, ask), size),
            mv_limits_round(total, has), mv_numa_policy_nodes(&ask->bound, list));
}

int mv_limits_check_nodes(const struct mv_limits_job *job, struct mv_error *err)
{
    const char *meminfo = mv_host_memory_files.meminfo;
    for (size_t i = 0; i < job->count; i++) {
        const struct mv_limits_ask *ask = &job->asks[i];
        struct room room;
        if (!is_first_of_set(job, i) || !measure(&ask->bound, &room))
            continue;
        const struct early needs[] = {
            {"lock", LOCKED, room.left},
            {"prealloc", EARLY, room.left + mv_host_memory_line(meminfo, "SwapFree")},
        };
        for (size_t k = 0; k < sizeof needs / sizeof needs[0]; k++) {
            if (mv_limits_sum(job, needs[k].field, within, ask) > needs[k].left)
                return refuse(job, ask, &needs[k], err);
        }
        uint64_t total = room.total + mv_host_memory_line(meminfo, "SwapTotal");
        if (!job->quiet && mv_limits_sum(job, MEMORY, within, ask) > total)
            warn(job, ask, total);
    }
    return 0;
}
