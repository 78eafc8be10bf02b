/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against the reader of working sets, the files beside state files, and what joins
 * them with what a guest touched.  An input is a byte that says what is put right (else no sum
 * would ever be), one that says what was touched, and the file.
 *
 * With MEMVISOR_FUZZ_SEEDS=FOLDER in its environment the program writes inputs to begin with,
 * which the writer has made, and ends.
 */
#include "bytes.h"
#include "fuzz-sections.h"
#include "fuzz.h"
#include "working-set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER    64
#define INPUT_MAX (64 * 1024)
#define PAGES     UINT64_C(4096) /* of the first block; the other one has most of an address space */

/* What is put right, bits of the first byte. */
enum { HEADER_SUM = 1, SECTION_SUMS = 2, LENGTH = 4, ID = 8 };

static struct mv_error err;
static int fd;
static struct mv_working_set_pages blocks[2];
static struct mv_working_set set = {.id = "sixteen bytes id", .blocks = blocks, .count = 2};

static void begin(void)
{
    blocks[0] = (struct mv_working_set_pages){.id = "ram0", .size = PAGES * MV_WORKING_SET_PAGE};
    blocks[1] = (struct mv_working_set_pages){.id = "pci/03.0/bar2", .size = UINT64_MAX};
}

static void make_file(unsigned repairs, uint8_t *bytes, size_t size)
{
    if (repairs & SECTION_SUMS)
        sum_sections(bytes + HEADER, size - HEADER);
    if (repairs & LENGTH)
        mv_bytes_put(bytes + 40, size, 8);
    if (repairs & ID)
        memcpy(bytes + 24, set.id, sizeof set.id);
    if (repairs & HEADER_SUM)
        mv_bytes_put(bytes + 56, XXH3_64bits(bytes, 56), 8);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
}

/* --- what always holds */

static void check_error(void)
{
    CHECK(err.text[0] != '\0');
    for (const char *c = err.text; *c != '\0'; c++)
        CHECK(*c >= ' ' && *c < 0x7f);
    for (size_t i = 0; i < set.count; i++)
        CHECK(blocks[i].runs == NULL && blocks[i].count == 0);
}

static void check_set(void)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < set.count; i++) {
        uint64_t end = 0, all = blocks[i].size / MV_WORKING_SET_PAGE;
        for (size_t k = 0; k < blocks[i].count; k++) {
            const struct mv_working_set_run *run = &blocks[i].runs[k];
            CHECK(run->pages > 0 && run->age < MV_WORKING_SET_AGE && run->first >= end);
            end = run->first + run->pages;
            CHECK(end <= all);
            bytes += run->pages * MV_WORKING_SET_PAGE;
        }
    }
    CHECK(mv_working_set_bytes(&set) == bytes);
}

/* Every `step`th 16 pages of the first 4096. */
static bool next_touched(const void *opaque, uint64_t *io_offset, uint64_t *ret_len)
{
    const uint64_t step = *(const uint64_t *)opaque * 16 * MV_WORKING_SET_PAGE;
    const uint64_t run = 16 * MV_WORKING_SET_PAGE;
    uint64_t start = *io_offset / step * step, offset = *io_offset;
    if (offset >= start + run) {
        start += step;
        offset = start;
    }
    if (start >= PAGES * MV_WORKING_SET_PAGE)
        return false;
    *io_offset = offset;
    *ret_len = start + run - offset;
    return true;
}

static void join(unsigned touched)
{
    uint64_t step = 1 + touched % 16;
    for (size_t i = 0; i < set.count; i++)
        CHECK(mv_working_set_join(&blocks[i], next_touched, &step, touched & 16, &err) == 0);
    check_set();
    uint64_t offset = 0, len;
    CHECK(next_touched(&step, &offset, &len));
    CHECK(blocks[0].count > 0 && blocks[0].runs[0].first == 0 && blocks[0].runs[0].age == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_MAX];
    char path[64];
    if (size < 2 + HEADER || size > INPUT_MAX)
        return 0;
    memcpy(bytes, data + 2, size - 2);
    make_file(data[0], bytes, size - 2);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    begin();
    err.text[0] = '\0';
    if (mv_working_set_read(&set, path, &err) < 0) {
        check_error();
        return 0;
    }
    check_set();
    join(data[1]);
    mv_working_set_clear(&set);
    return 0;
}

/* --- what to begin with */

static void write_seed(const char *folder, unsigned number)
{
    static uint8_t bytes[INPUT_MAX];
    char path[256];
    snprintf(path, sizeof path, "%s/%u", folder, number);
    CHECK(mv_working_set_write(&set, path, &err) == 0);
    FILE *file = fopen(path, "r+");
    CHECK(file != NULL);
    bytes[0] = HEADER_SUM | SECTION_SUMS | LENGTH | ID;
    bytes[1] = (uint8_t)(number * 5);
    size_t size = fread(bytes + 2, 1, sizeof bytes - 2, file);
    CHECK(size >= HEADER && fseek(file, 0, SEEK_SET) == 0);
    CHECK(fwrite(bytes, 1, size + 2, file) == size + 2 && fclose(file) == 0);
}

static void write_seeds(const char *folder)
{
    begin();
    for (unsigned number = 0; number < 6; number++) {
        uint64_t step = 1 + number;
        write_seed(folder, number);
        for (size_t i = 0; i <= number % 2; i++)
            CHECK(mv_working_set_join(&blocks[i], next_touched, &step, true, &err) == 0);
    }
    mv_working_set_clear(&set);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("MEMVISOR_FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    if (folder != NULL) {
        write_seeds(folder);
        exit(0);
    }
    fd = memfd_create("working-set", MFD_CLOEXEC);
    CHECK(fd >= 0);
    return 0;
}
