/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the nodes' meminfo below /sys.  No state; called by numa-policy.c. */
#include "numa-memory.h"

#include "block.h"
#include "host-memory.h"
#include "log.h"
#include "size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

int mv_numa_memory_check(const struct mv_block *block, const struct mv_config_backing *wish,
                         const struct mv_numa_policy *nodes, struct mv_error *err)
{
    char size[MV_SIZE_TEXT], has[MV_SIZE_TEXT], list[MV_NUMA_TEXT];
    bool lock = wish->lock == MV_SWITCH_ON;
    uint64_t needed = block->use.memory;
    struct room room;
    if (!measure(nodes, &room))
        return 0;
    mv_numa_policy_nodes(nodes, list);
    mv_size_format(needed, size);
    if (lock || wish->prealloc == MV_SWITCH_ON) {
        uint64_t left = room.left + (lock ? 0 : mv_host_memory_line("/proc/meminfo", "SwapFree"));
        const char *key = lock ? "lock" : "prealloc";
        if (needed <= left)
            return 0;
        return mv_error_set(err, ENOMEM,
                            "%s=on: %s is more than the %s that host-nodes=%s has left: name more "
                            "nodes, give a smaller bank, or leave %s=on out",
                            key, size, mv_size_format(left & ~(MV_MIB - 1), has), list, key);
    }
    uint64_t total = room.total + mv_host_memory_line("/proc/meminfo", "SwapTotal");
    if (needed > total)
        mv_warn("block %s: policy=bind: %s is more than the %s that host-nodes=%s has: should the "
                "guest use all of it, the kernel ends memvisor",
                block->id, size, mv_size_format(total & ~(MV_MIB - 1), has), list);
    return 0;
}
