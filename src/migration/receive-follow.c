/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that comes after its guest (postcopy).  The sender tells of the pages that are not
 * here (ABSENT); when the guest is let go they are absent in the sense of paging.h, whose source
 * the sender is.  The loaders take in what it sends as before, and a thread asks it for what
 * somebody waits for, so that nobody but that thread waits for the line.
 *
 * A line that breaks stops the guest, and absent pages cannot be had: receive-again.c waits for
 * another one.  All threads have ended by then.
 */
#include "receive-parts.h"

#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "fault.h"
#include "log.h"
#include "loop.h"
#include "os.h"
#include "size.h"
#include "thread-slice.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define PAGE MV_DIRTY_PAGE
/* Filled at once, under the lock of the block's pages: who waits for another waits so long. */
#define SLICE (UINT64_C(16) * PAGE)
/* Without a byte of what is absent. */
#define SILENCE_NS UINT64_C(60000000000)
#define LOOK_NS    UINT64_C(1000000000)
/* The main thread may be busy for so long until it waits for a page that nobody can bring. */
#define STOP_NS UINT64_C(500000000)
/* For a sender to hear that nothing is wanted any more, and to hang up. */
#define FINISH_NS UINT64_C(5000000000)

/* --- what is absent */

static int make_lacks(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_receive_follow *follow = &receive->follow;
    if (follow->lacks != NULL)
        return 0;
    follow->what = strdup(mv_channel_name(receive->lines.channels[0]));
    follow->lacks = calloc(receive->manifest.block_count + 1, sizeof *follow->lacks);
    return follow->what != NULL && follow->lacks != NULL
               ? 0
               : mv_error_set_errno(err, ENOMEM, "receiving a guest");
}

/* The pages of the block that a frame tells of; NULL in *ret where it takes none. */
static int find_lack(struct mv_receive *receive, const struct mv_wire_head *head,
                     struct mv_receive_lack **ret, struct mv_error *err)
{
    const struct mv_manifest_block *entry;
    int r = mv_receive_find(receive, head, &entry, err);
    if (r == 0 && mv_manifest_is_boot(entry))
        r = mv_error_set(err, EPROTO, "block %s: it cannot come after the guest", entry->id);
    if (r < 0)
        return r;
    struct mv_receive_lack *lack = &receive->follow.lacks[head->index];
    struct mv_block *block = receive->blocks[head->index];
    *ret = block == NULL ? NULL : lack;
    if (block == NULL || lack->bits != NULL)
        return 0;
    if (mv_paging_source_name(block) != NULL)
        return mv_error_set(err, EOPNOTSUPP,
                            "block %s: its pages come from %s here, and cannot come from the "
                            "sender later: send without --postcopy",
                            block->id, mv_paging_source_name(block));
    *lack = (struct mv_receive_lack){
        .receive = receive,
        .index = head->index,
        .block = block,
        .bits = calloc((block->size / PAGE + 63) / 64, sizeof *lack->bits),
        .asked = calloc((block->size / PAGE + 63) / 64, sizeof *lack->asked),
    };
    return lack->bits != NULL && lack->asked != NULL
               ? 0
               : mv_error_set_errno(err, ENOMEM, "receiving a guest");
}

int mv_receive_follow_note(struct mv_receive *receive, const struct mv_wire_head *head,
                           struct mv_error *err)
{
    struct mv_receive_loader *loader = &receive->loaders[0];
    struct mv_receive_lack *lack = NULL;
    int r = receive->hello.follows
                ? make_lacks(receive, err)
                : mv_error_set(err, EPROTO, "memory is to follow, which was not said at first");
    if (r == 0)
        r = mv_wire_read_payload(receive->lines.channels[0], head, loader->payload, err);
    if (r == 0)
        r = find_lack(receive, head, &lack, err);
    if (r == 0 && lack != NULL)
        r = mv_wire_take_absent(head, loader->payload, lack->bits, lack->block->size / PAGE, err);
    return r;
}

bool mv_receive_follow_is_due(const struct mv_receive *receive)
{
    return receive->follow.lacks != NULL;
}

uint64_t mv_receive_follow_left(const struct mv_receive *receive)
{
    uint64_t bytes = 0;
    const struct mv_receive_lack *lacks = receive->follow.lacks;
    for (size_t i = 0; lacks != NULL && i < receive->manifest.block_count; i++)
        bytes += lacks[i].block == NULL ? 0 : mv_paging_absent(lacks[i].block);
    return bytes;
}

void mv_receive_follow_add_waits(const struct mv_receive *receive, struct mv_wait_times *io_sum)
{
    const struct mv_receive_lack *lacks = receive->follow.lacks;
    for (size_t i = 0; lacks != NULL && i < receive->manifest.block_count; i++) {
        if (lacks[i].block != NULL)
            mv_paging_add_waits(lacks[i].block, io_sum);
    }
}

void mv_receive_follow_end(struct mv_receive *receive)
{
    struct mv_receive_lack *lacks = receive->follow.lacks;
    mv_receive_follow_add_waits(receive, &receive->follow.waits);
    for (size_t i = 0; lacks != NULL && i < receive->manifest.block_count; i++)
        lacks[i].block = NULL;
}

/* --- it is asked for */

/* What was asked for once comes, unless the line breaks: whether some of it was not. */
static bool note_asked(struct mv_receive_lack *lack, uint64_t offset, uint64_t len)
{
    bool news = false;
    for (uint64_t page = offset / PAGE; page < (offset + len) / PAGE; page++) {
        news |= !(lack->asked[page / 64] >> page % 64 & 1);
        lack->asked[page / 64] |= UINT64_C(1) << page % 64;
    }
    return news;
}

static void tell_failure(const struct mv_receive_lack *lack)
{
    mv_paging_fail(lack->block, "the line to its sender broke",
                   "have the rest sent: type 'memvisor receive --resume URI -n NAME' here and "
                   "'memvisor send --resume NAME URI' there");
}

/* A whole block may be wanted at once: what does not fit comes by itself. */
static void want(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    struct mv_receive_lack *lack = opaque;
    struct mv_receive_follow *follow = &lack->receive->follow;
    const struct mv_receive_wish wish = {lack->index, offset,
                                         len < MV_WIRE_PIECE ? len : MV_WIRE_PIECE};
    MV_LOCK_SCOPE(&follow->lock);
    if (follow->answers_fail && lack->block != NULL)
        tell_failure(lack);
    else if (waits && follow->count < MV_RECEIVE_WISHES && note_asked(lack, offset, wish.size)) {
        follow->wishes[(follow->first + follow->count++) % MV_RECEIVE_WISHES] = wish;
        pthread_cond_broadcast(&follow->changed);
    }
}

static void fail_pages(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    MV_LOCK_SCOPE(&follow->lock);
    follow->answers_fail = true;
    for (size_t i = 0; i < receive->manifest.block_count; i++) {
        if (follow->lacks[i].block != NULL && mv_paging_absent(follow->lacks[i].block) > 0)
            tell_failure(&follow->lacks[i]);
    }
}

static struct timespec after(uint64_t ns)
{
    uint64_t until = mv_now_ns() + ns;
    return (struct timespec){(time_t)(until / 1000000000), (long)(until % 1000000000)};
}

/* When something of the memory came last. */
struct heard {
    uint64_t bytes, ns;
};

/* 1: a wish; 0: the sender is to hear that all is here; or a negative errno: it is over. */
static int await_wish(struct mv_receive *receive, struct heard *heard, struct mv_receive_wish *ret)
{
    struct mv_receive_follow *follow = &receive->follow;
    MV_LOCK_SCOPE(&follow->lock);
    while (!follow->broken && !follow->complete && !follow->unwanted && follow->count == 0) {
        struct timespec when = after(LOOK_NS);
        pthread_cond_clockwait(&follow->changed, &follow->lock, CLOCK_MONOTONIC, &when);
        if (heard->bytes != atomic_load(&receive->transferred))
            *heard = (struct heard){atomic_load(&receive->transferred), mv_now_ns()};
        else if (mv_now_ns() - heard->ns > SILENCE_NS)
            return -ETIMEDOUT;
    }
    if (follow->broken)
        return -EPIPE;
    if (follow->complete || follow->unwanted)
        return 0;
    *ret = follow->wishes[follow->first];
    follow->first = (follow->first + 1) % MV_RECEIVE_WISHES;
    follow->count--;
    return 1;
}

/*
 * All was said: a sender that neither hangs up nor sends what stood in front of that any more
 * is not waited for for ever.
 */
static void await_end(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    {
        MV_LOCK_SCOPE(&follow->lock);
        uint64_t bytes;
        do {
            struct timespec when = after(FINISH_NS);
            bytes = atomic_load(&receive->transferred);
            while (!follow->hung_up && pthread_cond_clockwait(&follow->changed, &follow->lock,
                                                              CLOCK_MONOTONIC, &when) == 0)
                ;
        } while (!follow->hung_up && bytes != atomic_load(&receive->transferred));
    }
    mv_lines_end(&receive->lines);
}

static void *ask(void *opaque)
{
    struct mv_receive *receive = opaque;
    struct mv_channel *channel = receive->lines.channels[0];
    struct heard heard = {atomic_load(&receive->transferred), mv_now_ns()};
    struct mv_receive_wish wish;
    struct mv_error err;
    int r, sent = 0;
    mv_thread_prompt();
    while (sent == 0 && (r = await_wish(receive, &heard, &wish)) == 1) {
        const struct mv_wire_head head = {
            .type = MV_WIRE_WANT, .index = wish.index, .offset = wish.offset, .size = wish.size};
        sent = mv_wire_send(channel, &head, NULL, &err);
        atomic_fetch_add(&receive->follow.requests, 1);
    }
    if (sent == 0 && r == 0)
        sent = mv_wire_say(channel, MV_WIRE_LOADED, NULL, &err);
    if (sent == 0 && r == -ETIMEDOUT)
        sent = mv_error_set(&err, ETIMEDOUT, "nothing came from %s for %d seconds",
                            receive->follow.what, (int)(SILENCE_NS / 1000000000));
    if (sent < 0)
        mv_receive_follow_break(receive, &err);
    else if (r == 0)
        await_end(receive);
    return NULL;
}

/* --- it comes */

static void note_complete(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    MV_LOCK_SCOPE(&follow->lock);
    if (follow->complete || follow->broken)
        return;
    follow->complete = true;
    atomic_store(&receive->all_in, true);
    pthread_cond_broadcast(&follow->changed);
}

int mv_receive_follow_fill(struct mv_receive *receive, const struct mv_wire_head *head,
                           const uint8_t *bytes, struct mv_error *err)
{
    struct mv_block *block = receive->follow.lacks[head->index].block;
    bool same = head->kind == MV_WIRE_ZERO || head->kind == MV_WIRE_FILL;
    int r = 0;
    for (uint64_t at = 0, len; block != NULL && r == 0 && at < head->size; at += len) {
        uint64_t left = head->size - at;
        len = left < SLICE ? left : SLICE;
        r = mv_paging_fill(block, head->offset + at,
                           head->kind == MV_WIRE_ZERO ? NULL : bytes + (same ? 0 : at), len);
    }
    if (r < 0)
        return mv_error_set(err, EIO, "block %s: the host has no memory for what follows",
                            block->id);
    if (mv_receive_follow_left(receive) == 0)
        note_complete(receive);
    return 0;
}

void mv_receive_follow_break(struct mv_receive *receive, const struct mv_error *err)
{
    struct mv_receive_follow *follow = &receive->follow;
    {
        MV_LOCK_SCOPE(&follow->lock);
        if (follow->complete || follow->broken || follow->unwanted)
            return;
        follow->broken = true;
        follow->why = *err;
        pthread_cond_broadcast(&follow->changed);
    }
    mv_lines_end(&receive->lines);
}

/* --- it begins and ends */

int mv_receive_follow_begin(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_receive_follow *follow = &receive->follow;
    int r = 0;
    for (size_t i = 0; r == 0 && i < receive->manifest.block_count; i++) {
        struct mv_receive_lack *lack = &follow->lacks[i];
        const struct mv_paging_source source = {
            .what = follow->what, .stale = true, .want = want, .opaque = lack};
        if (lack->block == NULL)
            continue;
        for (uint64_t word = 0; word < (lack->block->size / PAGE + 63) / 64; word++)
            lack->bits[word] = ~lack->bits[word];
        r = mv_paging_begin(lack->block, &source, lack->bits, err);
        free(lack->bits);
        lack->bits = NULL;
    }
    atomic_store(&follow->followed_from, atomic_load(&receive->transferred));
    atomic_store(&receive->follows, r == 0);
    return r;
}

static void tell_broken(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    mv_log("the line to the sender broke, and %s of the guest's memory are still there; the guest "
           "is paused: type 'memvisor receive --resume URI -n NAME' here, then 'memvisor send "
           "--resume NAME URI' there: %s",
           mv_size_text(mv_receive_follow_left(receive)), follow->why.text);
}

/*
 * In the main thread.  The guest stands still before anybody is told that its pages cannot be
 * had, unless this thread waits for one itself.
 */
static void stop_for_line(void *opaque)
{
    struct mv_receive *receive = opaque;
    struct mv_receive_follow *follow = &receive->follow;
    follow->holds |= mv_machine_state(receive->machine) == MV_MACHINE_RUNNING;
    mv_machine_pause(receive->machine);
    follow->stops = mv_machine_stops(receive->machine);
    fail_pages(receive);
    mv_receive_set_stage(receive, MV_MOVE_BROKEN);
    tell_broken(receive);
    MV_LOCK_SCOPE(&follow->lock);
    follow->stopped = true;
    pthread_cond_broadcast(&follow->changed);
}

static void have_stopped(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    struct timespec when = after(STOP_NS);
    bool stopped;
    mv_lines_drop(&receive->lines); /* so that the sender learns of it */
    mv_loop_defer(receive->loop, stop_for_line, receive);
    {
        MV_LOCK_SCOPE(&follow->lock);
        while (!follow->stopped && !atomic_load(&receive->cancelled) &&
               pthread_cond_clockwait(&follow->changed, &follow->lock, CLOCK_MONOTONIC, &when) == 0)
            ;
        stopped = follow->stopped;
    }
    if (!stopped)
        fail_pages(receive);
}

static int start_asker(struct mv_receive *receive, struct mv_error *err)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&receive->follow.asker, NULL, ask, receive);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum == 0 ? 0 : mv_error_set_errno(err, errnum, "cannot start a thread");
}

/* Until the sender hangs up, or the line breaks. */
static int take_rest(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_wire_head head;
    int r = start_asker(receive, err);
    if (r < 0)
        return r;
    if (receive->lines.count > 1)
        setpriority(PRIO_PROCESS, 0, MV_MOVE_BACKGROUND_NICE);
    if (mv_receive_follow_left(receive) == 0)
        note_complete(receive); /* the guest has written all of it itself */
    r = mv_receive_take(&receive->loaders[0], 0, &head, err);
    mv_receive_follow_break(receive, err);
    {
        MV_LOCK_SCOPE(&receive->follow.lock);
        receive->follow.hung_up = true;
        pthread_cond_broadcast(&receive->follow.changed);
    }
    pthread_join(receive->follow.asker, NULL);
    return r;
}

bool mv_receive_follow(struct mv_receive *receive, int result, struct mv_error *err)
{
    struct mv_receive_follow *follow = &receive->follow;
    if (result == 0)
        result = take_rest(receive, err);
    if (result < 0)
        mv_receive_follow_break(receive, err);
    mv_lines_end(&receive->lines);
    mv_receive_join_others(receive);
    mv_lines_drop(&receive->lines); /* a sender that waits at it hears of it */
    bool broken;
    {
        MV_LOCK_SCOPE(&follow->lock);
        broken = follow->broken;
        follow->over = true;
        pthread_cond_broadcast(&follow->changed);
    }
    if (broken)
        have_stopped(receive);
    return !broken;
}

void mv_receive_follow_stop(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    struct timespec when = after(FINISH_NS);
    if (!atomic_load(&receive->follows))
        return;
    MV_LOCK_SCOPE(&follow->lock);
    if (follow->broken || follow->complete)
        return;
    follow->unwanted = true;
    atomic_store(&receive->all_in, true);
    pthread_cond_broadcast(&follow->changed);
    while (!follow->over &&
           pthread_cond_clockwait(&follow->changed, &follow->lock, CLOCK_MONOTONIC, &when) == 0)
        ;
}

static void free_bits(struct mv_receive_lack *lack)
{
    free(lack->bits);
    free(lack->asked);
}

void mv_receive_follow_clear(struct mv_receive *receive)
{
    struct mv_receive_follow *follow = &receive->follow;
    for (size_t i = 0; follow->lacks != NULL && i < receive->manifest.block_count; i++)
        free_bits(&follow->lacks[i]);
    free(follow->lacks);
    free(follow->what);
    follow->lacks = NULL;
    follow->what = NULL;
}
