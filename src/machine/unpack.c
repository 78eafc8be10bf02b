/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking: one loop for all formats, each of which is a row with what the
 * library does for it.  A stream is a stranger's: what it makes is bounded,
 * whatever it says of itself.  No state, no lock; called by kernel-pack.c.
 */
#include "unpack.h"

#include "cleanup.h"
#include "size.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK (256 * MV_KIB)

struct unpack {
    const struct mv_unpacker *unpacker;
    struct mv_boot_file *file;
    uint64_t at, end; /* of what is not read yet */
    int copy;
    uint64_t size, most; /* of what came out */

    uint8_t in[CHUNK], out[CHUNK];
    size_t in_at, in_len, out_len;

    z_stream zlib;
    ZSTD_DStream *zstd;
};

struct mv_unpacker {
    const char *name;
    const char *magic;
    size_t magic_len;
    bool (*open)(struct unpack *u);
    /* Begin the next stream of several. */
    void (*again)(struct unpack *u);
    void (*close)(struct unpack *u);
    /* From `in` to `out`; why it is broken, or NULL. */
    const char *(*step)(struct unpack *u, bool *ret_end);
};

/* --- gzip */

static bool gzip_open(struct unpack *u)
{
    return inflateInit2(&u->zlib, MAX_WBITS + 16) == Z_OK;
}

static void gzip_again(struct unpack *u)
{
    inflateReset(&u->zlib);
}

static void gzip_close(struct unpack *u)
{
    inflateEnd(&u->zlib);
}

static const char *gzip_step(struct unpack *u, bool *ret_end)
{
    u->zlib.next_in = u->in + u->in_at;
    u->zlib.avail_in = (uInt)(u->in_len - u->in_at);
    u->zlib.next_out = u->out;
    u->zlib.avail_out = CHUNK;
    int r = inflate(&u->zlib, Z_NO_FLUSH);
    u->in_at = u->in_len - u->zlib.avail_in;
    u->out_len = CHUNK - u->zlib.avail_out;
    *ret_end = r == Z_STREAM_END;
    if (r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR)
        return NULL;
    return u->zlib.msg != NULL ? u->zlib.msg : zError(r);
}

/* --- zstd */

static bool zstd_open(struct unpack *u)
{
    u->zstd = ZSTD_createDStream();
    return u->zstd != NULL;
}

/* A frame's end is its own; the next one may follow. */
static void zstd_again(struct unpack *u)
{
    (void)u;
}

static void zstd_close(struct unpack *u)
{
    ZSTD_freeDStream(u->zstd);
}

static const char *zstd_step(struct unpack *u, bool *ret_end)
{
    ZSTD_inBuffer in = {u->in, u->in_len, u->in_at};
    ZSTD_outBuffer out = {u->out, CHUNK, 0};
    size_t r = ZSTD_decompressStream(u->zstd, &out, &in);
    u->in_at = in.pos;
    u->out_len = out.pos;
    *ret_end = r == 0;
    return ZSTD_isError(r) ? ZSTD_getErrorName(r) : NULL;
}

#define MAGIC(text) .magic = text, .magic_len = sizeof(text) - 1

static const struct mv_unpacker unpackers[] = {
    {.name = "gzip",
     MAGIC("\x1f\x8b"),
     .open = gzip_open,
     .again = gzip_again,
     .close = gzip_close,
     .step = gzip_step},
    {.name = "zstd",
     MAGIC("\x28\xb5\x2f\xfd"),
     .open = zstd_open,
     .again = zstd_again,
     .close = zstd_close,
     .step = zstd_step},
};
#define UNPACKERS (sizeof unpackers / sizeof unpackers[0])

const struct mv_unpacker *mv_unpacker_by_magic(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < UNPACKERS; i++)
        if (len >= unpackers[i].magic_len &&
            memcmp(bytes, unpackers[i].magic, unpackers[i].magic_len) == 0)
            return &unpackers[i];
    return NULL;
}

const struct mv_unpacker *mv_unpacker_by_name(const char *name)
{
    for (size_t i = 0; i < UNPACKERS; i++)
        if (strcmp(name, unpackers[i].name) == 0)
            return &unpackers[i];
    return NULL;
}

const char *mv_unpacker_name(const struct mv_unpacker *unpacker)
{
    return unpacker->name;
}

/* --- the loop */

/* Have input where there is some left: 0, or a negative errno. */
static int refill(struct unpack *u, struct mv_error *err)
{
    if (u->in_at < u->in_len || u->at == u->end)
        return 0;
    uint64_t left = u->end - u->at;
    ssize_t n = mv_boot_file_bytes(u->file, u->at, u->in, left < CHUNK ? left : CHUNK, err);
    if (n < 0)
        return (int)n;
    u->in_at = 0;
    u->in_len = (size_t)n;
    u->at += (uint64_t)n;
    return 0;
}

static int refuse(const struct unpack *u, struct mv_error *err, const char *why)
{
    return mv_error_set(err, EBADMSG, "the %s '%s' cannot be unpacked: its %s stream %s",
                        u->file->role, u->file->path, u->unpacker->name, why);
}

static int refuse_failed(const struct unpack *u, struct mv_error *err, const char *why)
{
    char words[160];
    snprintf(words, sizeof words, "fails (%s): copy the file anew, or give it unpacked", why);
    return refuse(u, err, words);
}

static int put(struct unpack *u, struct mv_error *err)
{
    char words[MV_SIZE_TEXT];
    u->size += u->out_len;
    if (u->size > u->most)
        return mv_error_set(err, EFBIG, "the %s '%s' unpacks to more than %s", u->file->role,
                            u->file->path, mv_size_format(u->most, words));
    return mv_boot_file_copy_add(u->file, u->copy, u->out, u->out_len, err);
}

/* Behind a stream: 1 where another one begins, 0 where nothing but padding is. */
static int look_behind(struct unpack *u, struct mv_error *err)
{
    for (;;) {
        int r = refill(u, err);
        if (r < 0)
            return r;
        if (u->in_at == u->in_len)
            return 0;
        if (u->in[u->in_at] != 0)
            break;
        u->in_at++;
    }
    if (u->in[u->in_at] == (uint8_t)u->unpacker->magic[0])
        return 1;
    return refuse(u, err, "is whole, but something else is behind it: give the stream alone");
}

static int run(struct unpack *u, struct mv_error *err)
{
    for (;;) {
        bool end;
        int r = refill(u, err);
        if (r < 0)
            return r;
        size_t in_at = u->in_at;
        const char *why = u->unpacker->step(u, &end);
        if (why != NULL)
            return refuse_failed(u, err, why);
        r = put(u, err);
        if (r < 0)
            return r;
        if (end) {
            r = look_behind(u, err);
            if (r <= 0)
                return r;
            u->unpacker->again(u);
        } else if (u->in_at == u->in_len && u->at == u->end && u->out_len < CHUNK) {
            return refuse(u, err, "is truncated: copy the file anew");
        } else if (u->in_at == in_at && u->out_len == 0) {
            return refuse_failed(u, err, "it makes no progress");
        }
    }
}

int mv_unpack(const struct mv_unpacker *unpacker, struct mv_boot_file *file, uint64_t at,
              uint64_t len, uint64_t most, struct mv_error *err)
{
    CLEANUP_CLOSE int copy = mv_boot_file_copy(file, err);
    if (copy < 0)
        return copy;
    CLEANUP_FREE struct unpack *u = calloc(1, sizeof *u);
    if (u == NULL || !unpacker->open(u))
        return mv_error_set(err, ENOMEM, "no memory to unpack the %s '%s'", file->role,
                            file->path);
    u->unpacker = unpacker;
    u->file = file;
    u->at = at;
    u->end = at + len;
    u->copy = copy;
    u->most = most;
    int r = run(u, err);
    unpacker->close(u);
    if (r < 0)
        return r;
    if (u->size == 0)
        return refuse(u, err, "is empty: give a kernel");
    mv_boot_file_replace(file, copy, u->size);
    copy = -1;
    return 0;
}
