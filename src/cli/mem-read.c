/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor mem --read.  The VM saves a piece at a time into a memfd of this
 * process, which it opens through /proc.
 */
#include "mem.h"

#include "cleanup.h"
#include "vm-client.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE   (UINT64_C(4) << 20)
#define PER_ROW 16

static void dump_row(uint64_t gpa, const uint8_t *bytes, size_t len)
{
    printf("0x%" PRIx64 " ", gpa);
    for (size_t i = 0; i < PER_ROW; i++) {
        if (i < len)
            printf("%s%02x", i == PER_ROW / 2 ? "  " : " ", bytes[i]);
        else
            printf("%s  ", i == PER_ROW / 2 ? "  " : " ");
    }
    printf("  |");
    for (size_t i = 0; i < len; i++)
        putchar(bytes[i] < 0x7f && isprint(bytes[i]) ? bytes[i] : '.');
    printf("|\n");
}

static void put(uint64_t gpa, const uint8_t *bytes, size_t len, bool dump)
{
    if (!dump) {
        fwrite(bytes, 1, len, stdout);
        return;
    }
    for (size_t done = 0; done < len; done += PER_ROW)
        dump_row(gpa + done, bytes + done, len - done < PER_ROW ? len - done : PER_ROW);
}

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
        put(gpa + done, piece, want, dump);
        done += want;
    }
    return 0;
}
