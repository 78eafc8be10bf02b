/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks in a space, and a file without a name that a ram-writer writes to. */
#ifndef MV_TEST_RAM_FIXTURE_H
#define MV_TEST_RAM_FIXTURE_H

#include "block.h"
#include "config.h"
#include "ram-writer.h"
#include "size.h"
#include "space.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x80000000)
/* What a test that makes holes may leave in the file beside its pages: the file system's own. */
#define SLACK (128 * MV_KIB)

static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_ram_writer *writer;
static int out;
static atomic_bool cancelled;
static struct mv_error err;

static int setup(void **state)
{
    writer = NULL;
    atomic_store(&cancelled, false);
    out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return out < 0 || mv_block_registry_create(&registry, &err) < 0 ||
           mv_space_create(&space, &err) < 0;
}

static int teardown(void **state)
{
    mv_ram_writer_destroy(writer);
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    close(out);
    return 0;
}

static struct mv_block *make_block(const char *name, uint64_t size,
                                   const struct mv_config_backing *wish)
{
    struct mv_block *block = NULL;
    if (mv_block_create_backed(registry, "pci/01.0", name, size, wish, &block, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

static void make_writer(const struct mv_ram_part *parts, size_t count, bool live)
{
    const struct mv_ram_writer_params params = {
        .fd = out,
        .file = "vm.state",
        .parts = parts,
        .count = count,
        .space = live ? space : NULL,
        .cancelled = &cancelled,
    };
    if (mv_ram_writer_create(&params, &writer, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void expect_ok(int result)
{
    if (result < 0)
        fail_msg("%s", err.text);
}

static uint8_t byte_at(uint64_t page)
{
    return (uint8_t)(page * 0x9e3779b97f4a7c15u >> 53 | 1);
}

/* One page in three, some side by side, each with a single byte: what is looked for hardest. */
static inline void scatter(struct mv_block *block)
{
    for (uint64_t page = 0; page < block->size / PAGE; page++) {
        uint8_t byte = byte_at(page);
        if (page % 700 < 100 || byte % 3 == 0)
            expect_ok(mv_block_write(block, page * PAGE + page * 31 % PAGE, &byte, 1));
    }
}

static inline uint64_t pages_with_bytes(const uint8_t *bytes, uint64_t size)
{
    static const uint8_t zeros[PAGE];
    uint64_t count = 0;
    for (uint64_t at = 0; at < size; at += PAGE)
        count += memcmp(bytes + at, zeros, size - at < PAGE ? size - at : PAGE) != 0;
    return count;
}

/* The file has the bytes, and each sum is that of the file's. */
static inline void check_part(size_t part, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    size_t count;
    const uint64_t *sums = mv_ram_writer_sums(writer, part, &count);
    const uint8_t *file = mmap(NULL, size, PROT_READ, MAP_SHARED, out, (off_t)offset);
    assert_ptr_not_equal(file, MAP_FAILED);
    for (uint64_t at = 0; at < size; at += PAGE) {
        if (memcmp(file + at, bytes + at, size - at < PAGE ? size - at : PAGE) != 0)
            fail_msg("part %zu differs at 0x%llx", part, (unsigned long long)at);
    }
    assert_int_equal(count, (size + MV_RAM_CHUNK - 1) / MV_RAM_CHUNK);
    for (size_t i = 0; i < count; i++) {
        uint64_t at = i * MV_RAM_CHUNK, left = size - at;
        uint64_t sum = XXH3_64bits(file + at, left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK);
        if (sum != sums[i])
            fail_msg("sum %zu of part %zu is wrong", i, part);
    }
    munmap((void *)file, size);
}

static inline uint64_t file_bytes(void)
{
    struct stat st;
    assert_int_equal(fstat(out, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

#endif
