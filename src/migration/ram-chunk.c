/* SPDX-License-Identifier: Apache-2.0 */
#include "ram-chunk.h"

#include "block-info.h"
#include "block.h"
#include "zero-page.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The library chooses the widest vectors that the processor has, where it has this header. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

int mv_ram_chunk_init(struct mv_ram_chunk *chunk, int fd, const char *file,
                      const atomic_bool *cancelled, _Atomic uint64_t *written, struct mv_error *err)
{
    *chunk = (struct mv_ram_chunk){
        .fd = fd,
        .file = file,
        .cancelled = cancelled,
        .buffer = aligned_alloc(4096, MV_RAM_PIECE),
        .state = XXH3_createState(),
        .written = written,
    };
    if (chunk->buffer != NULL && chunk->state != NULL)
        return 0;
    mv_ram_chunk_end(chunk);
    return mv_error_set(err, ENOMEM, "no memory to write '%s'", file);
}

void mv_ram_chunk_end(struct mv_ram_chunk *chunk)
{
    free(chunk->buffer);
    XXH3_freeState(chunk->state);
    *chunk = (struct mv_ram_chunk){.fd = -1};
}

/* --- into the file */

static int refuse_write(const struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                        uint64_t place, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum,
                              "block %s: the bytes at 0x%" PRIx64 " cannot be written to '%s'",
                              source->id, place - source->offset, chunk->file);
}

/* `place` counts from the file's start. */
static int write_bytes(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                       const uint8_t *bytes, uint64_t len, uint64_t place, struct mv_error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(chunk->fd, bytes, len, (off_t)place);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return refuse_write(chunk, source, place, n < 0 ? errno : ENOSPC, err);
        atomic_fetch_add_explicit(chunk->written, (uint64_t)n, memory_order_relaxed);
        bytes += n;
        place += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

/* The bytes are zeros: where the file system can make no hole, they are written. */
static int punch(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                 const uint8_t *zeros, uint64_t len, uint64_t place, struct mv_error *err)
{
    int r;
    do
        r = fallocate(chunk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place,
                      (off_t)len);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    if (errno == EOPNOTSUPP || errno == ENOSYS)
        return write_bytes(chunk, source, zeros, len, place, err);
    return refuse_write(chunk, source, place, errno, err);
}

/* Pages that are not zero are written; what was written before is punched where it is now. */
static int store(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                 const uint8_t *bytes, size_t len, uint64_t place, bool again, struct mv_error *err)
{
    size_t at = 0, done = 0, run;
    int r = 0;
    while (r == 0 && mv_zero_next_data(bytes, len, &at, &run)) {
        if (again && at > done)
            r = punch(chunk, source, bytes + done, at - done, place + done, err);
        if (r == 0)
            r = write_bytes(chunk, source, bytes + at, run, place + at, err);
        done = at += run;
    }
    if (r == 0 && again && done < len)
        r = punch(chunk, source, bytes + done, len - done, place + done, err);
    return r;
}

/* A smaller hole in an extent that others have, too, costs more than it saves. */
#define HOLE_MIN ((size_t)64 << 10)

/* What is there already, and zero. */
static int thin_out(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                    const uint8_t *bytes, size_t len, uint64_t place, struct mv_error *err)
{
    size_t at = 0, done = 0, run;
    int r = 0;
    while (r == 0 && done < len) {
        bool more = mv_zero_next_data(bytes, len, &at, &run);
        size_t end = more ? at : len;
        if (end - done >= HOLE_MIN)
            r = punch(chunk, source, bytes + done, end - done, place + done, err);
        done = at = more ? at + run : len;
    }
    return r;
}

/* --- a piece after another */

struct piece {
    const struct mv_ram_work *work;
    const struct mv_ram_hold *hold;
    uint64_t start, end; /* in the chunk */
    bool again;          /* its runs alone count */
    bool there;          /* the file has them already */
};

/* The part of a run that is in the piece: false where it has none. */
static bool in_piece(const struct piece *piece, const struct mv_ram_run *run, uint64_t *ret_start,
                     uint64_t *ret_end)
{
    *ret_start = run->start > piece->start ? run->start : piece->start;
    *ret_end = run->end < piece->end ? run->end : piece->end;
    return *ret_start < *ret_end;
}

static void fill_gap(struct mv_ram_chunk *chunk, const struct piece *piece, uint64_t start,
                     uint64_t end)
{
    if (!piece->again)
        memset(chunk->buffer + (start - piece->start), 0, end - start);
}

/* Of the source, as the file has it. */
static int read_back(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                     uint64_t offset, uint64_t len, uint8_t *bytes, struct mv_error *err)
{
    while (len > 0) {
        ssize_t n = pread(chunk->fd, bytes, len, (off_t)(source->offset + offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mv_error_set_errno(err, n < 0 ? errno : EIO,
                                      "block %s: the bytes at 0x%" PRIx64
                                      " cannot be read back from '%s'",
                                      source->id, offset, chunk->file);
        bytes += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int read_run(struct mv_ram_chunk *chunk, const struct piece *piece, uint64_t start,
                    uint64_t end, struct mv_error *err)
{
    const struct mv_ram_work *work = piece->work;
    uint8_t *bytes = chunk->buffer + (start - piece->start);
    if (piece->there)
        return read_back(chunk, work->source, work->offset + start, end - start, bytes, err);
    int r = mv_ram_source_read(work->source, piece->hold, work->offset + start, bytes, end - start,
                               chunk->cancelled, err);
    return r == -ECANCELED ? mv_error_set(err, ECANCELED, "'%s' is not written: that was cancelled",
                                          chunk->file)
                           : r;
}

/* The runs, and zeros between them. */
static int read_piece(struct mv_ram_chunk *chunk, const struct piece *piece, struct mv_error *err)
{
    const struct mv_ram_work *work = piece->work;
    uint64_t start, end, filled = piece->start;
    for (size_t i = 0; i < work->count; i++) {
        if (!in_piece(piece, &work->runs[i], &start, &end))
            continue;
        fill_gap(chunk, piece, filled, start);
        int r = read_run(chunk, piece, start, end, err);
        if (r < 0)
            return r;
        filled = end;
    }
    fill_gap(chunk, piece, filled, piece->end);
    return 0;
}

static int store_piece(struct mv_ram_chunk *chunk, const struct piece *piece, struct mv_error *err)
{
    const struct mv_ram_work *work = piece->work;
    uint64_t start, end, place = work->source->offset + work->offset;
    int r = 0;
    for (size_t i = 0; r == 0 && i < work->count; i++) {
        if (!in_piece(piece, &work->runs[i], &start, &end))
            continue;
        const uint8_t *bytes = chunk->buffer + (start - piece->start);
        r = piece->there
                ? thin_out(chunk, work->source, bytes, end - start, place + start, err)
                : store(chunk, work->source, bytes, end - start, place + start, piece->again, err);
    }
    return r;
}

static int write_pieces(struct mv_ram_chunk *chunk, const struct mv_ram_work *work, bool again,
                        struct mv_error *err)
{
    struct mv_ram_hold hold;
    bool there = !again && work->source->extents != NULL;
    int r = mv_ram_source_hold(work->source, &hold, err);
    if (r < 0)
        return r;
    if (there) /* nobody has read it yet */
        posix_fadvise(chunk->fd, (off_t)(work->source->offset + work->offset), (off_t)work->len,
                      POSIX_FADV_WILLNEED);
    for (uint64_t at = 0; r == 0 && at < work->len; at += MV_RAM_PIECE) {
        uint64_t left = work->len - at;
        uint64_t end = at + (left < MV_RAM_PIECE ? left : MV_RAM_PIECE);
        const struct piece piece = {work, &hold, at, end, again, there};
        r = read_piece(chunk, &piece, err);
        if (r == 0 && !again)
            XXH3_64bits_update(chunk->state, chunk->buffer, end - at);
        if (r == 0)
            r = store_piece(chunk, &piece, err);
    }
    mv_ram_source_release(&hold);
    return r;
}

int mv_ram_chunk_write_all(struct mv_ram_chunk *chunk, const struct mv_ram_work *work,
                           uint64_t *ret_sum, struct mv_error *err)
{
    XXH3_64bits_reset(chunk->state);
    int r = write_pieces(chunk, work, false, err);
    if (r == 0)
        *ret_sum = XXH3_64bits_digest(chunk->state);
    return r;
}

int mv_ram_chunk_write_again(struct mv_ram_chunk *chunk, const struct mv_ram_work *work,
                             struct mv_error *err)
{
    return write_pieces(chunk, work, true, err);
}

/* --- sums alone */

int mv_ram_chunk_sum_file(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                          uint64_t offset, uint64_t len, uint64_t *ret_sum, struct mv_error *err)
{
    XXH3_64bits_reset(chunk->state);
    for (uint64_t end = offset + len, n; offset < end; offset += n) {
        n = end - offset < MV_RAM_PIECE ? end - offset : MV_RAM_PIECE;
        int r = read_back(chunk, source, offset, n, chunk->buffer, err);
        if (r < 0)
            return r;
        XXH3_64bits_update(chunk->state, chunk->buffer, n);
    }
    *ret_sum = XXH3_64bits_digest(chunk->state);
    return 0;
}

uint64_t mv_ram_chunk_sum_zeros(struct mv_ram_chunk *chunk, uint64_t len)
{
    memset(chunk->buffer, 0, MV_RAM_PIECE);
    XXH3_64bits_reset(chunk->state);
    for (; len > MV_RAM_PIECE; len -= MV_RAM_PIECE)
        XXH3_64bits_update(chunk->state, chunk->buffer, MV_RAM_PIECE);
    XXH3_64bits_update(chunk->state, chunk->buffer, len);
    return XXH3_64bits_digest(chunk->state);
}
