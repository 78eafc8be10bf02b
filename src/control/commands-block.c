/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that tell of blocks.  The host takes its time to count pages, so
 * this is done in a job's thread, under the registry's lock, which keeps the
 * blocks there.
 */
#include "block-info.h"
#include "block.h"
#include "control.h"
#include "job.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-value.h"
#include "space.h"

#include "cleanup.h"

#include <string.h>

#define PARTS_MAX 4096

struct query {
    struct mv_job job; /* first */
    struct mv_machine *machine;
    json_t *(*describe)(struct query *query, const struct mv_block *block,
                        const struct mv_block_info *info, struct mv_error *err);
    size_t parts; /* 0: no residency */
    json_t *list;
    struct mv_error *err;
    int result;
};

static json_t *list_residency(const struct mv_block *block, size_t parts, struct mv_error *err)
{
    CLEANUP_FREE uint64_t *bytes = calloc(parts, sizeof *bytes);
    if (bytes == NULL || mv_block_residency(block, parts, bytes, err) < 0)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < parts; i++)
        json_array_append_new(list, json_integer((json_int_t)bytes[i]));
    return list;
}

static json_t *list_nodes(const struct mv_numa_policy *numa)
{
    json_t *list = json_array();
    for (unsigned n = 0; n < MV_NUMA_NODES; n++) {
        if (numa->nodes[n / 64] >> n % 64 & 1)
            json_array_append_new(list, json_integer(n));
    }
    return list;
}

static json_t *list_policies(const struct mv_block_info *info)
{
    const struct {
        bool stands;
        const char *word;
    } policies[] = {{info->locked, "lock"},
                    {info->merge, "merge"},
                    {!info->dump, "no-dump"},
                    {info->thp, "thp"},
                    {info->no_thp, "no-thp"}};
    char nodes[MV_NUMA_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (policies[i].stands)
            json_array_append_new(list, json_string(policies[i].word));
    }
    if (strcmp(info->numa.word, "default") != 0)
        json_array_append_new(list, json_sprintf("%s=%s", info->numa.word,
                                                 mv_numa_policy_nodes(&info->numa, nodes)));
    return list;
}

static json_t *describe_block(struct query *query, const struct mv_block *block,
                              const struct mv_block_info *info, struct mv_error *err)
{
    uint64_t gpa;
    json_t *residency = NULL;
    if (query->parts > 0 && (residency = list_residency(block, query->parts, err)) == NULL)
        return NULL;
    json_t *entry = json_pack("{s:s, s:s, s:I}", "id", info->id, "device", info->device,
                              "generation", (json_int_t)info->generation);
    if (mv_space_find_block(mv_machine_space(query->machine), block, &gpa))
        json_object_set_new(entry, "gpa", json_integer((json_int_t)gpa));
    json_t *rest = json_pack("{s:I, s:s, s:s*, s:b, s:b, s:I, s:I, s:I, s:o*}", "size",
                             (json_int_t)info->size, "backing", info->backing, "path", info->path,
                             "share", info->share, "save", info->save, "page-size",
                             (json_int_t)info->page_size, "resident", (json_int_t)info->resident,
                             "huge", (json_int_t)info->huge, "residency", residency);
    if (rest == NULL) { /* a path that is no UTF-8 */
        json_decref(entry);
        mv_error_set(err, EILSEQ, "block %s: its file's name is no UTF-8", info->id);
        return NULL;
    }
    json_object_update(entry, rest);
    if (info->part)
        json_object_set_new(entry, "offset", json_integer((json_int_t)info->offset));
    json_object_set_new(entry, "policies", list_policies(info));
    json_decref(rest);
    return entry;
}

static json_t *describe_memdev(struct query *query, const struct mv_block *block,
                               const struct mv_block_info *info, struct mv_error *err)
{
    /* Of a policy the host tells what stands: memory that is all there counts as preallocated. */
    return json_pack("{s:s, s:I, s:b, s:b, s:b, s:b, s:b, s:o, s:s}", "id", info->id, "size",
                     (json_int_t)info->size, "merge", info->merge, "dump", info->dump, "prealloc",
                     info->resident == info->size, "share", info->share, "reserve", 0, "host-nodes",
                     list_nodes(&info->numa), "policy", info->numa.word);
}

static void add_block(struct mv_block *block, void *opaque)
{
    struct query *query = opaque;
    struct mv_block_info info;
    if (query->result < 0 || atomic_load(&query->job.cancelled))
        return;
    query->result = mv_block_describe(block, &info, query->err);
    if (query->result < 0)
        return;
    json_t *entry = query->describe(query, block, &info, query->err);
    if (entry == NULL)
        query->result = -EIO;
    else
        json_array_append_new(query->list, entry);
}

static int run(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct query *query = (struct query *)job;
    query->err = err;
    query->list = json_array();
    mv_error_set(err, 0, "out of memory");
    mv_block_for_each(mv_machine_blocks(query->machine), add_block, query);
    if (query->result < 0) {
        json_decref(query->list);
        return query->result;
    }
    *ret = query->list;
    return 0;
}

static void destroy(struct mv_job *job)
{
    free(job);
}

static int start(struct mv_qmp_call *call, struct query wish, struct mv_error *err)
{
    struct query *query = malloc(sizeof *query);
    if (query == NULL)
        return mv_error_set_errno(err, ENOMEM, "the list of blocks");
    *query = wish;
    query->job = (struct mv_job){.run = run, .destroy = destroy};
    query->machine = mv_control_machine(call->control);
    return mv_jobs_start(mv_control_jobs(call->control), &query->job, call->session, err);
}

int mv_qmp_query_blocks(struct mv_qmp_call *call, struct mv_error *err)
{
    const json_t *parts = json_object_get(call->arguments, "parts");
    uint64_t count = mv_qmp_value_uint(parts);
    if (parts != NULL && (count < 1 || count > PARTS_MAX))
        return mv_error_set(err, ERANGE, "'parts': from 1 to %d are possible", PARTS_MAX);
    return start(call, (struct query){.describe = describe_block, .parts = count}, err);
}

int mv_qmp_query_memdev(struct mv_qmp_call *call, struct mv_error *err)
{
    return start(call, (struct query){.describe = describe_memdev}, err);
}
