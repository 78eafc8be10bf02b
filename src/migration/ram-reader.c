/* SPDX-License-Identifier: Apache-2.0 */
#include "ram-reader.h"

#include "block-info.h"
#include "block.h"
#include "bytes.h"
#include "cleanup.h"
#include "fault.h"
#include "log.h"
#include "os.h"
#include "ram-view.h"
#include "size.h"
#include "zero-page.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* As in ram-chunk.c. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#define THREADS_MAX 4
#define SUM_BYTES   8

struct reading {
    int fd;
    const char *file;
    const struct mv_ram_read_part *parts;
    size_t count;
    uint64_t chunks;
    uint64_t sum_of_zeros; /* of a whole chunk, since most of a large guest's may be holes */
    _Atomic uint64_t next; /* chunk, of those of all parts */
    struct mv_progress progress;
    pthread_mutex_t lock; /* of the first failure */
    atomic_int result;
    struct mv_error err;
};

uint64_t mv_ram_sums_length(uint64_t size)
{
    return (size / MV_RAM_CHUNK + (size % MV_RAM_CHUNK != 0)) * SUM_BYTES;
}

static void fail(struct reading *reading, int result, const struct mv_error *err)
{
    MV_LOCK_SCOPE(&reading->lock);
    if (atomic_load(&reading->result) != 0)
        return;
    reading->err = *err;
    atomic_store(&reading->result, result);
}

/* --- a chunk */

struct chunk {
    const struct mv_ram_read_part *part;
    uint64_t at; /* in the part */
    size_t len;
    uint8_t *buffer; /* of MV_RAM_CHUNK bytes, with as many for a view behind them */
};

static int check_sum(const struct reading *reading, const struct chunk *chunk, uint64_t sum,
                     struct mv_error *err)
{
    const struct mv_ram_read_part *part = chunk->part;
    uint64_t noted = mv_bytes_get(part->sums + chunk->at / MV_RAM_CHUNK * SUM_BYTES, SUM_BYTES);
    if (sum == noted)
        return 0;
    return mv_error_set(err, EINVAL,
                        "block %s: damaged: the sum of its bytes from 0x%" PRIx64
                        " on is 0x%" PRIx64 " in '%s', and 0x%" PRIx64 " was written",
                        part->id, chunk->at, sum, reading->file, noted);
}

static int refuse_write(const struct chunk *chunk, uint64_t at, struct mv_error *err)
{
    struct mv_block_fault fault;
    mv_block_fault_explain(chunk->part->block, at, &fault);
    return mv_error_set(err, EIO, "%s: %s", fault.what.text, fault.remedy.text);
}

static int copy_run(const struct chunk *chunk, size_t from, size_t len, bool zeros,
                    struct mv_error *err)
{
    uint64_t at = chunk->at + from;
    if (len == 0 || (zeros && chunk->part->is_zero))
        return 0;
    int r = zeros ? mv_block_zero(chunk->part->block, at, len)
                  : mv_block_write(chunk->part->block, at, chunk->buffer + from, len);
    return r < 0 ? refuse_write(chunk, at, err) : 0;
}

/* Zeros are not written where that would only make pages of them. */
static int copy(const struct chunk *chunk, struct mv_error *err)
{
    size_t at = 0, done = 0, run;
    int r = 0;
    while (r == 0 && mv_zero_next_data(chunk->buffer, chunk->len, &at, &run)) {
        r = copy_run(chunk, done, at - done, true, err);
        if (r == 0)
            r = copy_run(chunk, at, run, false, err);
        done = at += run;
    }
    return r == 0 ? copy_run(chunk, done, chunk->len - done, true, err) : r;
}

static bool is_hole(const struct reading *reading, uint64_t offset, size_t len)
{
    off_t data = lseek(reading->fd, (off_t)offset, SEEK_DATA);
    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

static int read_data(const struct reading *reading, const struct chunk *chunk, struct mv_error *err)
{
    int r = mv_pread_all(reading->fd, chunk->buffer, chunk->len, chunk->part->offset + chunk->at);
    if (r == -ENODATA)
        return mv_error_set(err, EINVAL, "block %s: '%s' has become shorter than it was",
                            chunk->part->id, reading->file);
    if (r < 0)
        return mv_error_set_errno(err, -r, "block %s: the bytes from 0x%" PRIx64 " on in '%s'",
                                  chunk->part->id, chunk->at, reading->file);
    r = check_sum(reading, chunk, XXH3_64bits(chunk->buffer, chunk->len), err);
    return r == 0 && chunk->part->block != NULL ? copy(chunk, err) : r;
}

static int read_hole(const struct reading *reading, const struct chunk *chunk, struct mv_error *err)
{
    uint64_t sum = reading->sum_of_zeros;
    if (chunk->len < MV_RAM_CHUNK) {
        memset(chunk->buffer, 0, chunk->len);
        sum = XXH3_64bits(chunk->buffer, chunk->len);
    }
    int r = check_sum(reading, chunk, sum, err);
    return r == 0 && chunk->part->block != NULL ? copy_run(chunk, 0, chunk->len, true, err) : r;
}

static int read_view(const struct chunk *chunk, struct mv_error *err)
{
    bool zero;
    int r = mv_ram_view_read(chunk->part->view, chunk->at / MV_RAM_CHUNK, chunk->buffer,
                             chunk->buffer + MV_RAM_CHUNK, &zero, err);
    if (r < 0 || chunk->part->block == NULL)
        return r;
    return zero ? copy_run(chunk, 0, chunk->len, true, err) : copy(chunk, err);
}

static int read_chunk(const struct reading *reading, const struct chunk *chunk,
                      struct mv_error *err)
{
    if (chunk->part->view != NULL)
        return read_view(chunk, err);
    return is_hole(reading, chunk->part->offset + chunk->at, chunk->len)
               ? read_hole(reading, chunk, err)
               : read_data(reading, chunk, err);
}

/* --- all of them */

static uint64_t chunks_of(const struct mv_ram_read_part *part)
{
    return mv_ram_sums_length(part->size) / SUM_BYTES;
}

static void locate(const struct reading *reading, uint64_t number, struct chunk *chunk)
{
    const struct mv_ram_read_part *part = reading->parts;
    while (number >= chunks_of(part))
        number -= chunks_of(part++);
    uint64_t at = number * MV_RAM_CHUNK, left = part->size - at;
    chunk->part = part;
    chunk->at = at;
    chunk->len = left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK;
}

static void *read_chunks(void *opaque)
{
    struct reading *reading = opaque;
    struct mv_error err;
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_ZERO_PAGE, 2 * MV_RAM_CHUNK);
    struct chunk chunk = {.buffer = buffer};
    int r = buffer == NULL ? mv_error_set_errno(&err, ENOMEM, "reading '%s'", reading->file) : 0;
    while (r == 0 && atomic_load(&reading->result) == 0) {
        uint64_t number = atomic_fetch_add(&reading->next, 1);
        if (number >= reading->chunks)
            break;
        locate(reading, number, &chunk);
        r = mv_progress_cancelled()
                ? mv_error_set(&err, ECANCELED, "reading '%s': interrupted", reading->file)
                : read_chunk(reading, &chunk, &err);
        mv_progress_add(&reading->progress, chunk.len);
    }
    if (r < 0)
        fail(reading, r, &err);
    return NULL;
}

/* A thread that the host does not give is none that anything waits for. */
static void read_together(struct reading *reading)
{
    pthread_t threads[THREADS_MAX];
    size_t started = 0;
    sigset_t all, before;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < THREADS_MAX && started + 1 < reading->chunks &&
           (long)started + 1 < processors &&
           pthread_create(&threads[started], NULL, read_chunks, reading) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    read_chunks(reading);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

static int check_parts(struct reading *reading, uint64_t *ret_bytes, struct mv_error *err)
{
    for (size_t i = 0; i < reading->count; i++) {
        const struct mv_ram_read_part *part = &reading->parts[i];
        if (part->view == NULL && part->sums_length != mv_ram_sums_length(part->size))
            return mv_error_set(
                err, EINVAL, "block %s: '%s' has sums of %zu bytes for it, and %" PRIu64 " are due",
                part->id, reading->file, part->sums_length, mv_ram_sums_length(part->size));
        reading->chunks += chunks_of(part);
        *ret_bytes += part->size;
    }
    return 0;
}

int mv_ram_read(int fd, const char *file, const char *doing, const struct mv_ram_read_part *parts,
                size_t count, struct mv_error *err)
{
    struct reading reading = {.fd = fd, .file = file, .parts = parts, .count = count};
    CLEANUP_FREE uint8_t *zeros = calloc(1, MV_RAM_CHUNK);
    uint64_t bytes = 0;
    int r = zeros == NULL ? mv_error_set_errno(err, ENOMEM, "reading '%s'", file)
                          : check_parts(&reading, &bytes, err);
    if (r < 0 || bytes == 0)
        return r;
    reading.sum_of_zeros = XXH3_64bits(zeros, MV_RAM_CHUNK);
    pthread_mutex_init(&reading.lock, NULL);
    mv_progress_begin(&reading.progress, doing, bytes);
    read_together(&reading);
    mv_progress_end(&reading.progress);
    pthread_mutex_destroy(&reading.lock);
    r = atomic_load(&reading.result);
    return r < 0 ? mv_error_set(err, -r, "%s", reading.err.text) : 0;
}
