/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the VM, and puts what it tells of a block together.  Called by mem.c and the views. */
#include "mem.h"

#include "cleanup.h"
#include "vm-client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- blocks */

uint64_t mv_mem_number(const json_t *row, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(row, key));
    return number < 0 ? 0 : (uint64_t)number;
}

const char *mv_mem_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    if (text == NULL)
        return "-";
    /* A file's name may hold what would steer the terminal. */
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "?";
    }
    return text;
}

const char *mv_mem_size(uint64_t bytes, char buf[MV_MEM_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    bool whole = value == (double)(uint64_t)value;
    snprintf(buf, MV_MEM_SIZE, "%.*f %s", whole || value >= 100 ? 0 : 1, value, units[unit]);
    return buf;
}

static const json_t *find_block(const json_t *list, const json_t *block)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_equal(json_object_get(entry, "id"), json_object_get(block, "id")) &&
            json_equal(json_object_get(entry, "generation"), json_object_get(block, "generation")))
            return entry;
    }
    return NULL;
}

static void add_writes(const json_t *blocks, const json_t *writes)
{
    size_t i;
    json_t *block;
    json_array_foreach(blocks, i, block)
    {
        const json_t *entry = find_block(writes, block);
        uint64_t milliseconds = mv_mem_number(entry, "milliseconds");
        double rate = milliseconds == 0
                          ? 0
                          : (double)mv_mem_number(entry, "dirty") * 1000 / (double)milliseconds;
        json_object_set_new(block, "dirty_rate", json_integer((json_int_t)rate));
        json_object_set(block, "written", json_object_get(entry, "map")); /* where it has one */
    }
}

int mv_mem_query(struct mv_vm_client *client, unsigned parts, unsigned milliseconds, json_t **ret,
                 struct mv_error *err)
{
    json_t *blocks, *writes;
    json_t *time = json_pack("{s:i, s:o*}", "milliseconds", (int)milliseconds, "parts",
                             parts > 0 ? json_integer(parts) : NULL);
    int r = mv_vm_client_execute(client, "x-dirty-map", time, &writes, err);
    if (r < 0)
        return r;
    json_t *which = json_pack("{s:o*}", "parts", parts > 0 ? json_integer(parts) : NULL);
    r = mv_vm_client_execute(client, "x-query-blocks", which, &blocks, err);
    if (r == 0) {
        add_writes(blocks, writes);
        *ret = blocks;
    }
    json_decref(writes);
    return r;
}

/* --- --read */

#define PIECE (UINT64_C(4) << 20)

/* How far memory goes from gpa on without a hole; the ranges are in address order. */
static uint64_t find_end(const json_t *ranges, uint64_t gpa)
{
    size_t i;
    json_t *range;
    uint64_t end = gpa;
    json_array_foreach(ranges, i, range)
    {
        uint64_t start = mv_mem_number(range, "gpa"), size = mv_mem_number(range, "size");
        if (strcmp(mv_mem_text(range, "kind"), "ram") == 0 && end >= start && end - start < size)
            end = start + size;
    }
    return end;
}

/* Before the first byte is written. */
static int check_range(struct mv_vm_client *client, uint64_t gpa, uint64_t len,
                       struct mv_error *err)
{
    json_t *ranges;
    int r = mv_vm_client_execute(client, "x-query-space", NULL, &ranges, err);
    if (r < 0)
        return r;
    uint64_t end = find_end(ranges, gpa);
    json_decref(ranges);
    if (end == gpa)
        return mv_error_set(err, EFAULT,
                            "there is no memory at 0x%" PRIx64 ": --map shows where there is", gpa);
    if (end - gpa < len)
        return mv_error_set(err, EFAULT,
                            "%" PRIu64 " bytes from 0x%" PRIx64
                            " are too many: the memory ends at 0x%" PRIx64,
                            len, gpa, end);
    return 0;
}

static int save_piece(struct mv_vm_client *client, int fd, uint64_t gpa, uint64_t len,
                      struct mv_error *err)
{
    json_t *arguments =
        json_pack("{s:I, s:I, s:o}", "val", (json_int_t)gpa, "size", (json_int_t)len, "filename",
                  json_sprintf("/proc/%d/fd/%d", (int)getpid(), fd));
    return mv_vm_client_execute(client, "pmemsave", arguments, NULL, err);
}

int mv_mem_read(struct mv_vm_client *client, uint64_t gpa, uint64_t len, struct mv_error *err)
{
    bool dump = isatty(STDOUT_FILENO);
    CLEANUP_CLOSE int fd = memfd_create("memvisor-read", MFD_CLOEXEC);
    CLEANUP_FREE uint8_t *piece = malloc(PIECE);
    if (fd < 0 || piece == NULL)
        return mv_error_set_errno(err, fd < 0 ? errno : ENOMEM, "reading guest memory");
    int r = check_range(client, gpa, len, err);
    if (r < 0)
        return r;
    for (uint64_t done = 0; done < len && !ferror(stdout);) {
        uint64_t want = len - done < PIECE ? len - done : PIECE;
        r = save_piece(client, fd, gpa + done, want, err);
        if (r < 0)
            return r;
        if (pread(fd, piece, want, 0) != (ssize_t)want)
            return mv_error_set(err, EIO, "the VM saved less than it said");
        if (dump)
            mv_screen_dump("0x", gpa + done, piece, want, "|");
        else
            fwrite(piece, 1, want, stdout);
        done += want;
    }
    return 0;
}
