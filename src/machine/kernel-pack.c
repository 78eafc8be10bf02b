/* SPDX-License-Identifier: Apache-2.0 */
/* Packed kernels: finding the stream.  No state, no lock; called by boot.c. */
#include "kernel-pack.h"

#include "size.h"
#include "unpack.h"

#include <stdio.h>
#include <string.h>

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
    const char *unpacker; /* ours, or NULL */
    const char *command;
} methods[] = {
    {"gzip", "gzip", NULL},
    {"zstd22", "zstd", NULL},
    {"zstd", "zstd", NULL},
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
static int unpack(const struct mv_unpacker *unpacker, struct mv_boot_file *file, uint64_t at,
                  uint64_t len, uint64_t ram, struct mv_error *err)
{
    uint64_t most = ram < UNPACKED_MAX ? ram : UNPACKED_MAX;
    int r = mv_unpack(unpacker, file, at, len, most, err);
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
        return unpack(mv_unpacker_by_name(methods[i].unpacker), file, payload.at, payload.size, ram,
                      err);
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
    const struct mv_unpacker *unpacker = mv_unpacker_by_magic(head, (size_t)len);
    if (unpacker == NULL)
        return 0;
    *ret_packed = mv_unpacker_name(unpacker);
    return unpack(unpacker, file, 0, file->size, ram, err);
}
