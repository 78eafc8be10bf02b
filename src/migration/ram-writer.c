/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's passes.  In each, every thread takes chunks from a feed (ram-feed.c) and
 * works on them (ram-chunk.c) until none is left or one of them failed; no two have the same
 * chunk in a pass, so that sums need no lock.  Threads live for a pass; whoever asked for it
 * is one of them, so that it also goes on where the host gives no other.
 */
#include "ram-writer.h"

#include "block.h"
#include "cleanup.h"
#include "fault.h"
#include "ram-chunk.h"
#include "ram-feed.h"
#include "ram-reflink.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_THREADS = 4, MOST_PASSES = 30 };

/* Written within the time that stopping a guest takes: for less, a pass is not worth its while. */
#define LITTLE (4 * MV_MIB)

struct worker {
    struct mv_ram_writer *writer;
    pthread_t thread;
    struct mv_ram_chunk chunk;
    struct mv_ram_work work;
};

typedef void work_fn(struct worker *worker);

struct mv_ram_writer {
    int fd;
    const char *file;
    const atomic_bool *cancelled;
    uint64_t end; /* of the last part, in the file */
    struct mv_ram_source *sources;
    size_t count;
    size_t chunks;  /* of all sources */
    uint64_t *sums; /* of each chunk, */
    bool *changed;  /* since its sum was made */
    bool copied;    /* all pages were, once */
    bool rewritten; /* some were changed since their sum was made */
    bool partial;   /* a source is */
    struct mv_ram_progress progress;
    struct worker workers[MOST_THREADS];
    size_t worker_count;
    /* One pass: */
    struct mv_ram_feed feed;
    work_fn *work;
    atomic_size_t next;   /* chunk, when sums are made */
    pthread_mutex_t lock; /* of the first failure */
    atomic_int result;    /* 0, or what it was */
    struct mv_error err;
};

/* --- threads */

static bool is_cancelled(const struct mv_ram_writer *writer)
{
    return writer->cancelled != NULL && atomic_load(writer->cancelled);
}

static bool goes_on(struct mv_ram_writer *writer)
{
    return atomic_load(&writer->result) == 0 && !is_cancelled(writer);
}

static void fail(struct mv_ram_writer *writer, int result, const struct mv_error *err)
{
    MV_LOCK_SCOPE(&writer->lock);
    if (atomic_load(&writer->result) != 0)
        return;
    writer->err = *err;
    atomic_store(&writer->result, result);
}

static void *start(void *opaque)
{
    struct worker *worker = opaque;
    worker->writer->work(worker);
    return NULL;
}

static int check_cancelled(const struct mv_ram_writer *writer, struct mv_error *err)
{
    if (!is_cancelled(writer))
        return 0;
    return mv_error_set(err, ECANCELED, "'%s' is not written: that was cancelled", writer->file);
}

static int work_together(struct mv_ram_writer *writer, work_fn *work, struct mv_error *err)
{
    sigset_t all, before;
    size_t started = 1; /* this thread is the first */
    writer->work = work;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < writer->worker_count && pthread_create(&writer->workers[started].thread, NULL,
                                                            start, &writer->workers[started]) == 0)
        started++;
    work(&writer->workers[0]);
    while (--started > 0)
        pthread_join(writer->workers[started].thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int r = atomic_load(&writer->result);
    if (r < 0)
        return mv_error_set(err, -r, "%s", writer->err.text);
    return check_cancelled(writer, err);
}

/* --- passes */

static int copy_chunk(struct worker *worker, struct mv_error *err)
{
    struct mv_ram_writer *writer = worker->writer;
    const struct mv_ram_work *work = &worker->work;
    size_t chunk = work->source->first + work->offset / MV_RAM_CHUNK;
    int r;
    if (writer->feed.all) {
        r = mv_ram_chunk_write_all(&worker->chunk, work, &writer->sums[chunk], err);
    } else {
        writer->changed[chunk] = true;
        r = mv_ram_chunk_write_again(&worker->chunk, work, err);
    }
    atomic_fetch_add_explicit(&writer->progress.done, work->weight, memory_order_relaxed);
    return r;
}

static void copy_chunks(struct worker *worker)
{
    struct mv_ram_writer *writer = worker->writer;
    struct mv_error err;
    int r = 1;
    while (r > 0 && goes_on(writer)) {
        r = mv_ram_feed_take(&writer->feed, &worker->work, &err);
        int failed = r == 1 ? copy_chunk(worker, &err) : r;
        if (failed < 0)
            fail(writer, failed, &err);
    }
}

/* A pass that has this many bytes to look at. */
static int pass(struct mv_ram_writer *writer, bool all, uint64_t bytes, struct mv_error *err)
{
    struct mv_ram_progress *progress = &writer->progress;
    uint64_t total = atomic_fetch_add(&progress->total, bytes) + bytes;
    atomic_store(&progress->last, bytes);
    atomic_fetch_add(&progress->passes, 1);
    mv_ram_feed_init(&writer->feed, writer->sources, writer->count, all);
    int r = work_together(writer, copy_chunks, err);
    mv_ram_feed_end(&writer->feed);
    /* What nobody had to look at is done, too. */
    if (r == 0)
        atomic_store(&progress->done, total);
    return r;
}

static int reflink_all(struct mv_ram_writer *writer, struct mv_error *err)
{
    const struct mv_ram_reflink_params params = {writer->fd, writer->file, writer->cancelled};
    int r = 0;
    for (size_t i = 0; r == 0 && i < writer->count; i++) {
        struct mv_ram_source *source = &writer->sources[i];
        r = mv_ram_reflink(source, &params, err);
        for (size_t n = 0; n < source->extent_count; n++)
            atomic_fetch_add(&writer->progress.shared,
                             source->extents[n].end - source->extents[n].start);
    }
    return r < 0 ? r : check_cancelled(writer, err);
}

/* The file gets its length first, so that it can be read back up to there. */
static int copy_all(struct mv_ram_writer *writer, struct mv_error *err)
{
    uint64_t bytes = 0;
    struct stat st;
    if (fstat(writer->fd, &st) < 0 ||
        ((uint64_t)st.st_size < writer->end && ftruncate(writer->fd, (off_t)writer->end) < 0))
        return mv_error_set_errno(err, errno, "cannot write '%s'", writer->file);
    for (size_t i = 0; i < writer->count; i++)
        bytes += writer->sources[i].partial ? 0 : writer->sources[i].size;
    int r = reflink_all(writer, err);
    if (r == 0)
        r = pass(writer, true, bytes, err);
    writer->copied = r == 0;
    return r;
}

static void note_pages(struct mv_ram_source *source)
{
    uint64_t offset = 0, len;
    for (; mv_dirty_cursor_next(source->cursor, &offset, &len); offset += len)
        for (uint64_t page = offset / MV_DIRTY_PAGE; page < (offset + len) / MV_DIRTY_PAGE; page++)
            source->pages[page / 64] |= UINT64_C(1) << page % 64;
}

static int copy_again(struct mv_ram_writer *writer, uint64_t *ret_bytes, struct mv_error *err)
{
    uint64_t pages, bytes = 0;
    for (size_t i = 0; i < writer->count; i++) {
        struct mv_ram_source *source = &writer->sources[i];
        if (source->cursor == NULL)
            continue;
        if (mv_dirty_cursor_take(source->cursor, &pages, err) < 0)
            return mv_ram_source_refuse_gone(source, err);
        if (source->partial)
            note_pages(source);
        bytes += pages * MV_DIRTY_PAGE;
    }
    *ret_bytes = bytes;
    if (bytes == 0)
        return check_cancelled(writer, err); /* no threads, and no look through all logs */
    writer->rewritten = true;
    return pass(writer, false, bytes, err);
}

int mv_ram_writer_copy_live(struct mv_ram_writer *writer, struct mv_error *err)
{
    uint64_t before = UINT64_MAX, bytes = 0;
    int r = copy_all(writer, err);
    for (int i = 1; r == 0 && i < MOST_PASSES; i++) {
        r = copy_again(writer, &bytes, err);
        if (bytes <= LITTLE || bytes > before - before / 8)
            break;
        before = bytes;
    }
    return r;
}

int mv_ram_writer_copy_rest(struct mv_ram_writer *writer, struct mv_error *err)
{
    uint64_t bytes;
    bool again = writer->copied || writer->partial;
    int r = writer->copied ? 0 : copy_all(writer, err);
    return r == 0 && again ? copy_again(writer, &bytes, err) : r;
}

/* --- sums */

static const struct mv_ram_source *source_of(const struct mv_ram_writer *writer, size_t chunk)
{
    size_t i = writer->count - 1;
    while (writer->sources[i].first > chunk)
        i--;
    return &writer->sources[i];
}

static uint64_t chunk_len(const struct mv_ram_source *source, uint64_t offset)
{
    uint64_t left = source->size - offset;
    return left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK;
}

static void sum_chunks(struct worker *worker)
{
    struct mv_ram_writer *writer = worker->writer;
    struct mv_error err;
    while (goes_on(writer)) {
        size_t chunk = atomic_fetch_add(&writer->next, 1);
        if (chunk >= writer->chunks)
            return;
        if (!writer->changed[chunk])
            continue;
        const struct mv_ram_source *source = source_of(writer, chunk);
        uint64_t offset = (chunk - source->first) * MV_RAM_CHUNK;
        int r = mv_ram_chunk_sum_file(&worker->chunk, source, offset, chunk_len(source, offset),
                                      &writer->sums[chunk], &err);
        if (r < 0)
            fail(writer, r, &err);
        else
            writer->changed[chunk] = false;
    }
}

int mv_ram_writer_sum(struct mv_ram_writer *writer, struct mv_error *err)
{
    if (!writer->rewritten)
        return check_cancelled(writer, err);
    atomic_store(&writer->next, 0);
    return work_together(writer, sum_chunks, err);
}

const uint64_t *mv_ram_writer_sums(const struct mv_ram_writer *writer, size_t part,
                                   size_t *ret_count)
{
    size_t first = writer->sources[part].first;
    *ret_count =
        (part + 1 < writer->count ? writer->sources[part + 1].first : writer->chunks) - first;
    return writer->sums + first;
}

const uint64_t *mv_ram_writer_pages(const struct mv_ram_writer *writer, size_t part)
{
    return writer->sources[part].pages;
}

const struct mv_ram_progress *mv_ram_writer_progress(const struct mv_ram_writer *writer)
{
    return &writer->progress;
}

/* --- how it comes and goes */

/* Begin with what the cursor notes, and nothing else. */
static int follow(struct mv_ram_writer *writer, struct mv_ram_source *source,
                  const struct mv_ram_part *part, struct mv_error *err)
{
    writer->partial = source->partial = true;
    if (part->since == NULL)
        return 0;
    source->pages = calloc(source->size / MV_DIRTY_PAGE / 64 + 1, sizeof *source->pages);
    if (source->pages == NULL)
        return mv_error_set(err, ENOMEM, "no memory to write block %s", source->id);
    source->cursor = part->since;
    return 0;
}

static int add_source(struct mv_ram_writer *writer, const struct mv_ram_part *part,
                      struct mv_space *space, struct mv_error *err)
{
    struct mv_ram_source *source = &writer->sources[writer->count];
    uint64_t end;
    int r = mv_ram_source_make(source, part, part->partial ? NULL : space, err);
    source->first = writer->chunks;
    writer->count++; /* from here on it goes with the writer */
    if (r < 0)
        return r;
    if (part->offset % MV_DIRTY_PAGE != 0)
        return mv_error_set(err, EINVAL, "block %s: its offset in '%s' is no multiple of 4 KiB",
                            source->id, writer->file);
    if (mv_add_overflows(source->offset, source->size, &end) || end > INT64_MAX - MV_RAM_CHUNK)
        return mv_error_set(err, EFBIG, "block %s: '%s' would be too large", source->id,
                            writer->file);
    writer->end = end > writer->end ? end : writer->end;
    writer->chunks += (source->size + MV_RAM_CHUNK - 1) / MV_RAM_CHUNK;
    return part->partial ? follow(writer, source, part, err) : 0;
}

static int add_workers(struct mv_ram_writer *writer, struct mv_error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = processors < 1              ? 1
                   : processors < MOST_THREADS ? (size_t)processors
                                               : MOST_THREADS;
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &writer->workers[i];
        worker->writer = writer;
        int r = mv_ram_chunk_init(&worker->chunk, writer->fd, writer->file, writer->cancelled,
                                  &writer->progress.written, err);
        if (r < 0)
            return r;
        writer->worker_count++;
    }
    return 0;
}

/* Chunks that no pass comes to are zero. */
static int make_sums(struct mv_ram_writer *writer, struct mv_error *err)
{
    struct mv_ram_chunk *chunk = &writer->workers[0].chunk;
    writer->sums = calloc(writer->chunks + 1, sizeof *writer->sums);
    writer->changed = calloc(writer->chunks + 1, sizeof *writer->changed);
    if (writer->sums == NULL || writer->changed == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the sums of '%s'", writer->file);
    uint64_t whole = mv_ram_chunk_sum_zeros(chunk, MV_RAM_CHUNK);
    for (size_t i = 0; i < writer->count; i++) {
        const struct mv_ram_source *source = &writer->sources[i];
        uint64_t *sum = writer->sums + source->first;
        for (uint64_t at = 0; at < source->size; at += MV_RAM_CHUNK) {
            uint64_t len = chunk_len(source, at);
            *sum++ = len == MV_RAM_CHUNK ? whole : mv_ram_chunk_sum_zeros(chunk, len);
        }
    }
    return 0;
}

int mv_ram_writer_create(const struct mv_ram_writer_params *params, struct mv_ram_writer **ret,
                         struct mv_error *err)
{
    struct mv_ram_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return mv_error_set(err, ENOMEM, "no memory to write '%s'", params->file);
    writer->fd = params->fd;
    writer->file = params->file;
    writer->cancelled = params->cancelled;
    pthread_mutex_init(&writer->lock, NULL);
    mv_fault_init();
    writer->sources = calloc(params->count + 1, sizeof *writer->sources);
    int r = writer->sources == NULL
                ? mv_error_set(err, ENOMEM, "no memory to write '%s'", params->file)
                : add_workers(writer, err);
    for (size_t i = 0; r == 0 && i < params->count; i++)
        r = add_source(writer, &params->parts[i], params->space, err);
    if (r == 0)
        r = make_sums(writer, err);
    if (r < 0) {
        mv_ram_writer_destroy(writer);
        return r;
    }
    *ret = writer;
    return 0;
}

void mv_ram_writer_destroy(struct mv_ram_writer *writer)
{
    if (writer == NULL)
        return;
    for (size_t i = 0; i < writer->count; i++)
        mv_ram_source_clear(&writer->sources[i]);
    for (size_t i = 0; i < writer->worker_count; i++)
        mv_ram_chunk_end(&writer->workers[i].chunk);
    pthread_mutex_destroy(&writer->lock);
    free(writer->sources);
    free(writer->sums);
    free(writer->changed);
    free(writer);
}
