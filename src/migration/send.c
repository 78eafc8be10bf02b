/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A send's life, what others see of it, and the steps of the main thread.  What only that
 * thread looks at says whose guest it is; `stage` is what has been heard of the other end.
 */
#include "send-parts.h"

#include "backing.h"
#include "block-claim.h"
#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "os.h"
#include "size.h"
#include "thread-slice.h"

#include <string.h>

/* --- what others see of it */

static void call_changed(void *opaque)
{
    struct mv_send *send = opaque;
    send->changed(send->opaque);
}

static void tell(struct mv_send *send)
{
    if (send->changed != NULL)
        mv_loop_defer(send->loop, call_changed, send);
}

void mv_send_set_stage(struct mv_send *send, enum mv_move_stage stage)
{
    atomic_store(&send->stage, stage);
    tell(send);
}

void mv_send_tell_pass(struct mv_send *send)
{
    atomic_fetch_add(&send->passes, 1);
    tell(send);
}

static uint64_t since(uint64_t from, uint64_t to)
{
    return from == 0 || to < from ? 0 : to - from;
}

static uint64_t followed(const struct mv_send *send)
{
    uint64_t before = atomic_load(&send->counts.before);
    return before == 0 ? 0 : atomic_load(&send->counts.transferred) - before;
}

void mv_send_progress(struct mv_send *send, struct mv_move_progress *ret)
{
    const struct mv_send_counts *counts = &send->counts;
    uint64_t total = atomic_load(&counts->total), done = atomic_load(&counts->done);
    uint64_t ended = atomic_load(&send->ended_ns), now = ended != 0 ? ended : mv_now_ns();
    uint64_t began = atomic_load(&send->began_ns), ready = atomic_load(&send->ready_ns);
    uint64_t runs = atomic_load(&send->runs_ns);
    *ret = (struct mv_move_progress){
        .stage = (enum mv_move_stage)atomic_load(&send->stage),
        .passes = atomic_load(&send->passes),
        .throttle = atomic_load(&send->pace.throttle),
        .channels = send->channels,
        .memory = atomic_load(&counts->memory),
        .remaining = done < total ? total - done : 0,
        .transferred = atomic_load(&counts->transferred),
        .data_pages = atomic_load(&counts->data_pages),
        .zero_pages = atomic_load(&counts->zero_pages),
        .fill_pages = atomic_load(&counts->fill_pages),
        .compressed_pages = atomic_load(&counts->compressed_pages),
        .compressed_bytes = atomic_load(&counts->compressed_bytes),
        .rate = runs == 0 || now == runs || !atomic_load(&send->follows)
                    ? atomic_load(&send->pace.rate)
                    : (uint64_t)((double)followed(send) * 1e9 / (double)since(runs, now)),
        .dirty_rate = atomic_load(&send->pace.dirty_rate),
        .follows = atomic_load(&send->follows),
        .followed = followed(send),
        .requests = atomic_load(&counts->requests),
        .expected_downtime_ns = atomic_load(&send->pace.expected_ns),
        .setup_ns = since(began, ready != 0 ? ready : now),
        .total_ns = since(began, now),
        .downtime_ns = since(atomic_load(&send->stopped_ns), runs != 0 ? runs : now),
    };
}

const char *mv_send_uri(const struct mv_send *send)
{
    return send->uri;
}

bool mv_send_needs_pause(const struct mv_send *send)
{
    return send->still;
}

bool mv_send_is_handed_over(const struct mv_send *send)
{
    return send->over && send->handed;
}

/* --- steps of the main thread */

int mv_send_have_done(struct mv_send *send, mv_main_step_fn *fn, struct mv_error *err)
{
    return mv_main_step_do(&send->step, fn, send, send->cancelled, err);
}

/* The plan's parts are the blocks of its manifest that are saved, in their order. */
static int add_sources(struct mv_send *send, struct mv_error *err)
{
    const struct mv_save_plan *plan = &send->plan;
    send->sources = calloc(plan->count + 1, sizeof *send->sources);
    send->indexes = calloc(plan->count + 1, sizeof *send->indexes);
    if (send->sources == NULL || send->indexes == NULL)
        return mv_error_set_errno(err, ENOMEM, "sending the guest");
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < plan->manifest.block_count; i++) {
        if (!plan->manifest.blocks[i].saved)
            continue;
        const struct mv_ram_part *part = &plan->parts[send->source_count];
        struct mv_ram_source *source = &send->sources[send->source_count];
        send->indexes[send->source_count++] = i;
        r = mv_ram_source_make(source, part, mv_machine_space(send->machine), err);
        send->block_count += part->block != NULL;
        if (part->block != NULL)
            atomic_fetch_add(&send->counts.memory, source->size);
    }
    return r;
}

struct search {
    const char *id; /* NULL: none */
};

static void look(struct mv_block *block, void *opaque)
{
    struct search *search = opaque;
    if (block->backing->nbd != NULL && block->backing->share)
        search->id = block->id;
}

/* Two processes would write to it, each what it thinks is there. */
static int refuse_exports(struct mv_send *send, struct mv_error *err)
{
    struct search search = {NULL};
    mv_block_for_each(mv_machine_blocks(send->machine), look, &search);
    return search.id == NULL
               ? 0
               : mv_error_set(err, EOPNOTSUPP,
                              "block %s: its bytes go back to an NBD export (share=on), which no "
                              "other process can take over meanwhile: save the guest, and restore "
                              "it there",
                              search.id);
}

int mv_send_plan(void *opaque, struct mv_error *err)
{
    struct mv_send *send = opaque;
    if (mv_machine_state(send->machine) == MV_MACHINE_ENDED)
        return mv_error_set(err, ESHUTDOWN, "the guest has ended");
    int r = refuse_exports(send, err);
    if (r == 0)
        r = mv_save_plan_make(&send->plan, send->machine, err);
    return r < 0 ? r : add_sources(send, err);
}

/* The receiver has made its machine of the first plan. */
static int check_plan(struct mv_send *send, struct mv_error *err)
{
    struct mv_save_plan now = {0};
    int r = mv_save_plan_make(&now, send->machine, err);
    if (r == 0 && !(mv_save_plan_matches(&send->plan, &now) &&
                    send->plan.manifest.device_count == now.manifest.device_count))
        r = mv_error_set(err, ESTALE,
                         "a device came or went while the guest was on its way, and the receiver "
                         "has the machine as it was before: send it again");
    mv_save_plan_clear(&now);
    return r;
}

int mv_send_stop_guest(void *opaque, struct mv_error *err)
{
    struct mv_send *send = opaque;
    atomic_store(&send->stopped_ns, mv_now_ns());
    if (mv_machine_state(send->machine) == MV_MACHINE_RUNNING) {
        send->holds = true;
        mv_machine_pause(send->machine);
        send->stops = mv_machine_stops(send->machine);
    }
    send->still = true;
    atomic_store(&send->pace.unlimited, true);
    int r = mv_save_objects_take(&send->objects, send->machine, err);
    return r < 0 ? r : check_plan(send, err);
}

int mv_send_slow_down(void *opaque, struct mv_error *err)
{
    struct mv_send *send = opaque;
    return mv_machine_throttle(send->machine, atomic_load(&send->pace.throttle), err);
}

static void let_follow(struct mv_send *send)
{
    atomic_store(&send->follows, true);
    atomic_store(&send->counts.before, atomic_load(&send->counts.transferred));
    mv_log("the guest goes on at '%s', and %s of its memory follow it: until all of it is there, "
           "it cannot run without this process, nor go on here",
           send->uri, mv_size_text(send->follow.count * 4096));
}

/* From here on the other end may have the guest's files, and may let it run soon. */
int mv_send_hand_over(void *opaque, struct mv_error *err)
{
    struct mv_send *send = opaque;
    if (atomic_load(send->cancelled))
        return mv_error_set(err, ECANCELED, "cancelled");
    send->runs = send->holds && mv_machine_stops(send->machine) == send->stops;
    send->handed = true;
    if (send->follow.count > 0)
        let_follow(send);
    mv_block_claims_release(mv_machine_blocks(send->machine));
    mv_send_set_stage(send, MV_MOVE_HANDED);
    return 0;
}

static void let_go(struct mv_send *send)
{
    struct mv_error err;
    if (send->handed && mv_block_claims_take(mv_machine_blocks(send->machine), &err) < 0) {
        mv_log("the guest stays paused: %s", err.text);
        return;
    }
    send->handed = false;
    if (send->holds && mv_machine_stops(send->machine) == send->stops &&
        mv_machine_state(send->machine) != MV_MACHINE_ENDED)
        mv_machine_resume(send->machine);
    send->holds = false;
}

/* All has been tried: whose guest it is shows in the stage. */
static void settle(void *opaque)
{
    struct mv_send *send = opaque;
    struct mv_error err;
    if (send->over)
        return;
    mv_machine_throttle(send->machine, 0, &err);
    send->still = false;
    if (!atomic_load(&send->is_theirs))
        let_go(send);
    send->over = true;
}

static bool memory_follows(struct mv_send *send)
{
    return mv_move_follows((enum mv_move_stage)atomic_load(&send->stage));
}

static int on_resuming(void *opaque, struct mv_error *err)
{
    struct mv_send *send = opaque;
    if (memory_follows(send))
        return mv_error_set(err, EBUSY,
                            "the guest is at '%s', and needs memory that is here: where the line "
                            "broke, 'memvisor receive --resume' there, then 'memvisor send "
                            "--resume' here; where it is lost, x-send-give-up gives it up",
                            send->uri);
    if (send->still)
        return mv_error_set(err, EBUSY,
                            "the guest is on its way to '%s': wait for that, or type 'memvisor "
                            "qmp NAME migrate_cancel'",
                            send->uri);
    if (!send->over || !send->handed)
        return 0;
    int r = mv_block_claims_take(mv_machine_blocks(send->machine), err);
    if (r < 0)
        mv_error_prefix(err, "the guest went to '%s', and has its files there", send->uri);
    send->handed = r < 0;
    return r;
}

/* --- life */

int mv_send_run(struct mv_send *send, const atomic_bool *cancelled, struct mv_error *err)
{
    mv_thread_bulk();
    send->cancelled = cancelled;
    atomic_store(&send->began_ns, mv_now_ns());
    int r = mv_send_all(send, err);
    if (atomic_load(&send->ended_ns) == 0)
        atomic_store(&send->ended_ns, mv_now_ns());
    mv_loop_defer(send->loop, settle, send);
    if (r == 0 || atomic_load(&send->stage) != MV_MOVE_BROKEN)
        mv_send_set_stage(send, r == 0            ? MV_MOVE_COMPLETED
                                : r == -ECANCELED ? MV_MOVE_CANCELLED
                                                  : MV_MOVE_FAILED);
    return r;
}

/* --- memory that follows */

enum mv_send_way mv_send_decide(struct mv_send *send, enum mv_send_way way)
{
    int was = MV_SEND_UNDECIDED;
    return atomic_compare_exchange_strong(&send->way, &was, (int)way) ? way : (enum mv_send_way)was;
}

int mv_send_follow_now(struct mv_send *send, struct mv_error *err)
{
    if (!send->may_follow || mv_send_decide(send, MV_SEND_AFTER) != MV_SEND_AFTER)
        return mv_error_set(err, EINVAL,
                            "the guest is on its way to '%s', and its memory cannot follow it %s",
                            send->uri, send->may_follow ? "any more" : "since that was not wished");
    return 0;
}

static int check_broken(struct mv_send *send, struct mv_error *err)
{
    return atomic_load(&send->stage) == MV_MOVE_BROKEN
               ? 0
               : mv_error_set(err, EINVAL,
                              "no line of the guest's memory that follows it has broken");
}

int mv_send_take_up(struct mv_send *send, const char *uri, struct mv_error *err)
{
    int r = check_broken(send, err);
    if (r == 0)
        r = mv_channel_check(uri, false, err);
    if (r < 0)
        return r;
    if (send->channels > 1 && !mv_channel_is_shared(uri))
        return mv_error_set(err, EINVAL,
                            "'%s' is one connection, and %u are needed: give an address of tcp: or "
                            "unix:",
                            uri, send->channels);
    char *copy = strdup(uri);
    if (copy == NULL)
        return mv_error_set_errno(err, ENOMEM, "sending the guest");
    free(send->uri);
    send->uri = copy;
    send->over = false;
    send->still = true;
    atomic_store(&send->ended_ns, 0);
    mv_send_set_stage(send, MV_MOVE_RECOVERING);
    return 0;
}

void mv_send_take_up_undo(struct mv_send *send)
{
    send->still = false;
    send->over = true;
    mv_send_set_stage(send, MV_MOVE_BROKEN);
}

int mv_send_give_up(struct mv_send *send, struct mv_error *err)
{
    int r = check_broken(send, err);
    if (r < 0)
        return r;
    mv_send_forget(send);
    mv_send_take_up_undo(send);
    mv_send_set_stage(send, MV_MOVE_FAILED);
    return 0;
}

int mv_send_break(struct mv_send *send, struct mv_error *err)
{
    if (!mv_move_follows_by_line((enum mv_move_stage)atomic_load(&send->stage)))
        return mv_error_set(err, EINVAL, "no memory follows the guest");
    mv_lines_end(&send->lines);
    return 0;
}

static int check_params(const struct mv_send_params *params, struct mv_error *err)
{
    int r = mv_channel_check(params->uri, false, err);
    if (r < 0)
        return r;
    if (params->channels < 1 || params->channels > MV_MOVE_CHANNELS_MAX)
        return mv_error_set(err, EINVAL, "%u channels: from 1 to %d are possible", params->channels,
                            MV_MOVE_CHANNELS_MAX);
    if (params->channels > 1 && !mv_channel_is_shared(params->uri))
        return mv_error_set(err, EINVAL,
                            "%u channels: '%s' is one connection: several go by tcp: and unix:",
                            params->channels, params->uri);
    return 0;
}

int mv_send_create(const struct mv_send_params *params, struct mv_send **ret, struct mv_error *err)
{
    int r = check_params(params, err);
    if (r < 0)
        return r;
    struct mv_send *send = calloc(1, sizeof *send);
    if (send == NULL)
        return mv_error_set_errno(err, ENOMEM, "sending the guest");
    send->machine = params->machine;
    send->loop = params->loop;
    send->channels = params->channels;
    send->may_follow = params->follows;
    send->follow_after = params->follows ? params->follow_after : MV_SEND_WHEN_ASKED;
    if (params->follows && params->channels < MV_MOVE_CHANNELS_MAX &&
        mv_channel_is_shared(params->uri))
        send->channels++; /* for what is waited for */
    send->zstd = params->zstd;
    send->changed = params->changed;
    send->opaque = params->opaque;
    mv_main_step_init(&send->step, params->loop);
    mv_lines_init(&send->lines);
    mv_send_pace_init(&send->pace, params->limits, &send->follow.failed);
    pthread_mutex_init(&send->follow.lock, NULL);
    send->observer = (struct mv_machine_observer){.resuming = on_resuming, .opaque = send};
    mv_machine_observe(send->machine, &send->observer);
    send->uri = strdup(params->uri);
    r = send->uri == NULL ? mv_error_set_errno(err, ENOMEM, "sending the guest") : 0;
    if (r == 0 && params->tls != NULL)
        r = mv_channel_tls_open(params->tls, false, &send->tls, err);
    if (r < 0)
        mv_send_destroy(send);
    else
        *ret = send;
    return r;
}

void mv_send_destroy(struct mv_send *send)
{
    if (send == NULL)
        return;
    if (memory_follows(send))
        mv_log("what is left of the guest's memory ends with this process, and the guest at '%s' "
               "cannot do without",
               send->uri);
    settle(send);
    mv_loop_forget(send->loop, send);
    mv_machine_unobserve(send->machine, &send->observer);
    mv_main_step_end(&send->step);
    mv_send_forget(send);
    pthread_mutex_destroy(&send->follow.lock);
    mv_send_pace_end(&send->pace);
    mv_lines_close(&send->lines);
    mv_channel_tls_close(send->tls);
    free(send->uri);
    free(send);
}
