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

#include <stdio.h>

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

/* "64 GiB", "64 GiB with the blocks that were there". */
#define AMOUNT_TEXT (MV_SIZE_TEXT + 48)
static const char *amount(uint64_t wanted, uint64_t there, char buf[AMOUNT_TEXT])
{
    char size[MV_SIZE_TEXT];
    snprintf(buf, AMOUNT_TEXT, "%s%s", mv_size_format(wanted, size),
             there == 0 ? "" : " with the blocks that were there");
    return buf;
}

/* "64 GiB is more than the 16 GiB of memory that this host has: " and what to do. */
#define LIMIT_TEXT (PATH_MAX + 512)
static const char *explain(const struct mv_host_limit *limit, uint64_t wanted, const char *of,
                           const char *otherwise, char buf[LIMIT_TEXT])
{
    char has[MV_SIZE_TEXT], argument[MV_BACKING_SIZE_ARGUMENT];
    mv_limits_round(limit->bytes, has);
    if (limit->file[0] == '\0') {
        snprintf(buf, LIMIT_TEXT, "more than the %s of %s that this host has: %s", has, of,
                 otherwise);
        return buf;
    }
    if (wanted < UINT64_MAX - OWN_MEMORY - MV_MIB)
        wanted = mv_align_up(wanted + OWN_MEMORY, MV_MIB);
    snprintf(buf, LIMIT_TEXT,
             "more than the %s that memvisor's cgroup may use: type as root 'echo %s > %s', %s",
             has, mv_backing_size_argument(wanted, argument), limit->file, otherwise);
    return buf;
}

/* What is to be there before the guest starts, by the key that wants it. */
struct early {
    const char *key;
    size_t field;   /* of the asks */
    uint64_t there; /* bytes of the blocks that were there */
    const char *of;
    const struct mv_host_limit *limit;
};

static int refuse_early(const struct mv_limits_job *job, const struct early *need,
                        struct mv_error *err)
{
    char who[MV_LIMITS_SUBJECT], size[AMOUNT_TEXT], text[LIMIT_TEXT], otherwise[64];
    uint64_t wanted = sum(job, need->field, need->there);
    snprintf(otherwise, sizeof otherwise, "give less, or leave %s=on out", need->key);
    return mv_error_set(err, ENOMEM, "%s: %s=on: %s is %s",
                        mv_limits_subject(job, need->field, NULL, NULL, who), need->key,
                        amount(wanted, need->there, size),
                        explain(need->limit, wanted, need->of, otherwise, text));
}

static void warn_lazy(const struct mv_limits_job *job, uint64_t wanted, const char *of,
                      const struct mv_host_limit *limit)
{
    char who[MV_LIMITS_SUBJECT], size[AMOUNT_TEXT], text[LIMIT_TEXT];
    mv_warn("%s: %s, which the guest can come to use, is %s",
            mv_limits_subject(job, MEMORY, NULL, NULL, who),
            amount(wanted, job->there->memory, size),
            explain(limit, wanted, of, "give less, or keep the bytes in a file on a disk (file=)",
                    text));
}

static void warn_scarce(const struct mv_limits_job *job, uint64_t wanted, uint64_t available)
{
    char who[MV_LIMITS_SUBJECT], size[MV_SIZE_TEXT], has[MV_SIZE_TEXT];
    mv_warn("%s: %s is to be allocated now, and the host says that %s is available: it may end "
            "programs to get the rest",
            mv_limits_subject(job, EARLY, NULL, NULL, who), mv_size_format(wanted, size),
            mv_limits_round(available, has));
}

static int check_memory(const struct mv_limits_job *job, struct mv_error *err)
{
    struct mv_host_memory host;
    struct mv_error unknown;
    if (mv_host_memory_read(&mv_host_memory_files, &host, &unknown) < 0)
        return 0; /* there is nothing to compare with */
    const char *of = host.swap == 0 ? "memory" : "memory and swap";
    const struct mv_limits_use *there = job->there;
    uint64_t memory = sum(job, MEMORY, there->memory);
    const struct early needs[] = {
        {"lock", LOCKED, there->locked, "memory", &host.memory},
        {"prealloc", EARLY, there->early, of, &host.whole},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (sum(job, needs[i].field, needs[i].there) > needs[i].limit->bytes)
            return refuse_early(job, &needs[i], err);
    }
    if (job->quiet)
        return 0;
    /* Only the block that crosses the limit is warned of, not each that comes after it. */
    if (memory > host.whole.bytes && there->memory <= host.whole.bytes)
        warn_lazy(job, memory, of, &host.whole);
    else if (sum(job, EARLY, 0) > host.available)
        warn_scarce(job, sum(job, EARLY, 0), host.available);
    return 0;
}

static int (*const checks[])(const struct mv_limits_job *job, struct mv_error *err) = {
    mv_limits_check_files,
    mv_limits_check_pool,
    check_memory,
    mv_limits_check_nodes,
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
    CLEANUP_FREE struct mv_config_backing *wishes = calloc(layout->count, sizeof *wishes);
    CLEANUP_FREE struct mv_limits_use *uses = calloc(layout->count, sizeof *uses);
    int r = 0;
    if (requests == NULL || wishes == NULL || uses == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the banks");
    for (size_t i = 0; r == 0 && i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        requests[i] = (struct mv_backing_request){bank->id, bank->size, &wishes[i], NULL};
        r = mv_block_registry_merge_wish(registry, bank->id, &bank->wish->backing, &wishes[i],
                                         &requests[i].mem_dir, err);
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
