/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that broke while memory followed its guest is taken up again: the sender connects anew,
 * is told what is not here, and goes on.  A thread waits for it; the guest goes on once it is
 * there, if it was stopped for the line alone.  What fails leaves all as it was, to be tried
 * again.
 */
#include "receive-parts.h"

#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "log.h"
#include "loop.h"

#include <string.h>

#define PAGE MV_DIRTY_PAGE
/* For a sender that has connected to take what it is told. */
#define PATIENCE_NS UINT64_C(60000000000)

/* --- what is not here */

static int tell_lack(struct mv_receive *receive, const struct mv_receive_lack *lack,
                     struct mv_error *err)
{
    const struct mv_block *block = lack->block;
    uint64_t pages = block->size / PAGE, at = 0, len;
    CLEANUP_FREE uint64_t *bits = calloc((pages + 63) / 64, sizeof *bits);
    if (bits == NULL)
        return mv_error_set_errno(err, ENOMEM, "a list of pages");
    for (; mv_paging_next_absent(block, &at, &len); at += len) {
        for (uint64_t page = at / PAGE; page < (at + len) / PAGE; page++)
            bits[page / 64] |= UINT64_C(1) << page % 64;
    }
    return mv_wire_send_absent(receive->lines.channels[0], lack->index, bits, pages, err);
}

static int tell_lacks(struct mv_receive *receive, struct mv_error *err)
{
    const struct mv_receive_lack *lacks = receive->follow.lacks;
    int r = 0;
    for (size_t i = 0; r == 0 && i < receive->manifest.block_count; i++)
        r = lacks[i].block == NULL ? 0 : tell_lack(receive, &lacks[i], err);
    return r < 0 ? r : mv_wire_say(receive->lines.channels[0], MV_WIRE_READY, NULL, err);
}

/* --- the guest goes on */

/* Once its pages can be had again; by others' leave, as by `cont`. */
static void let_run(void *opaque)
{
    struct mv_receive *receive = opaque;
    struct mv_receive_follow *follow = &receive->follow;
    struct mv_error why;
    bool runs = follow->holds && mv_machine_stops(receive->machine) == follow->stops;
    follow->holds = false;
    if (!runs || mv_machine_state(receive->machine) == MV_MACHINE_ENDED)
        return;
    if (mv_machine_check_resume(receive->machine, &why) == 0)
        mv_machine_resume(receive->machine);
    else
        mv_log("the rest of the guest's memory comes again, and the guest stays paused: %s",
               why.text);
}

static int go_on(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    struct mv_receive_follow *follow = &receive->follow;
    if (mv_machine_state(receive->machine) == MV_MACHINE_ENDED)
        return mv_error_set(err, ESHUTDOWN, "the guest has ended");
    {
        MV_LOCK_SCOPE(&follow->lock);
        follow->broken = follow->over = follow->hung_up = follow->stopped = false;
        follow->first = follow->count = 0;
        follow->answers_fail = false;
        for (size_t i = 0; i < receive->manifest.block_count; i++) {
            if (follow->lacks[i].block != NULL)
                memset(follow->lacks[i].asked, 0,
                       (follow->lacks[i].block->size / PAGE + 63) / 64 * sizeof(uint64_t));
        }
    }
    follow->awaits = false;
    mv_paging_retry_all(mv_machine_blocks(receive->machine));
    mv_receive_set_stage(receive, MV_MOVE_FOLLOWING);
    return 0;
}

static int give_up(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    (void)err;
    receive->follow.awaits = false;
    mv_receive_set_stage(receive, MV_MOVE_BROKEN);
    return 0;
}

/* --- the thread */

static int step(struct mv_receive *receive, mv_main_step_fn *fn, struct mv_error *err)
{
    return mv_main_step_do(&receive->step, fn, receive, &receive->follow.moves_on, err);
}

static int await_line(struct mv_receive *receive, struct mv_error *err)
{
    int r = mv_lines_watch(&receive->lines, &receive->follow.moves_on, err);
    if (r == 0)
        r = mv_receive_accept_lines(receive, &receive->follow.moves_on, err);
    mv_channel_listener_close(receive->listener);
    receive->listener = NULL;
    for (unsigned i = 0; r == 0 && i < receive->lines.count; i++)
        mv_channel_set_patience(receive->lines.channels[i], PATIENCE_NS);
    if (r == 0) {
        mv_receive_set_stage(receive, MV_MOVE_RECOVERING);
        r = tell_lacks(receive, err);
    }
    for (unsigned i = 0; r == 0 && i < receive->lines.count; i++)
        mv_channel_set_patience(receive->lines.channels[i], MV_CHANNEL_FOREVER);
    mv_lines_unwatch(&receive->lines);
    return r;
}

static void *run_again(void *opaque)
{
    struct mv_receive_loader *loader = opaque;
    struct mv_receive *receive = loader->receive;
    struct mv_error err, ignored;
    int r = await_line(receive, &err);
    if (r == 0)
        r = step(receive, go_on, &err);
    if (r < 0) {
        if (!atomic_load(&receive->follow.moves_on))
            mv_warn("the rest of the guest's memory did not come: %s", err.text);
        mv_lines_drop(&receive->lines);
        step(receive, give_up, &ignored);
        return NULL;
    }
    r = mv_receive_start_others(receive, &err);
    mv_loop_defer(receive->loop, let_run, receive);
    if (mv_receive_follow(receive, r, &err))
        mv_receive_defer_end(receive);
    return NULL;
}

/* --- the main thread's */

static int check(struct mv_receive *receive, struct mv_error *err)
{
    return atomic_load(&receive->stage) == MV_MOVE_BROKEN
               ? 0
               : mv_error_set(err, EINVAL,
                              "no line of a guest's memory that follows it here has broken");
}

/* One that is awaited at another address, perhaps a wrong one, is not any more. */
static void stop_waiting(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    atomic_store(&follow->moves_on, true);
    mv_receive_join(receive);
    mv_lines_drop(&receive->lines);
    follow->awaits = false;
    atomic_store(&follow->moves_on, false);
}

int mv_receive_take_up(struct mv_receive *receive, const char *uri, struct mv_error *err)
{
    struct mv_channel_listener *listener;
    int r = check(receive, err);
    if (r < 0)
        return r;
    stop_waiting(receive); /* it may be the same address */
    r = mv_channel_listen(uri, receive->tls, receive->insecure, &listener, err);
    if (r < 0)
        return r;
    char *copy = strdup(mv_channel_listener_uri(listener));
    receive->listener = listener;
    r = copy == NULL ? mv_error_set_errno(err, ENOMEM, "receiving a guest")
                     : mv_receive_start_main(receive, run_again, err);
    if (r < 0) {
        mv_channel_listener_close(listener);
        receive->listener = NULL;
        free(copy);
        return r;
    }
    free(receive->uri);
    receive->uri = copy;
    receive->follow.awaits = true;
    atomic_store(&receive->ended_ns, 0);
    return 0;
}

int mv_receive_break(struct mv_receive *receive, struct mv_error *err)
{
    if (!mv_move_follows_by_line((enum mv_move_stage)atomic_load(&receive->stage)))
        return mv_error_set(err, EINVAL, "no memory follows the guest");
    mv_lines_end(&receive->lines);
    return 0;
}
