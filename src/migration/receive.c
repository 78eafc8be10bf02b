/* SPDX-License-Identifier: Apache-2.0 */
/* A receive's life, what others see of it, the machine, and the steps of the main thread. */
#include "receive-parts.h"

#include "block-claim.h"
#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "loop.h"
#include "os.h"
#include "section.h"
#include "size.h"

#include <string.h>

/* --- what others see of it */

static void call_changed(void *opaque)
{
    struct mv_receive *receive = opaque;
    receive->changed(receive->opaque);
}

void mv_receive_set_stage(struct mv_receive *receive, enum mv_move_stage stage)
{
    atomic_store(&receive->stage, stage);
    if (receive->changed != NULL && receive->loop != NULL)
        mv_loop_defer(receive->loop, call_changed, receive);
}

static uint64_t since(uint64_t from, uint64_t to)
{
    return from == 0 || to < from ? 0 : to - from;
}

static void add_followed(struct mv_receive *receive, struct mv_move_progress *ret)
{
    const struct mv_receive_follow *follow = &receive->follow;
    ret->followed = ret->transferred - atomic_load(&follow->followed_from);
    ret->waits = follow->waits;
    mv_receive_follow_add_waits(receive, &ret->waits);
    ret->remaining = mv_receive_follow_left(receive);
}

void mv_receive_progress(struct mv_receive *receive, struct mv_move_progress *ret)
{
    uint64_t ended = atomic_load(&receive->ended_ns), now = ended != 0 ? ended : mv_now_ns();
    uint64_t began = atomic_load(&receive->began_ns), ready = atomic_load(&receive->ready_ns);
    uint64_t transferred = atomic_load(&receive->transferred), ns = since(ready, now);
    enum mv_move_stage stage = (enum mv_move_stage)atomic_load(&receive->stage);
    uint64_t runs = atomic_load(&receive->runs_ns);
    unsigned passes = atomic_load(&receive->passes);
    *ret = (struct mv_move_progress){
        .stage = stage,
        .passes = stage == MV_MOVE_ACTIVE ? passes + 1 : passes,
        .channels = atomic_load(&receive->channels),
        .memory = atomic_load(&receive->memory),
        .transferred = transferred,
        .data_pages = atomic_load(&receive->data_pages),
        .zero_pages = atomic_load(&receive->zero_pages),
        .fill_pages = atomic_load(&receive->fill_pages),
        .compressed_pages = atomic_load(&receive->compressed_pages),
        .compressed_bytes = atomic_load(&receive->compressed_bytes),
        .rate = ns == 0 ? 0 : (uint64_t)((double)transferred * 1e9 / (double)ns),
        .follows = atomic_load(&receive->follows),
        .requests = atomic_load(&receive->follow.requests),
        .setup_ns = since(began, ready != 0 ? ready : now),
        .total_ns = since(began, now),
        .downtime_ns = since(atomic_load(&receive->stopped_ns), runs != 0 ? runs : now),
    };
    if (ret->follows)
        add_followed(receive, ret);
    /* The first pass has all of it; how much a later one has, the sender does not say. */
    uint64_t came = MV_DIRTY_PAGE * (ret->data_pages + ret->zero_pages + ret->fill_pages);
    if (stage == MV_MOVE_ACTIVE && passes == 0 && came < ret->memory)
        ret->remaining = ret->memory - came;
}

const char *mv_receive_uri(const struct mv_receive *receive)
{
    return receive->uri;
}

struct mv_config *mv_receive_config(struct mv_receive *receive)
{
    return &receive->config;
}

const char *mv_receive_name(const struct mv_receive *receive)
{
    return receive->manifest.name;
}

bool mv_receive_is_under_way(const struct mv_receive *receive)
{
    return receive->machine != NULL && !receive->arrived;
}

void mv_receive_tell(struct mv_receive *receive, enum mv_wire_type type, const struct mv_error *why)
{
    struct mv_error ignored;
    mv_wire_say(receive->lines.channels[0], type, why->text, &ignored);
}

/* --- steps of the main thread */

int mv_receive_load_objects(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    return mv_restore_load_objects(receive->machine, receive->sections, receive->section_count,
                                   receive->manifest.writer, err);
}

/* From here on it is this process's guest, whatever becomes of the line. */
int mv_receive_let_go(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    int r = mv_machine_state(receive->machine) == MV_MACHINE_ENDED
                ? mv_error_set(err, ESHUTDOWN, "it was told to end")
                : mv_block_claims_take(mv_machine_blocks(receive->machine), err);
    if (r < 0)
        return r;
    if (mv_receive_follow_is_due(receive))
        r = mv_receive_follow_begin(receive, err);
    if (r < 0) {
        mv_block_claims_release(mv_machine_blocks(receive->machine));
        return r;
    }
    bool follows = atomic_load(&receive->follows);
    receive->arrived = true;
    atomic_store(&receive->runs_ns, mv_now_ns());
    if (!follows)
        atomic_store(&receive->ended_ns, mv_now_ns());
    mv_receive_set_stage(receive, follows ? MV_MOVE_FOLLOWING : MV_MOVE_COMPLETED);
    if (receive->runs && !receive->config.paused)
        mv_machine_resume(receive->machine);
    return 0;
}

static void finish(void *opaque)
{
    struct mv_receive *receive = opaque;
    mv_receive_join(receive);
    mv_receive_follow_end(receive);
    mv_receive_forget(receive);
    mv_lines_drop(&receive->lines);
    if (receive->arrived) {
        if (atomic_load(&receive->follows)) {
            atomic_store(&receive->ended_ns, mv_now_ns());
            mv_receive_set_stage(receive, MV_MOVE_COMPLETED);
        }
        if (receive->ended != NULL)
            receive->ended(receive->opaque, 0, NULL);
        return;
    }
    atomic_store(&receive->ended_ns, mv_now_ns());
    mv_receive_set_stage(receive, MV_MOVE_FAILED);
    if (receive->ended != NULL)
        receive->ended(receive->opaque, receive->result, &receive->err);
    mv_machine_request_quit(receive->machine, MV_CAUSE_HOST_ERROR);
}

void mv_receive_defer_end(struct mv_receive *receive)
{
    mv_loop_defer(receive->loop, finish, receive);
}

static int on_resuming(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    if (atomic_load(&receive->follow.answers_fail))
        return mv_error_set(err, EBUSY,
                            "%s of the guest's memory are where it came from, and the line there "
                            "broke: 'memvisor receive --resume URI -n NAME' here, then 'memvisor "
                            "send --resume NAME URI' there",
                            mv_size_text(mv_receive_follow_left(receive)));
    if (receive->arrived)
        return 0;
    return mv_error_set(err, EBUSY,
                        "the guest is on its way here: it goes on by itself when it has arrived");
}

/* --- the machine */

/* Blocks whose files the sender has locked. */
static size_t list_unclaimed(const struct mv_receive *receive, const char **ids)
{
    size_t count = 0;
    for (size_t i = 0; i < receive->manifest.block_count; i++) {
        if (receive->manifest.blocks[i].outside)
            ids[count++] = receive->manifest.blocks[i].id;
    }
    return count;
}

static int create(struct mv_receive *receive, struct mv_serial_backend *serial,
                  struct mv_error *err)
{
    CLEANUP_FREE const char **ids = calloc(receive->manifest.block_count + 1, sizeof *ids);
    const struct mv_machine_boot boot = {
        .firmware =
            receive->config.reload ? receive->config.firmware != NULL : receive->manifest.firmware,
        .kernel = {receive->kernel.fd, 0, receive->kernel.size},
        .initrd = {receive->initrd.fd, 0, receive->initrd.size},
    };
    if (ids == NULL)
        return mv_error_set_errno(err, ENOMEM, "receiving a guest");
    const struct mv_machine_places places = {.unclaimed = ids,
                                             .unclaimed_count = list_unclaimed(receive, ids)};
    return mv_machine_create_saved(&receive->config, &boot, &places, receive->loop, serial,
                                   &receive->machine, err);
}

static int find_blocks(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_block_registry *registry = mv_machine_blocks(receive->machine);
    receive->blocks = calloc(receive->manifest.block_count + 1, sizeof *receive->blocks);
    if (receive->blocks == NULL)
        return mv_error_set_errno(err, ENOMEM, "receiving a guest");
    for (size_t i = 0; i < receive->manifest.block_count; i++) {
        const struct mv_manifest_block *saved = &receive->manifest.blocks[i];
        struct mv_block *block =
            saved->saved && !mv_manifest_is_boot(saved) ? mv_block_find(registry, saved->id) : NULL;
        if (block == NULL || !mv_restore_takes_bytes(saved, block))
            continue;
        mv_block_pin(block);
        receive->blocks[i] = block;
        atomic_fetch_add(&receive->memory, block->size);
    }
    return 0;
}

int mv_receive_machine(struct mv_receive *receive, struct mv_loop *loop,
                       struct mv_serial_backend *serial, struct mv_machine **ret,
                       struct mv_error *err)
{
    receive->loop = loop;
    mv_main_step_init(&receive->step, loop);
    int r = create(receive, serial, err);
    if (r == 0)
        r = mv_restore_match_machine(receive->machine, &receive->given, &receive->manifest, err);
    if (r == 0)
        r = find_blocks(receive, err);
    if (r < 0)
        mv_receive_tell(receive, MV_WIRE_REFUSED, err);
    if (r == 0)
        r = mv_wire_say(receive->lines.channels[0], MV_WIRE_READY, NULL, err);
    if (r < 0) {
        mv_receive_forget(receive);
        mv_machine_destroy(receive->machine);
        receive->machine = NULL;
        return r;
    }
    receive->observer = (struct mv_machine_observer){.resuming = on_resuming, .opaque = receive};
    mv_machine_observe(receive->machine, &receive->observer);
    atomic_store(&receive->ready_ns, mv_now_ns());
    mv_receive_set_stage(receive, MV_MOVE_ACTIVE);
    *ret = receive->machine;
    return 0;
}

/* --- life */

int mv_receive_listen(const struct mv_receive_params *params, struct mv_receive **ret,
                      struct mv_error *err)
{
    struct mv_receive *receive = calloc(1, sizeof *receive);
    if (receive == NULL)
        return mv_error_set_errno(err, ENOMEM, "receiving a guest");
    receive->insecure = params->insecure;
    receive->ended = params->ended;
    receive->changed = params->changed;
    receive->opaque = params->opaque;
    receive->kernel.fd = receive->initrd.fd = -1;
    mv_lines_init(&receive->lines);
    pthread_mutex_init(&receive->lock, NULL);
    pthread_cond_init(&receive->changed_pass, NULL);
    pthread_mutex_init(&receive->follow.lock, NULL);
    pthread_cond_init(&receive->follow.changed, NULL);
    int r = params->tls == NULL ? 0 : mv_channel_tls_open(params->tls, true, &receive->tls, err);
    if (r == 0)
        r = mv_channel_listen(params->uri, receive->tls, params->insecure, &receive->listener, err);
    if (r == 0) {
        receive->uri = strdup(mv_channel_listener_uri(receive->listener));
        r = receive->uri == NULL ? mv_error_set_errno(err, ENOMEM, "receiving a guest") : 0;
    }
    if (r < 0)
        mv_receive_end(receive);
    else
        *ret = receive;
    return r;
}

int mv_receive_begin(struct mv_receive *receive, struct mv_error *err)
{
    int r = mv_receive_load(receive, err);
    if (r < 0)
        mv_receive_refuse(receive, err);
    return r;
}

void mv_receive_refuse(struct mv_receive *receive, const struct mv_error *why)
{
    mv_receive_tell(receive, MV_WIRE_FAILED, why);
    mv_receive_drain(receive, 0, &receive->cancelled);
}

void mv_receive_stop(struct mv_receive *receive)
{
    if (receive->machine == NULL)
        return;
    mv_receive_follow_stop(receive);
    atomic_store(&receive->cancelled, true);
    atomic_store(&receive->follow.moves_on, true);
    mv_lines_end(&receive->lines);
    {
        MV_LOCK_SCOPE(&receive->lock);
        pthread_cond_broadcast(&receive->changed_pass);
    }
    mv_receive_join(receive);
    mv_receive_follow_end(receive);
    mv_receive_forget(receive);
    mv_loop_forget(receive->loop, receive);
    mv_main_step_end(&receive->step);
    mv_machine_unobserve(receive->machine, &receive->observer);
    receive->machine = NULL;
    receive->loop = NULL;
}

void mv_receive_end(struct mv_receive *receive)
{
    if (receive == NULL)
        return;
    mv_receive_forget(receive);
    mv_receive_follow_clear(receive);
    mv_channel_listener_close(receive->listener);
    mv_lines_close(&receive->lines);
    mv_channel_tls_close(receive->tls);
    mv_manifest_clear(&receive->manifest);
    mv_config_free(&receive->config);
    mv_cleanup_close(&receive->kernel.fd);
    mv_cleanup_close(&receive->initrd.fd);
    pthread_cond_destroy(&receive->follow.changed);
    pthread_mutex_destroy(&receive->follow.lock);
    pthread_cond_destroy(&receive->changed_pass);
    pthread_mutex_destroy(&receive->lock);
    free(receive->cmdline);
    free(receive->uri);
    free(receive);
}
