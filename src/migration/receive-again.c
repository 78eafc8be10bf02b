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

#include <string.h>

#define PAGE MV_DIRTY_PAGE

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

static int go_on(void *opaque, struct mv_error *err)
{
    struct mv_receive *receive = opaque;
    struct mv_receive_follow *follow = &receive->follow;
    if (mv_machine_state(receive->machine) == MV_MACHINE_ENDED)
        return mv_error_set(err, ESHUTDOWN, "the guest has ended");
    {
        MV_LOCK_SCOPE(&follow->lock);
        follow->broken = follow->over = false;
        follow->first = follow->count = 0;
    }
    atomic_store(&follow->answers_fail, false);
    follow->awaits = false;
    mv_paging_retry_all(mv_machine_blocks(receive->machine));
    mv_receive_set_stage(receive, MV_MOVE_FOLLOWING);
    if (follow->holds && mv_machine_stops(receive->machine) == follow->stops)
        mv_machine_resume(receive->machine);
    follow->holds = false;
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

static int await_line(struct mv_receive *receive, struct mv_error *err)
{
    int r = mv_lines_watch(&receive->lines, &receive->cancelled, err);
    if (r == 0)
        r = mv_receive_accept_lines(receive, &receive->cancelled, err);
    mv_channel_listener_close(receive->listener);
    receive->listener = NULL;
    if (r == 0) {
        mv_receive_set_stage(receive, MV_MOVE_RECOVERING);
        r = tell_lacks(receive, err);
    }
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
        r = mv_receive_step(receive, go_on, &err);
    if (r < 0) {
        if (!atomic_load(&receive->cancelled))
            mv_warn("the rest of the guest's memory did not come: %s", err.text);
        mv_lines_end(&receive->lines);
        mv_receive_step(receive, give_up, &ignored);
        return NULL;
    }
    r = mv_receive_start_others(receive, &err);
    if (mv_receive_follow(receive, r, &err))
        mv_receive_defer_end(receive);
    return NULL;
}

/* --- the main thread's */

static int check(struct mv_receive *receive, struct mv_error *err)
{
    int stage = atomic_load(&receive->stage);
    if (receive->follow.awaits)
        return mv_error_set(err, EBUSY, "the rest of the guest's memory is awaited at '%s' already",
                            receive->uri);
    return stage == MV_MOVE_BROKEN
               ? 0
               : mv_error_set(err, EINVAL,
                              "no line of a guest's memory that follows it here has broken");
}

int mv_receive_take_up(struct mv_receive *receive, const char *uri, struct mv_error *err)
{
    struct mv_channel_listener *listener;
    int r = check(receive, err);
    if (r == 0)
        r = mv_channel_listen(uri, receive->tls, receive->insecure, &listener, err);
    if (r < 0)
        return r;
    char *copy = strdup(mv_channel_listener_uri(listener));
    mv_receive_join(receive);
    mv_lines_drop(&receive->lines);
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
    return 0;
}
