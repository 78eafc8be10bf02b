/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over memory.  In each, every channel's worker takes chunks from a feed (ram-feed.h)
 * until none is left; the sending thread is the first of them, with the main channel.  A chunk
 * is copied piece by piece, so that what is looked at is what is sent though the guest writes
 * meanwhile: a page that was torn is dirty, and comes again.
 *
 * The first pass leaves out pages that are zero: to the receiver all is zero before it.
 */
#include "send-parts.h"

#include "block.h"
#include "channel.h"
#include "cleanup.h"
#include "fault.h"
#include "thread-slice.h"
#include "zero-page.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PAGE       MV_DIRTY_PAGE
#define ZSTD_LEVEL 1
/* Frames that are shorter are gathered to be written at once. */
#define GATHER       (64u << 10)
#define GATHER_SHORT (16u << 10)

struct mv_send_worker {
    struct mv_send *send;
    struct mv_channel *channel;
    pthread_t thread;
    struct mv_ram_work work;
    uint8_t *piece;    /* what is looked at */
    uint8_t *gathered; /* frames that wait */
    size_t used;
    uint8_t *compressed; /* NULL: nothing is compressed */
    size_t compressed_room;
    ZSTD_CCtx *zstd;
    bool hurries; /* no limit of bandwidth holds for what is sent now */
    int result;
    struct mv_error err;
};

struct pass {
    struct mv_ram_feed feed;
    bool all;
    bool boots; /* of what a reset boots, on the main channel alone */
    atomic_bool failed;
};

/* What is sent of a piece at a time. */
struct run {
    enum mv_wire_kind kind;
    uint32_t index;
    uint64_t offset; /* in the block */
    uint64_t size;
    const uint8_t *bytes;
};

/* --- frames */

static int flush(struct mv_send_worker *worker, struct mv_error *err)
{
    size_t used = worker->used;
    worker->used = 0;
    return used == 0 ? 0 : mv_channel_write(worker->channel, worker->gathered, used, err);
}

static int put_frame(struct mv_send_worker *worker, const struct mv_wire_head *head,
                     const void *payload, struct mv_error *err)
{
    struct mv_send *send = worker->send;
    uint64_t bytes = MV_WIRE_HEAD_BYTES + head->length;
    int r = 0;
    if (!worker->hurries)
        mv_send_pace_wait(&send->pace, bytes, send->cancelled);
    atomic_fetch_add_explicit(&send->counts.transferred, bytes, memory_order_relaxed);
    if (worker->used + bytes > GATHER || head->length > GATHER_SHORT)
        r = flush(worker, err);
    if (r < 0)
        return r;
    if (head->length > GATHER_SHORT)
        return mv_wire_send(worker->channel, head, payload, err);
    mv_wire_seal(head, payload, worker->gathered + worker->used);
    if (head->length > 0)
        memcpy(worker->gathered + worker->used + MV_WIRE_HEAD_BYTES, payload, head->length);
    worker->used += bytes;
    return 0;
}

/* The payload that is shortest: false where that is the bytes as they are. */
static bool compress(struct mv_send_worker *worker, const struct run *run,
                     struct mv_wire_head *head)
{
    struct mv_send_counts *counts = &worker->send->counts;
    if (worker->zstd == NULL)
        return false;
    size_t length = ZSTD_compressCCtx(worker->zstd, worker->compressed, worker->compressed_room,
                                      run->bytes, run->size, ZSTD_LEVEL);
    if (ZSTD_isError(length) || length > run->size - run->size / 16)
        return false;
    head->kind = MV_WIRE_ZSTD;
    head->length = (uint32_t)length;
    atomic_fetch_add_explicit(&counts->compressed_pages, run->size / PAGE, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->compressed_bytes, length, memory_order_relaxed);
    return true;
}

static int put_run(struct mv_send_worker *worker, const struct pass *pass, const struct run *run,
                   struct mv_error *err)
{
    struct mv_send_counts *counts = &worker->send->counts;
    _Atomic uint64_t *const kinds[] = {[MV_WIRE_DATA] = &counts->data_pages,
                                       [MV_WIRE_ZERO] = &counts->zero_pages,
                                       [MV_WIRE_FILL] = &counts->fill_pages};
    struct mv_wire_head head = {.type = MV_WIRE_RAM,
                                .kind = (uint16_t)run->kind,
                                .index = run->index,
                                .offset = run->offset,
                                .size = run->size};
    const void *payload = run->bytes;
    if (!pass->boots)
        atomic_fetch_add_explicit(kinds[run->kind], (run->size + PAGE - 1) / PAGE,
                                  memory_order_relaxed);
    if (run->kind == MV_WIRE_ZERO && pass->all)
        return 0;
    if (run->kind != MV_WIRE_ZERO)
        head.length = run->kind == MV_WIRE_FILL ? 8 : (uint32_t)run->size;
    if (run->kind == MV_WIRE_DATA && compress(worker, run, &head))
        payload = worker->compressed;
    if (!pass->boots)
        atomic_fetch_add_explicit(&counts->sizes, run->size, memory_order_relaxed);
    return put_frame(worker, &head, payload, err);
}

/* --- what is in a piece */

static enum mv_wire_kind kind_of(const uint8_t *bytes, uint64_t len)
{
    if (mv_zero_bytes(bytes, len))
        return MV_WIRE_ZERO;
    return len == PAGE && memcmp(bytes, bytes + 8, PAGE - 8) == 0 ? MV_WIRE_FILL : MV_WIRE_DATA;
}

static bool goes_on(const struct run *run, enum mv_wire_kind kind, const uint8_t *bytes)
{
    return run->kind == kind && (kind != MV_WIRE_FILL || memcmp(run->bytes, bytes, 8) == 0);
}

/* Runs of pages of one kind; the last page may be a part of one. */
static int put_piece(struct mv_send_worker *worker, const struct pass *pass, uint32_t index,
                     uint64_t offset, uint64_t len, struct mv_error *err)
{
    struct run run = {.index = index};
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < len; at += PAGE) {
        const uint8_t *bytes = worker->piece + at;
        uint64_t size = len - at < PAGE ? len - at : PAGE;
        enum mv_wire_kind kind = kind_of(bytes, size);
        if (run.size > 0 && goes_on(&run, kind, bytes)) {
            run.size += size;
            continue;
        }
        if (run.size > 0)
            r = put_run(worker, pass, &run, err);
        run = (struct run){kind, index, offset + at, size, bytes};
    }
    return r < 0 || run.size == 0 ? r : put_run(worker, pass, &run, err);
}

/* --- chunks */

static int put_bytes(struct mv_send_worker *worker, const struct pass *pass,
                     const struct mv_ram_hold *hold, uint64_t start, uint64_t end,
                     struct mv_error *err)
{
    const struct mv_ram_source *source = worker->work.source;
    uint32_t index = worker->send->indexes[source - worker->send->sources];
    int r = 0;
    for (uint64_t len; r == 0 && start < end; start += len) {
        len = end - start < MV_WIRE_PIECE ? end - start : MV_WIRE_PIECE;
        r = mv_ram_source_read(source, hold, start, worker->piece, len, worker->send->cancelled,
                               err);
        if (r == 0)
            r = put_piece(worker, pass, index, start, len, err);
    }
    return r;
}

static int put_runs(struct mv_send_worker *worker, const struct pass *pass, struct mv_error *err)
{
    const struct mv_ram_work *work = &worker->work;
    struct mv_ram_hold hold;
    int r = mv_ram_source_hold(work->source, &hold, err);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < work->count; i++)
        r = put_bytes(worker, pass, &hold, work->offset + work->runs[i].start,
                      work->offset + work->runs[i].end, err);
    mv_ram_source_release(&hold);
    return r;
}

/* Where memory is to follow the guest from now on, what was not sent yet does. */
static int put_chunk(struct mv_send_worker *worker, const struct pass *pass, struct mv_error *err)
{
    struct mv_send *send = worker->send;
    int r = 0;
    if (!pass->boots && atomic_load(&send->way) == MV_SEND_AFTER)
        mv_send_follow_note(send, &worker->work);
    else
        r = put_runs(worker, pass, err);
    atomic_fetch_add_explicit(&send->counts.done, worker->work.weight, memory_order_relaxed);
    return r;
}

int mv_send_put(struct mv_send *send, unsigned number, const struct mv_ram_source *source,
                uint64_t start, uint64_t end, bool hurries, struct mv_error *err)
{
    struct mv_send_worker *worker = &send->workers[number];
    const struct pass pass = {.all = false};
    worker->channel = send->lines.channels[number]; /* a later one, where a line broke */
    worker->hurries = hurries;
    int r = 0;
    while (r == 0 && start < end) {
        uint64_t chunk = start - start % MV_RAM_CHUNK, stop = chunk + MV_RAM_CHUNK;
        stop = stop < end ? stop : end;
        worker->work.source = source;
        worker->work.offset = chunk;
        worker->work.count = 1;
        worker->work.runs[0] =
            (struct mv_ram_run){(uint32_t)(start - chunk), (uint32_t)(stop - chunk)};
        r = put_runs(worker, &pass, err);
        start = stop;
    }
    return r < 0 ? r : flush(worker, err);
}

/* The main channel's worker is the one that reads it: the receiver may have given up. */
static int look_for_answer(struct mv_send_worker *worker, struct mv_error *err)
{
    if (worker != worker->send->workers)
        return 0;
    int r = mv_channel_wait_readable(worker->channel, 0, err);
    return r <= 0 ? r
                  : mv_wire_read_answer(worker->channel,
                                        MV_WIRE_BIT(MV_WIRE_REFUSED) | MV_WIRE_BIT(MV_WIRE_FAILED),
                                        err);
}

static int put_chunks(struct mv_send_worker *worker, struct pass *pass, struct mv_error *err)
{
    const struct mv_wire_head end = {.type = MV_WIRE_PASS,
                                     .index = atomic_load(&worker->send->passes)};
    int r = 1;
    while (r > 0 && !atomic_load(&pass->failed)) {
        r = mv_ram_feed_take(&pass->feed, &worker->work, err);
        int done = r == 1 ? put_chunk(worker, pass, err) : 0;
        if (done == 0 && r >= 0)
            done = look_for_answer(worker, err);
        r = done < 0 ? done : r;
    }
    if (r == 0)
        r = put_frame(worker, &end, NULL, err);
    return r < 0 ? r : flush(worker, err);
}

static void work(struct mv_send_worker *worker, struct pass *pass)
{
    worker->used = 0;
    worker->result = put_chunks(worker, pass, &worker->err);
    if (worker->result < 0)
        atomic_store(&pass->failed, true);
}

/* --- threads */

struct start {
    struct mv_send_worker *worker;
    struct pass *pass;
};

static void *run_thread(void *opaque)
{
    const struct start *start = opaque;
    mv_thread_bulk();
    work(start->worker, start->pass);
    return NULL;
}

/* 0, or a positive errno. */
static int start_thread(struct start *start)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&start->worker->thread, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

/* All channels have to say that the pass is over, also where a thread is not to be had. */
static int work_together(struct mv_send *send, struct pass *pass, struct mv_error *err)
{
    struct start starts[MV_MOVE_CHANNELS_MAX];
    unsigned count = pass->boots ? 1 : send->channels, started = 1;
    int errnum = 0, r = 0;
    for (; errnum == 0 && started < count; started += errnum == 0) {
        starts[started] = (struct start){&send->workers[started], pass};
        errnum = start_thread(&starts[started]);
    }
    if (errnum == 0)
        work(&send->workers[0], pass);
    else
        atomic_store(&pass->failed, true);
    for (unsigned i = 1; i < started; i++)
        pthread_join(send->workers[i].thread, NULL);
    if (errnum != 0)
        return mv_error_set_errno(err, errnum, "cannot start a thread");
    for (unsigned i = 0; r == 0 && i < count; i++) {
        r = send->workers[i].result;
        if (r < 0)
            *err = send->workers[i].err;
    }
    if (r == 0 && atomic_load(send->cancelled))
        r = mv_error_set(err, ECANCELED, "cancelled");
    return r;
}

int mv_send_pass(struct mv_send *send, bool all, uint64_t bytes, struct mv_error *err)
{
    struct pass pass = {.all = all};
    atomic_store(&send->counts.done, 0);
    atomic_store(&send->counts.total, bytes);
    mv_ram_feed_init(&pass.feed, send->sources, send->block_count, all);
    int r = work_together(send, &pass, err);
    mv_ram_feed_end(&pass.feed);
    if (r == 0)
        atomic_store(&send->counts.done, bytes);
    return r;
}

int mv_send_boot(struct mv_send *send, struct mv_error *err)
{
    struct pass pass = {.all = true, .boots = true};
    mv_ram_feed_init(&pass.feed, send->sources + send->block_count,
                     send->source_count - send->block_count, true);
    int r = work_together(send, &pass, err);
    mv_ram_feed_end(&pass.feed);
    return r;
}

int mv_send_take(struct mv_send *send, uint64_t *ret_bytes, struct mv_error *err)
{
    uint64_t pages, bytes = 0;
    for (size_t i = 0; i < send->block_count; i++) {
        if (mv_dirty_cursor_take(send->sources[i].cursor, &pages, err) < 0)
            return mv_ram_source_refuse_gone(&send->sources[i], err);
        bytes += pages * PAGE;
    }
    *ret_bytes = bytes;
    return 0;
}

/* --- life */

static int make_worker(struct mv_send_worker *worker, struct mv_send *send, unsigned number)
{
    *worker = (struct mv_send_worker){.send = send,
                                      .channel = send->lines.channels[number],
                                      .piece = aligned_alloc(PAGE, MV_WIRE_PIECE),
                                      .gathered = malloc(GATHER)};
    if (send->zstd) {
        worker->compressed_room = ZSTD_compressBound(MV_WIRE_PIECE);
        worker->compressed = malloc(worker->compressed_room);
        worker->zstd = ZSTD_createCCtx();
    }
    bool made = worker->piece != NULL && worker->gathered != NULL &&
                (!send->zstd || (worker->compressed != NULL && worker->zstd != NULL));
    return made ? 0 : -ENOMEM;
}

int mv_send_workers_create(struct mv_send *send, struct mv_error *err)
{
    send->workers = calloc(send->channels, sizeof *send->workers);
    int r = send->workers == NULL ? -ENOMEM : 0;
    mv_fault_init();
    for (unsigned i = 0; r == 0 && i < send->channels; i++)
        r = make_worker(&send->workers[i], send, i);
    return r < 0 ? mv_error_set_errno(err, -r, "sending the guest") : 0;
}

void mv_send_workers_destroy(struct mv_send *send)
{
    for (unsigned i = 0; send->workers != NULL && i < send->channels; i++) {
        free(send->workers[i].piece);
        free(send->workers[i].gathered);
        free(send->workers[i].compressed);
        ZSTD_freeCCtx(send->workers[i].zstd);
    }
    free(send->workers);
    send->workers = NULL;
}
