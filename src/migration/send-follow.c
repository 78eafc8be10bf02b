/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that follows its guest (postcopy).  What had not been sent when the guest was stopped
 * has a bit for each page; the receiver is told of them before it lets the guest run.  Then
 * they go over: those that it asks for by the last channel, at once, the others by the rest,
 * from behind the place that was asked for last on, since what lies there is wanted next.  Over
 * one channel alone the two take turns.
 *
 * A page's bit is cleared before the page is sent: what was sent and did not arrive, since a
 * line broke, the receiver tells once it is connected again.
 */
#include "send-parts.h"

#include "channel.h"
#include "cleanup.h"
#include "fault.h"
#include "os.h"
#include "thread-slice.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PAGE MV_DIRTY_PAGE
/* Of a source that go over as one piece where nobody waits for them. */
#define PIECE_PAGES (MV_WIRE_PIECE / PAGE)
/* And over one channel, where what is waited for has to wait for that. */
#define ALONE_PAGES (PIECE_PAGES / 4)
/* Without a word from a receiver that has been sent all it lacks. */
#define SILENCE_NS UINT64_C(60000000000)
/* How often it is looked whether another thread failed. */
#define LOOK_NS UINT64_C(100000000)

/* --- which pages */

/* The first page from `page` on whose bit is `set`; `count` where there is none. */
static uint64_t find(const uint64_t *bits, uint64_t page, uint64_t count, bool set)
{
    while (page < count) {
        uint64_t word = (set ? bits[page / 64] : ~bits[page / 64]) >> page % 64;
        if (word != 0) {
            page += (uint64_t)__builtin_ctzll(word);
            break;
        }
        page = (page / 64 + 1) * 64;
    }
    return page < count ? page : count;
}

static uint64_t pages_of(const struct mv_send *send, size_t source)
{
    return send->sources[source].size / PAGE;
}

int mv_send_follow_make(struct mv_send *send, struct mv_error *err)
{
    struct mv_send_follow *follow = &send->follow;
    int r = 0;
    follow->left = calloc(send->block_count + 1, sizeof *follow->left);
    if (follow->left == NULL)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < send->block_count; i++) {
        follow->left[i] = calloc((pages_of(send, i) + 63) / 64 + 1, sizeof **follow->left);
        r = follow->left[i] == NULL ? -ENOMEM : 0;
    }
    return r < 0 ? mv_error_set_errno(err, -r, "sending the guest") : 0;
}

void mv_send_follow_clear(struct mv_send *send)
{
    struct mv_send_follow *follow = &send->follow;
    for (size_t i = 0; follow->left != NULL && i < send->block_count; i++)
        free(follow->left[i]);
    free(follow->left);
    follow->left = NULL;
    follow->count = 0;
}

void mv_send_follow_note(struct mv_send *send, const struct mv_ram_work *work)
{
    struct mv_send_follow *follow = &send->follow;
    uint64_t *bits = follow->left[work->source - send->sources];
    MV_LOCK_SCOPE(&follow->lock);
    for (size_t i = 0; i < work->count; i++) {
        uint64_t end = (work->offset + work->runs[i].end) / PAGE;
        for (uint64_t page = (work->offset + work->runs[i].start) / PAGE; page < end; page++) {
            follow->count += ~bits[page / 64] >> page % 64 & 1;
            bits[page / 64] |= UINT64_C(1) << page % 64;
        }
    }
}

static int note_taken(struct mv_send *send, struct mv_error *err)
{
    struct mv_ram_feed feed;
    CLEANUP_FREE struct mv_ram_work *work = malloc(sizeof *work);
    if (work == NULL)
        return mv_error_set_errno(err, ENOMEM, "sending the guest");
    mv_ram_feed_init(&feed, send->sources, send->block_count, false);
    int r;
    while ((r = mv_ram_feed_take(&feed, work, err)) == 1)
        mv_send_follow_note(send, work);
    mv_ram_feed_end(&feed);
    return r;
}

/* What is left is all that is looked at from now on. */
static void show_left(struct mv_send *send)
{
    atomic_store(&send->counts.done, 0);
    atomic_store(&send->counts.total, send->follow.count * PAGE);
}

int mv_send_follow_announce(struct mv_send *send, struct mv_error *err)
{
    struct mv_send_follow *follow = &send->follow;
    uint64_t bytes;
    int r = note_taken(send, err);
    if (r == 0)
        r = mv_send_take(send, &bytes, err);
    if (r == 0)
        r = note_taken(send, err);
    show_left(send);
    for (size_t i = 0; r == 0 && follow->count > 0 && i < send->block_count; i++)
        r = mv_wire_send_absent(send->lines.channels[0], send->indexes[i], follow->left[i],
                                pages_of(send, i), err);
    return r;
}

/* Pages of a source, none of which is left any more. */
struct pages {
    size_t source;
    uint64_t first, end;
};

static void take(struct mv_send *send, const struct pages *pages)
{
    struct mv_send_follow *follow = &send->follow;
    uint64_t *bits = follow->left[pages->source];
    for (uint64_t page = pages->first; page < pages->end; page++) {
        follow->count -= bits[page / 64] >> page % 64 & 1;
        bits[page / 64] &= ~(UINT64_C(1) << page % 64);
    }
    follow->source = pages->source;
    follow->page = pages->end;
}

/* The next that nobody has asked for: false where none is left. */
static bool take_next(struct mv_send *send, struct pages *ret)
{
    struct mv_send_follow *follow = &send->follow;
    MV_LOCK_SCOPE(&follow->lock);
    if (follow->count == 0)
        return false;
    for (;;) {
        const uint64_t *bits = follow->left[follow->source];
        uint64_t count = pages_of(send, follow->source);
        uint64_t first = find(bits, follow->page, count, true);
        if (first < count) {
            uint64_t pages = send->channels == 1 ? ALONE_PAGES : PIECE_PAGES;
            uint64_t most = count - first < pages ? count : first + pages;
            *ret = (struct pages){follow->source, first, find(bits, first, most, false)};
            take(send, ret);
            return true;
        }
        follow->source = (follow->source + 1) % send->block_count;
        follow->page = 0;
    }
}

/* --- sending them */

static int put(struct mv_send *send, unsigned number, const struct pages *pages, bool hurries,
               struct mv_error *err)
{
    uint64_t bytes = (pages->end - pages->first) * PAGE;
    int r = mv_send_put(send, number, &send->sources[pages->source], pages->first * PAGE,
                        pages->end * PAGE, hurries, err);
    atomic_fetch_add_explicit(&send->counts.done, bytes, memory_order_relaxed);
    return r;
}

static void fail(struct mv_send *send, int result, const struct mv_error *err)
{
    struct mv_send_follow *follow = &send->follow;
    {
        MV_LOCK_SCOPE(&follow->lock);
        if (follow->result == 0) {
            follow->result = result;
            follow->err = *err;
        }
    }
    atomic_store(&follow->failed, true);
    mv_lines_end(&send->lines);
}

struct pusher {
    struct mv_send *send;
    unsigned number; /* of its channel */
    pthread_t thread;
};

/* Nobody waits for these: who asks for others is to have the processor first. */
static void *push(void *opaque)
{
    const struct pusher *pusher = opaque;
    struct mv_send *send = pusher->send;
    struct pages pages;
    struct mv_error err;
    int r = 0;
    mv_thread_bulk();
    setpriority(PRIO_PROCESS, 0, MV_MOVE_BACKGROUND_NICE);
    while (r == 0 && !atomic_load(&send->follow.failed) && take_next(send, &pages))
        r = put(send, pusher->number, &pages, false, &err);
    if (r < 0)
        fail(send, r, &err);
    return NULL;
}

/* A positive errno where a thread is not to be had; those that are, are joined. */
static int start_pushers(struct mv_send *send, struct pusher *pushers, unsigned *ret_count)
{
    sigset_t all, before;
    int errnum = 0;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (*ret_count = 0; errnum == 0 && *ret_count + 1 < send->channels;) {
        struct pusher *pusher = &pushers[*ret_count];
        *pusher = (struct pusher){send, *ret_count, 0};
        errnum = pthread_create(&pusher->thread, NULL, push, pusher);
        *ret_count += errnum == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

/* --- what the receiver says */

static int find_source(const struct mv_send *send, const struct mv_wire_head *head, size_t *ret,
                       struct mv_error *err)
{
    for (size_t i = 0; i < send->block_count; i++) {
        if (send->indexes[i] != head->index)
            continue;
        *ret = i;
        return 0;
    }
    return mv_error_set(err, EPROTO, "the receiver speaks of block %" PRIu32 ", which is not sent",
                        head->index);
}

static int put_wanted(struct mv_send *send, const struct mv_wire_head *head, struct mv_error *err)
{
    struct pages pages = {.first = head->offset / PAGE};
    int r = find_source(send, head, &pages.source, err);
    if (r < 0)
        return r;
    uint64_t size = send->sources[pages.source].size;
    if (head->offset % PAGE != 0 || head->size % PAGE != 0 || head->size == 0 ||
        head->size > MV_WIRE_PIECE || head->offset >= size || head->size > size - head->offset)
        return mv_error_set(err, EPROTO,
                            "the receiver wants 0x%" PRIx64 " bytes at 0x%" PRIx64
                            " of block %s, which are none of its pages",
                            head->size, head->offset, send->sources[pages.source].id);
    pages.end = pages.first + head->size / PAGE;
    {
        MV_LOCK_SCOPE(&send->follow.lock);
        take(send, &pages);
    }
    atomic_fetch_add(&send->counts.requests, 1);
    return put(send, send->channels - 1, &pages, true, err);
}

/* 1: all is there. */
static int answer(struct mv_send *send, struct mv_error *err)
{
    struct mv_wire_head head;
    char text[MV_WIRE_TEXT_MAX];
    const uint32_t due =
        MV_WIRE_BIT(MV_WIRE_WANT) | MV_WIRE_BIT(MV_WIRE_LOADED) | MV_WIRE_BIT(MV_WIRE_FAILED);
    int r = mv_wire_read_head(send->lines.channels[0], due, &head, err);
    if (r == 0)
        r = mv_wire_read_payload(send->lines.channels[0], &head, text, err);
    if (r < 0)
        return r;
    if (head.type == MV_WIRE_FAILED)
        return mv_error_set(err, EREMOTEIO, "the receiver failed: %.*s", (int)head.length, text);
    return head.type == MV_WIRE_LOADED ? 1 : put_wanted(send, &head, err);
}

/* Until the receiver has all: 1. */
static int serve(struct mv_send *send, struct mv_error *err)
{
    struct mv_channel *channel = send->lines.channels[0];
    uint64_t heard_ns = mv_now_ns(), sent = 0;
    struct pages pages;
    int r = 0;
    while (r == 0) {
        bool pushes = send->channels == 1 && send->follow.count > 0;
        r = mv_channel_wait_readable(channel, pushes ? 0 : LOOK_NS, err);
        if (send->follow.count > 0 || sent != atomic_load(&send->counts.transferred))
            heard_ns = mv_now_ns();
        sent = atomic_load(&send->counts.transferred);
        if (r == 1) {
            r = answer(send, err);
            heard_ns = mv_now_ns();
        } else if (r == 0 && atomic_load(&send->follow.failed)) {
            r = mv_error_set(err, ECANCELED, "another channel failed");
        } else if (r == 0 && pushes) {
            r = take_next(send, &pages) ? put(send, 0, &pages, false, err) : 0;
        } else if (r == 0 && mv_now_ns() - heard_ns > SILENCE_NS) {
            r = mv_error_set(err, ETIMEDOUT, "all was sent, and nothing was heard of it");
        }
    }
    return r;
}

int mv_send_follow_run(struct mv_send *send, struct mv_error *err)
{
    struct mv_send_follow *follow = &send->follow;
    struct pusher pushers[MV_MOVE_CHANNELS_MAX];
    unsigned count;
    follow->result = 0;
    atomic_store(&follow->failed, false);
    atomic_store(&send->pace.unlimited, false);
    atomic_store(&send->pace.follows, true);
    mv_send_set_stage(send, MV_MOVE_FOLLOWING);
    int errnum = start_pushers(send, pushers, &count);
    mv_thread_prompt();
    int r = errnum == 0 ? serve(send, err) : mv_error_set_errno(err, errnum, "starting a thread");
    if (r < 0)
        fail(send, r, err);
    atomic_store(&follow->failed, true); /* also where all is there: what is left nobody wants */
    for (unsigned i = 0; i < count; i++)
        pthread_join(pushers[i].thread, NULL);
    if (r < 0) {
        *err = follow->err;
        return follow->result;
    }
    return 0;
}

/* --- it is taken up again */

/* Frames that a receiver can have to say. */
static uint64_t frames_most(const struct mv_send *send)
{
    uint64_t most = 1;
    for (size_t i = 0; i < send->block_count; i++)
        most += (pages_of(send, i) + MV_WIRE_ABSENT_PAGES - 1) / MV_WIRE_ABSENT_PAGES;
    return most;
}

static int read_absent(struct mv_send *send, struct mv_error *err)
{
    struct mv_channel *channel = send->lines.channels[0];
    const uint32_t due = MV_WIRE_BIT(MV_WIRE_ABSENT) | MV_WIRE_BIT(MV_WIRE_READY) |
                         MV_WIRE_BIT(MV_WIRE_REFUSED) | MV_WIRE_BIT(MV_WIRE_FAILED);
    CLEANUP_FREE uint8_t *payload = malloc(MV_WIRE_PIECE);
    struct mv_wire_head head = {0};
    size_t source = 0;
    uint64_t left = frames_most(send);
    int r = payload == NULL ? mv_error_set_errno(err, ENOMEM, "a list of pages") : 0;
    while (r == 0 && head.type != MV_WIRE_READY) {
        r = left-- > 0 ? mv_wire_read_head(channel, due, &head, err)
                       : mv_error_set(err, EPROTO, "the receiver lacks more than there is");
        if (r == 0)
            r = mv_wire_read_payload(channel, &head, payload, err);
        if (r == 0 && head.type == MV_WIRE_ABSENT)
            r = find_source(send, &head, &source, err);
        if (r == 0 && head.type == MV_WIRE_ABSENT)
            r = mv_wire_take_absent(&head, payload, send->follow.left[source],
                                    pages_of(send, source), err);
        if (r == 0 && (head.type == MV_WIRE_REFUSED || head.type == MV_WIRE_FAILED))
            r = mv_error_set(err, EREMOTEIO, "the receiver refuses: %.*s", (int)head.length,
                             (const char *)payload);
    }
    return r;
}

int mv_send_follow_again(struct mv_send *send, struct mv_error *err)
{
    struct mv_send_follow *follow = &send->follow;
    for (size_t i = 0; i < send->block_count; i++)
        memset(follow->left[i], 0, (pages_of(send, i) + 63) / 64 * sizeof **follow->left);
    int r = read_absent(send, err);
    if (r < 0)
        return r;
    follow->count = follow->source = follow->page = 0;
    for (size_t i = 0; i < send->block_count; i++) {
        for (uint64_t word = 0; word < (pages_of(send, i) + 63) / 64; word++)
            follow->count += (uint64_t)__builtin_popcountll(follow->left[i][word]);
    }
    show_left(send);
    return mv_send_follow_run(send, err);
}
