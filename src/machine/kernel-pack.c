/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed kernels: one loop for all formats, each of which is a row with what the
 * library does for it (gzip, RFC 1952, by zlib; zstd, RFC 8878, by libzstd), and
 * finding the stream in a file.  A stream is a stranger's: what it makes is
 * bounded, whatever it says of itself.  No state, no lock; called by boot.c.
 */
#include "boot.h"

#include "cleanup.h"
#include "size.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK (256 * MV_KIB)

struct unpack {
    const struct unpacker *unpacker;
    struct mv_boot_file *file;
    uint64_t at, end; /* of what is not read yet */
    int copy;
    uint64_t size, most; /* of what came out */

    uint8_t in[CHUNK], out[CHUNK];
    size_t in_at, in_len, out_len;

    z_stream zlib;
    ZSTD_DStream *zstd;
};

struct unpacker {
    const char *name;
    const char *magic;
    size_t magic_len;
    bool (*open)(struct unpack *u);
    /* Begin the next stream of several; NULL: a stream's end is its own, and the next may follow. */
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

#define MAGIC(text) text, sizeof(text) - 1

enum { GZIP, ZSTD, UNPACKERS };
static const struct unpacker unpackers[] = {
    [GZIP] = {"gzip", MAGIC("\x1f\x8b"), gzip_open, gzip_again, gzip_close, gzip_step},
    [ZSTD] = {"zstd", MAGIC("\x28\xb5\x2f\xfd"), zstd_open, NULL, zstd_close, zstd_step},
};

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
            if (u->unpacker->again != NULL)
                u->unpacker->again(u);
        } else if (u->in_at == u->in_len && u->at == u->end && u->out_len < CHUNK) {
            return refuse(u, err, "is truncated: copy the file anew");
        } else if (u->in_at == in_at && u->out_len == 0) {
            return refuse_failed(u, err, "it makes no progress");
        }
    }
}

/*
 * Unpack the `len` bytes from `at` on; the result, of at most `most` bytes, takes
 * the place of the file's copy.  Nothing but zeros may be behind the stream.
 * -EFBIG, -EBADMSG (cut off, broken, something behind it), or what else fails;
 * the file is as it was then.
 */
static int unpack_stream(const struct unpacker *unpacker, struct mv_boot_file *file,
                         uint64_t at, uint64_t len, uint64_t most, struct mv_error *err)
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

/* --- finding the stream */

/*
 * No Image is larger: its code reaches all of it by offsets of 32 bits.  A file
 * that unpacks to more is made to fill the host's memory.
 */
#define UNPACKED_MAX (2 * MV_GIB)

/* The header, little-endian: "MZ", 0, 0, then these. */
#define ZBOOT_MAGIC_AT  4
#define ZBOOT_MAGIC     "zimg"
#define ZBOOT_OFFSET_AT 8 /* of the payload, then its size */
#define ZBOOT_SIZE_AT   12
#define ZBOOT_METHOD_AT 24 /* its compression, ended by 0 */
#define ZBOOT_HEAD      56
#define METHOD_MAX      16

static uint32_t field(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* How the kernel's build calls its compressions, and what else reads them. */
static const struct {
    const char *method;
    const struct unpacker *unpacker; /* ours, or NULL */
    const char *command;
} methods[] = {
    {"gzip", &unpackers[GZIP], NULL},
    {"zstd22", &unpackers[ZSTD], NULL},
    {"zstd", &unpackers[ZSTD], NULL},
    {"lz4", NULL, "unlz4 -c"},
    {"lzma", NULL, "unlzma -c"},
    {"lzo", NULL, "lzop -dc"},
    {"xzkern", NULL, "unxz -c"},
    {"xz", NULL, "unxz -c"},
};

struct payload {
    uint32_t at, size;
    char method[METHOD_MAX + 1];
};

static int refuse_method(const struct mv_boot_file *file, const struct payload *payload,
                         const char *command, struct mv_error *err)
{
    if (command == NULL)
        return mv_error_set(err, ENOEXEC,
                            "the kernel '%s' is an EFI zboot image with a compression that is not "
                            "known ('%s'): give the Image it was made from",
                            file->path, payload->method);
    return mv_error_set(err, ENOEXEC,
                        "the kernel '%s' is an EFI zboot image compressed by %s, and here gzip and "
                        "zstd are unpacked: give the Image it was made from, or unpack it with "
                        "tail -c +%llu '%s' | head -c %u | %s >Image",
                        file->path, payload->method, 1 + (unsigned long long)payload->at,
                        file->path, payload->size, command);
}

/* The payload as the header has it: NUL-ended, printable, in the file's bounds. */
static int read_header(const struct mv_boot_file *file, const uint8_t *head,
                       struct payload *ret, struct mv_error *err)
{
    struct payload payload = {field(head + ZBOOT_OFFSET_AT), field(head + ZBOOT_SIZE_AT), ""};
    const uint8_t *method = head + ZBOOT_METHOD_AT;
    for (size_t i = 0; i < METHOD_MAX && method[i] > ' ' && method[i] <= '~'; i++)
        payload.method[i] = (char)method[i];
    uint64_t end = (uint64_t)payload.at + payload.size;
    if (payload.at < ZBOOT_HEAD || payload.size == 0)
        return mv_error_set(err, ENOEXEC,
                            "the kernel '%s' is an EFI zboot image with a broken header: its "
                            "payload has %u bytes at 0x%x",
                            file->path, payload.size, payload.at);
    if (end > file->size)
        return mv_error_set(err, ENOEXEC,
                            "the kernel '%s' is truncated: it has %llu bytes, and the kernel in "
                            "this EFI zboot image ends at %llu",
                            file->path, (unsigned long long)file->size, (unsigned long long)end);
    *ret = payload;
    return 0;
}

/* With what follows from its being too large. */
static int unpack(const struct unpacker *unpacker, struct mv_boot_file *file, uint64_t at,
                  uint64_t len, uint64_t ram, struct mv_error *err)
{
    uint64_t most = ram < UNPACKED_MAX ? ram : UNPACKED_MAX;
    int r = unpack_stream(unpacker, file, at, len, most, err);
    if (r == -EFBIG) {
        char *end = err->text + strlen(err->text);
        snprintf(end, (size_t)(err->text + sizeof err->text - end), "%s",
                 ram < UNPACKED_MAX ? ", all of the guest's RAM: give the guest more with -m"
                                    : ", which no kernel has: give a kernel");
    }
    return r;
}

static int unpack_zboot(struct mv_boot_file *file, const uint8_t *head, uint64_t ram,
                        const char **ret_packed, struct mv_error *err)
{
    struct payload payload;
    int r = read_header(file, head, &payload, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(payload.method, methods[i].method) != 0)
            continue;
        if (methods[i].unpacker == NULL)
            return refuse_method(file, &payload, methods[i].command, err);
        *ret_packed = "an EFI zboot image";
        return unpack(methods[i].unpacker, file, payload.at, payload.size, ram, err);
    }
    return refuse_method(file, &payload, NULL, err);
}

int mv_kernel_unpack(struct mv_boot_file *file, uint64_t ram, const char **ret_packed,
                     struct mv_error *err)
{
    uint8_t head[ZBOOT_HEAD];
    *ret_packed = NULL;
    ssize_t len = mv_boot_file_bytes(file, 0, head, sizeof head, err);
    if (len < 0)
        return (int)len;
    if (len == sizeof head && memcmp(head, "MZ", 2) == 0 &&
        memcmp(head + ZBOOT_MAGIC_AT, ZBOOT_MAGIC, strlen(ZBOOT_MAGIC)) == 0)
        return unpack_zboot(file, head, ram, ret_packed, err);
    for (const struct unpacker *u = unpackers; u < unpackers + UNPACKERS; u++) {
        if ((size_t)len < u->magic_len || memcmp(head, u->magic, u->magic_len) != 0)
            continue;
        *ret_packed = u->name;
        return unpack(u, file, 0, file->size, ram, err);
    }
    return 0;
}
