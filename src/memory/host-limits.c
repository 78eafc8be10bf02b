/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blocks ask of the host: one table of checks, each of which looks at all blocks
 * together.  Memory that the guest may never touch is no reason to refuse it: that is a
 * warning.  All banks are looked at at once before the first is made (the plan), and
 * each block that comes later by itself.  The registry's lock guards the list; the plan
 * is the main thread's.  Called by block.c and the machine.
 */
#include "block-registry.h"

#include "bank.h"
#include "cleanup.h"
#include "host-memory.h"
#include "limits-ask.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What memvisor itself may take, when a cgroup's limit is to be raised. */
#define OWN_MEMORY (64 * MV_MIB)

#define MEMORY offsetof(struct mv_limits_ask, use.memory)
#define EARLY  offsetof(struct mv_limits_ask, use.early)
#define LOCKED offsetof(struct mv_limits_ask, use.locked)

/* What the blocks at hand ask for and what is there; 0 where they ask for nothing. */
static uint64_t sum(const struct mv_limits_job *job, size_t field, uint64_t there)
{
    uint64_t own = mv_limits_sum(job, field, NULL, NULL), total;
    if (own == 0)
        return 0;
    return mv_add_overflows(own, there, &total) ? UINT64_MAX : total;
}

/* What more of is wanted than there is. */
struct need {
    const char *key; /* that wants it before the guest starts; NULL: the guest can come to use it */
    size_t field;    /* of the asks */
    uint64_t there;  /* bytes of the blocks that were there */
    const char *of;
    const struct mv_host_limit *limit;
};

static int explain(const struct mv_limits_job *job, const struct need *need, struct mv_error *ret)
{
    const struct mv_host_limit *limit = need->limit;
    const char *key = need->key == NULL ? "" : need->key;
    uint64_t wanted = sum(job, need->field, need->there);
    char what[MV_LIMITS_SUBJECT + 160], otherwise[80];
    snprintf(what, sizeof what, "%s: %s%s%s%s%s is more than the %s",
             mv_limits_subject(job, need->field, NULL, NULL), key, *key ? "=on: " : "",
             mv_size_text(wanted), need->there == 0 ? "" : " with the blocks that were there",
             *key ? "" : ", which the guest can come to use,", mv_limits_text(limit->bytes));
    if (*key)
        snprintf(otherwise, sizeof otherwise, "give less, or leave %s=on out", key);
    else
        strcpy(otherwise, "give less, or keep the bytes in a file on a disk (file=)");
    if (limit->file[0] == '\0')
        return mv_error_set(ret, ENOMEM, "%s of %s that this host has: %s", what, need->of,
                            otherwise);
    if (wanted < UINT64_MAX - OWN_MEMORY - MV_MIB)
        wanted = mv_align_up(wanted + OWN_MEMORY, MV_MIB);
    return mv_error_set(ret, ENOMEM,
                        "%s that memvisor's cgroup may use: type as root 'echo %s > %s', %s", what,
                        mv_argument_text(wanted), limit->file, otherwise);
}

static int check_memory(const struct mv_limits_job *job, struct mv_error *err)
{
    struct mv_host_memory host;
    struct mv_error text;
    if (mv_host_memory_read(&mv_host_memory_files, &host, &text) < 0)
        return 0; /* there is nothing to compare with */
    const char *of = host.swap == 0 ? "memory" : "memory and swap";
    const struct mv_limits_use *there = job->there;
    uint64_t early = sum(job, EARLY, 0);
    const struct need needs[] = {
        {"lock", LOCKED, there->locked, "memory", &host.memory},
        {"prealloc", EARLY, there->early, of, &host.whole},
    };
    const struct need lazy = {NULL, MEMORY, there->memory, of, &host.whole};
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (sum(job, needs[i].field, needs[i].there) > needs[i].limit->bytes)
            return explain(job, &needs[i], err);
    }
    if (job->quiet)
        return 0;
    /* Only the block that crosses the limit is warned of, not each that comes after it. */
    if (sum(job, MEMORY, there->memory) > host.whole.bytes && there->memory <= host.whole.bytes) {
        explain(job, &lazy, &text);
        mv_warn("%s", text.text);
    } else if (early > host.available) {
        mv_warn("%s: %s is to be allocated now, and the host says that %s is available: it may end "
                "programs to get the rest",
                mv_limits_subject(job, EARLY, NULL, NULL), mv_size_text(early),
                mv_limits_text(host.available));
    }
    return 0;
}

/*
 * --- memory of the NUMA nodes that blocks are bound to: no other will do for their
 * pages, so that the kernel ends a process for which those are full
 */

struct room {
    uint64_t total; /* bytes */
    uint64_t left;  /* bytes: free, or clean copies of what is on a disk */
};

static void add_line(const char *line, struct room *room)
{
    static const char *const left[] = {"MemFree", "Active(file)", "Inactive(file)", "SReclaimable"};
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
        CLEANUP_FCLOSE FILE *file = fopen(line, "re");
        if (file == NULL)
            return false;
        while (fgets(line, sizeof line, file) != NULL)
            add_line(line, ret);
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

static int check_nodes(const struct mv_limits_job *job, struct mv_error *err)
{
    const char *meminfo = mv_host_memory_files.meminfo;
    for (size_t i = 0; i < job->count; i++) {
        const struct mv_limits_ask *ask = &job->asks[i];
        struct room room;
        char list[MV_NUMA_TEXT];
        if (!is_first_of_set(job, i) || !measure(&ask->bound, &room))
            continue;
        mv_numa_policy_nodes(&ask->bound, list);
        const struct {
            const char *key;
            size_t field;
            uint64_t left;
        } needs[] = {
            {"lock", LOCKED, room.left},
            {"prealloc", EARLY, room.left + mv_host_memory_line(meminfo, "SwapFree")},
        };
        for (size_t k = 0; k < sizeof needs / sizeof needs[0]; k++) {
            uint64_t wanted = mv_limits_sum(job, needs[k].field, within, ask);
            if (wanted > needs[k].left)
                return mv_error_set(err, ENOMEM,
                                    "%s: %s=on: %s is more than the %s that host-nodes=%s has "
                                    "left: name more nodes, give a smaller bank, or leave %s=on "
                                    "out",
                                    mv_limits_subject(job, needs[k].field, within, ask),
                                    needs[k].key, mv_size_text(wanted),
                                    mv_limits_text(needs[k].left), list, needs[k].key);
        }
        uint64_t total = room.total + mv_host_memory_line(meminfo, "SwapTotal");
        uint64_t wanted = mv_limits_sum(job, MEMORY, within, ask);
        if (!job->quiet && wanted > total)
            mv_warn("%s: policy=bind: %s is more than the %s that host-nodes=%s has: should the "
                    "guest use all of it, the kernel ends memvisor",
                    mv_limits_subject(job, MEMORY, within, ask), mv_size_text(wanted),
                    mv_limits_text(total), list);
    }
    return 0;
}

static int (*const checks[])(const struct mv_limits_job *job, struct mv_error *err) = {
    mv_limits_check_files,
    mv_limits_check_pool,
    check_memory,
    check_nodes,
};

/*
 * Check blocks that are to be made, all together and besides what `there` says
 * of those that exist; `quiet` leaves warnings out.  The requests' wishes are
 * what --back has made of them.  Stores one use a request in ret_uses.
 * -ENOMEM or -ENOSPC where the host cannot give what is to be there before the
 * guest starts; the message names the blocks and what to type.
 */
static int check(const struct mv_backing_request *requests, size_t count,
                 const struct mv_limits_use *there, bool quiet, struct mv_limits_use *ret_uses,
                 struct mv_error *err)
{
    struct mv_limits_job job = {.there = there, .quiet = quiet};
    int r = mv_limits_job_make(&job, requests, count, err);
    for (size_t i = 0; r == 0 && i < sizeof checks / sizeof checks[0]; i++)
        r = checks[i](&job, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        ret_uses[i] = job.asks[i].use;
    mv_limits_job_free(&job);
    return r;
}

/* --- the blocks of a VM */

static void add_use(struct mv_limits_use *total, const struct mv_limits_use *use)
{
    total->memory += use->memory;
    total->early += use->early;
    total->locked += use->locked;
}

static void sum_uses(struct mv_block_registry *registry, struct mv_limits_use *ret)
{
    *ret = (struct mv_limits_use){0};
    MV_LOCK_SCOPE(&registry->lock);
    for (const struct mv_block *block = registry->first; block != NULL; block = block->next)
        add_use(ret, &block->use);
}

int mv_block_registry_check_limits(struct mv_block_registry *registry,
                                   const struct mv_backing_request *request,
                                   struct mv_limits_use *ret, struct mv_error *err)
{
    struct mv_limits_use there;
    sum_uses(registry, &there);
    return check(request, 1, &there, registry->planned, ret, err);
}

uint64_t mv_block_registry_locked(const struct mv_block *block)
{
    struct mv_limits_use there;
    sum_uses(block->registry, &there);
    return block->registry->planned ? block->registry->plan.locked
                                    : there.locked + block->use.locked;
}

int mv_block_registry_plan(struct mv_block_registry *registry, const struct mv_bank_layout *layout,
                           struct mv_error *err)
{
    CLEANUP_FREE struct mv_backing_request *requests = calloc(layout->count, sizeof *requests);
    CLEANUP_FREE struct mv_limits_use *uses = calloc(layout->count, sizeof *uses);
    int r = 0;
    if (registry->inherited != NULL)
        return 0; /* it is there already */
    if (requests == NULL || uses == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the banks");
    for (size_t i = 0; r == 0 && i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        r = mv_block_registry_request(registry, bank->id, bank->size, &bank->wish->backing,
                                      &requests[i], err);
    }
    sum_uses(registry, &registry->plan);
    if (r == 0)
        r = check(requests, layout->count, &registry->plan, false, uses, err);
    for (size_t i = 0; r == 0 && i < layout->count; i++)
        add_use(&registry->plan, &uses[i]);
    registry->planned = r == 0;
    return r;
}

void mv_block_registry_plan_end(struct mv_block_registry *registry)
{
    registry->planned = false;
}
