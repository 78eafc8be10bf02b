/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA policies of blocks, by libnuma and mbind(2).  What stands is asked of
 * the kernel, which keeps it with the mapping: there is no state here.
 */
#include "policy.h"

#include "backing.h"
#include "block.h"
#include "config.h"

#include <linux/magic.h>
#include <numa.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

/* Linux 5.15; older headers have not got it. */
#define PREFERRED_MANY 5

static const struct mode {
    const char *word;
    int number;
} modes[] = {
    {"default", MPOL_DEFAULT},     {"bind", MPOL_BIND},           {"interleave", MPOL_INTERLEAVE},
    {"preferred", MPOL_PREFERRED}, {"preferred", PREFERRED_MANY},
};
#define MODES (sizeof modes / sizeof modes[0])

/* libnuma's own words on stderr: what it means comes back as an error. */
__attribute__((visibility("default"))) void numa_warn(int number, char *format, ...)
{
}

/* --- nodes */

static bool has_node(const struct mv_numa_policy *policy, unsigned node)
{
    return node < MV_NUMA_NODES && (policy->nodes[node / 64] >> node % 64 & 1);
}

const char *mv_numa_policy_nodes(const struct mv_numa_policy *policy, char buf[MV_NUMA_TEXT])
{
    size_t used = 0;
    buf[0] = '\0';
    for (unsigned n = 0; n < MV_NUMA_NODES && used < MV_NUMA_TEXT; n++) {
        unsigned last = n;
        if (!has_node(policy, n))
            continue;
        while (has_node(policy, last + 1))
            last++;
        used += (size_t)snprintf(buf + used, MV_NUMA_TEXT - used, last > n ? "%s%u-%u" : "%s%u",
                                 used > 0 ? "," : "", n, last);
        n = last;
    }
    return buf;
}

static unsigned take_nodes(const struct bitmask *mask, struct mv_numa_policy *ret)
{
    unsigned count = 0;
    for (unsigned n = 0; n < mask->size && n < MV_NUMA_NODES; n++) {
        if (!numa_bitmask_isbitset(mask, n))
            continue;
        ret->nodes[n / 64] |= UINT64_C(1) << n % 64;
        count++;
    }
    return count;
}

static int parse_nodes(const char *text, struct mv_numa_policy *ret, unsigned *ret_count,
                       struct mv_error *err)
{
    struct mv_numa_policy all = {0};
    char list[MV_NUMA_TEXT];
    struct bitmask *mask = numa_parse_nodestring(text);
    *ret_count = mask == NULL ? 0 : take_nodes(mask, ret);
    if (mask != NULL)
        numa_bitmask_free(mask);
    if (*ret_count > 0)
        return 0;
    take_nodes(numa_all_nodes_ptr, &all);
    return mv_error_set(err, ENXIO, "host-nodes=%s: the nodes of this host that have memory are %s",
                        text, mv_numa_policy_nodes(&all, list));
}

void mv_numa_policy_bound(const struct mv_config_backing *wish, struct mv_numa_policy *ret)
{
    struct mv_numa_policy bound = {.word = "bind"};
    unsigned count;
    if (wish->policy != NULL && strcmp(wish->policy, bound.word) == 0 && numa_available() >= 0 &&
        parse_nodes(wish->host_nodes, &bound, &count, NULL) == 0)
        *ret = bound;
}

/* --- applying */

/* Pages of a shared file come by the policy of whoever reads them first. */
static int check_backing(const struct mv_block *block, struct mv_error *err)
{
    const struct mv_backing *backing = block->backing;
    struct statfs fs;
    if (backing->fd < 0 || !backing->share || fstatfs(backing->fd, &fs) < 0)
        return 0;
    /* A block device's node stands in a tmpfs, but not its bytes. */
    if (!backing->device_node && (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC))
        return 0;
    return mv_error_set(err, ENOTSUP,
                        "policy= has no effect on a shared file on a disk: use memfd=on, hugetlb=, "
                        "share=off or a file in a tmpfs");
}

static int number_of(const char *word, unsigned nodes)
{
    if (strcmp(word, "preferred") == 0 && nodes > 1)
        return PREFERRED_MANY;
    for (size_t i = 0; i < MODES; i++) {
        if (strcmp(modes[i].word, word) == 0)
            return modes[i].number;
    }
    return MPOL_DEFAULT;
}

static int bind_pages(const struct mv_block *block, int mode, const struct mv_numa_policy *wanted,
                      struct mv_error *err)
{
    if (mbind(block->host, block->size, mode, wanted->nodes, MV_NUMA_NODES + 1,
              MPOL_MF_STRICT | MPOL_MF_MOVE) == 0)
        return 0;
    if (errno == EIO)
        return mv_error_set(err, EIO,
                            "policy=: pages of its file lie on other nodes, and the "
                            "host cannot move them: drop them from its cache first");
    if (errno == EINVAL && mode == PREFERRED_MANY)
        return mv_error_set(err, ENOTSUP,
                            "policy=preferred with several nodes needs a host with "
                            "Linux 5.15: name one node");
    return mv_error_set_errno(err, errno, "policy=: the host refuses it");
}

int mv_numa_policy_apply(const struct mv_block *block, const struct mv_config_backing *wish,
                         struct mv_error *err)
{
    struct mv_numa_policy wanted = {0}, stands;
    unsigned count;
    if (wish->policy == NULL || strcmp(wish->policy, "default") == 0)
        return 0;
    if (numa_available() < 0)
        return mv_error_set(err, ENOTSUP,
                            "policy=%s: this host's kernel has no NUMA policies: "
                            "leave it out",
                            wish->policy);
    int r = parse_nodes(wish->host_nodes, &wanted, &count, err);
    if (r == 0)
        r = check_backing(block, err);
    if (r == 0)
        r = bind_pages(block, number_of(wish->policy, count), &wanted, err);
    if (r < 0)
        return r;
    mv_numa_policy_describe(block, &stands);
    if (strcmp(stands.word, wish->policy) != 0 ||
        memcmp(stands.nodes, wanted.nodes, sizeof stands.nodes) != 0)
        return mv_error_set(err, ENOTSUP, "policy=%s: the host's kernel did not take it",
                            wish->policy);
    return 0;
}

void mv_numa_policy_describe(const struct mv_block *block, struct mv_numa_policy *ret)
{
    int number;
    *ret = (struct mv_numa_policy){.word = modes[0].word};
    if (get_mempolicy(&number, ret->nodes, MV_NUMA_NODES + 1, block->host, MPOL_F_ADDR) < 0)
        return;
    for (size_t i = 0; i < MODES; i++) {
        if (modes[i].number == number)
            ret->word = modes[i].word;
    }
}
