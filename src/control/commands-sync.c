/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x-block-sync: what the guest wrote to a block is kept where the block's bytes live, in a
 * file or an export, once the command is answered.  A job waits for that.
 */
#include "block.h"
#include "cleanup.h"
#include "job.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-json.h"

#include <string.h>

/* Without an id: all blocks. */
MV_QMP_OBJECT_TYPE(args_type, "q_obj_x-block-sync-arg", {"id", &mv_qmp_str, true});

struct sync {
    struct mv_job job; /* first */
    struct mv_block_registry *blocks;
    struct wanted {
        char *id;
        uint64_t generation;
    } * wanted;
    size_t count;
};

static void count_block(struct mv_block *block, void *opaque)
{
    (void)block;
    ++*(size_t *)opaque;
}

/* One of which there is no memory for the id is left out, which the caller sees. */
static void note_block(struct mv_block *block, void *opaque)
{
    struct sync *sync = opaque;
    char *id = strdup(block->id);
    if (id != NULL)
        sync->wanted[sync->count++] = (struct wanted){id, block->generation};
}

static int note_blocks(struct sync *sync, const char *id, struct mv_error *err)
{
    struct mv_block *block = id == NULL ? NULL : mv_block_find(sync->blocks, id);
    size_t count = 1;
    if (id != NULL && block == NULL)
        return mv_error_set(err, ENOENT, "no block is named '%s': see memvisor mem", id);
    if (id == NULL) {
        count = 0;
        mv_block_for_each(sync->blocks, count_block, &count);
    }
    sync->wanted = calloc(count + 1, sizeof *sync->wanted);
    if (sync->wanted != NULL && id != NULL)
        note_block(block, sync);
    else if (sync->wanted != NULL)
        mv_block_for_each(sync->blocks, note_block, sync);
    return sync->count == count ? 0 : mv_error_set_errno(err, ENOMEM, "a list of blocks");
}

/* All are tried; the first failure is the answer. */
static int run_sync(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct sync *sync = (struct sync *)job;
    struct mv_error other;
    int result = 0;
    for (size_t i = 0; i < sync->count; i++) {
        const struct wanted *wanted = &sync->wanted[i];
        struct mv_block *block =
            mv_block_pin_generation(sync->blocks, wanted->id, wanted->generation);
        if (block == NULL) /* unplugged meanwhile, which writes it back, too */
            continue;
        int r = mv_block_sync(block, &job->cancelled, result == 0 ? err : &other);
        mv_block_unpin(block);
        result = result == 0 ? r : result;
    }
    return result;
}

static void clear_sync(struct mv_job *job)
{
    struct sync *sync = (struct sync *)job;
    while (sync->count > 0)
        free(sync->wanted[--sync->count].id);
    free(sync->wanted);
}

static int block_sync(struct mv_qmp_call *call, struct mv_error *err)
{
    struct sync sync = {.job = {.run = run_sync, .clear = clear_sync},
                        .blocks = mv_machine_blocks(call->machine)};
    int r = note_blocks(&sync, json_string_value(json_object_get(call->arguments, "id")), err);
    if (r == 0)
        return mv_jobs_start(call, &sync.job, sizeof sync, err);
    clear_sync(&sync.job);
    return r;
}

const struct mv_qmp_command mv_qmp_sync[] = {
    {"x-block-sync", &args_type, &mv_qmp_empty, block_sync},
    {NULL},
};
