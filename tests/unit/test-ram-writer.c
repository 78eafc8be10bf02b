/* SPDX-License-Identifier: Apache-2.0 */
/* migration/ram-writer.c: what is in the file is what was in memory, for every backing. */
#include "ram-fixture.h"

#include <pthread.h>

#define SIZE (5 * MV_MIB + 3 * PAGE)

/* --- a guest that stands still */

enum { KINDS = 6, LOOSE = 12345 };

static char path[] = "/tmp/memvisor-ram-XXXXXX";

/* Pages of its own, pages that are to be zeroed, and pages that nobody touches. */
static void make_file(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 3 * SIZE), 0);
    for (uint64_t page = 5; page < 3 * SIZE / PAGE; page += page % 90 < 30 ? 1 : 11)
        assert_int_equal(pwrite(fd, "file", 4, (off_t)(page * PAGE + 50)), 4);
    close(fd);
}

static size_t make_each_kind(struct mv_block *blocks[KINDS])
{
    const struct mv_config_backing wishes[KINDS] = {
        {0},
        {.memfd = true},
        {.file = path, .share = MV_SWITCH_OFF, .has_offset = true, .offset = 0, .same_file = true},
        {.file = path,
         .share = MV_SWITCH_ON,
         .has_offset = true,
         .offset = SIZE,
         .same_file = true},
        {.file = path,
         .share = MV_SWITCH_OFF,
         .has_offset = true,
         .offset = 2 * SIZE,
         .same_file = true},
        {.hugetlb = 2 * MV_MIB},
    };
    char name[] = "a";
    for (size_t i = 0; i < KINDS - 1; i++, name[0]++)
        blocks[i] = make_block(name, SIZE, &wishes[i]);
    /* Where the host has huge pages. */
    return mv_block_create_backed(registry, "", "huge", 6 * MV_MIB, &wishes[KINDS - 1],
                                  &blocks[KINDS - 1], &err) < 0
               ? KINDS - 1
               : KINDS;
}

static void test_every_backing(void **state)
{
    struct mv_block *blocks[KINDS];
    struct mv_ram_part parts[KINDS + 1];
    static uint8_t loose[LOOSE];
    make_file();
    size_t count = make_each_kind(blocks);
    uint64_t offset = 2 * MV_MIB, pages = 0, total = LOOSE;
    for (size_t i = 0; i < count; i++) {
        parts[i] = (struct mv_ram_part){.block = blocks[i], .offset = offset};
        offset = mv_align_up(offset + blocks[i]->size, MV_RAM_CHUNK);
        total += blocks[i]->size;
        if (i != 4) /* of which nothing is copied */
            scatter(blocks[i]);
    }
    expect_ok(mv_block_zero(blocks[2], 10 * PAGE, 300 * PAGE));
    memset(loose + 5000, 7, LOOSE - 5000);
    parts[count] =
        (struct mv_ram_part){.id = "boot/kernel", .bytes = loose, .size = LOOSE, .offset = offset};
    make_writer(parts, count + 1, false);
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
    uint64_t took = file_bytes();
    for (size_t i = 0; i < count; i++) {
        check_part(i, parts[i].offset, blocks[i]->host, blocks[i]->size);
        pages += pages_with_bytes(blocks[i]->host, blocks[i]->size);
    }
    check_part(count, offset, loose, LOOSE);
    pages += pages_with_bytes(loose, LOOSE);
    assert_true(took >= pages * PAGE && took <= pages * PAGE + SLACK);
    const struct mv_ram_progress *progress = mv_ram_writer_progress(writer);
    assert_int_equal(progress->total, total);
    assert_int_equal(progress->done, total);
    assert_in_range(progress->written, pages * PAGE - PAGE, pages * PAGE);
    unlink(path);
}

static void test_no_parts(void **state)
{
    make_writer(NULL, 0, true);
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
}

/* --- a guest that runs */

static struct mv_block *make_ram(uint64_t size)
{
    static const struct mv_config_backing wish;
    struct mv_block *block = make_block("ram0", size, &wish);
    assert_int_equal(mv_space_add_ram(space, BASE, block, 0, size, &err), 0);
    return block;
}

/* Pages written, pages that become zero, and a chunk of which nothing had been there. */
static void test_later_passes(void **state)
{
    struct mv_block *block = make_ram(8 * MV_MIB);
    const struct mv_ram_part part = {.block = block, .offset = 4 * MV_MIB};
    uint8_t ones[3 * PAGE];
    memset(ones, 1, sizeof ones);
    for (uint64_t at = 0; at + sizeof ones <= 4 * MV_MIB; at += sizeof ones)
        mv_block_write(block, at, ones, sizeof ones);
    make_writer(&part, 1, true);
    expect_ok(mv_ram_writer_copy_live(writer, &err));
    uint64_t full = file_bytes();
    mv_block_zero(block, 100 * PAGE, 500 * PAGE);
    mv_space_write(space, BASE + 7 * MV_MIB + 5, ones, 2 * PAGE);
    mv_space_write(space, BASE + 700 * PAGE, "x", 1);
    expect_ok(mv_ram_writer_copy_rest(writer, &err));
    expect_ok(mv_ram_writer_sum(writer, &err));
    check_part(0, part.offset, block->host, block->size);
    assert_true(file_bytes() <= full - 497 * PAGE + SLACK);
    assert_int_equal(mv_ram_writer_progress(writer)->last, 504 * PAGE);
}

static atomic_bool stop;

/* Through the space and around it, with zeros among what is written. */
static void *write_on(void *opaque)
{
    struct mv_block *block = mv_block_find(registry, "pci/01.0/ram0");
    uint32_t random = (uint32_t)(uintptr_t)opaque;
    while (!atomic_load(&stop)) {
        uint8_t bytes[64];
        random = random * 1664525 + 1013904223;
        uint64_t offset = (random >> 4) % (block->size - 64), len = 1 + random % 64;
        memset(bytes, (int)(random >> 3), sizeof bytes);
        if (random >> 28 == 0)
            mv_block_zero(block, offset & ~(PAGE - 1), PAGE);
        else if (random >> 28 < 8)
            mv_block_write(block, offset, bytes, len);
        else
            mv_space_write(space, BASE + offset, bytes, len);
    }
    return NULL;
}

static void test_while_the_guest_writes(void **state)
{
    enum { WRITERS = 2, ROUNDS = 4 };
    struct mv_block *block = make_ram(24 * MV_MIB + PAGE);
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    scatter(block);
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_t threads[WRITERS];
        assert_int_equal(ftruncate(out, 0), 0);
        make_writer(&part, 1, true);
        atomic_store(&stop, false);
        for (uintptr_t i = 0; i < WRITERS; i++)
            pthread_create(&threads[i], NULL, write_on, (void *)(round * WRITERS + i + 1));
        expect_ok(mv_ram_writer_copy_live(writer, &err));
        atomic_store(&stop, true);
        for (unsigned i = 0; i < WRITERS; i++)
            pthread_join(threads[i], NULL);
        expect_ok(mv_ram_writer_copy_rest(writer, &err));
        /* What it writes from here on is none of the file's. */
        uint8_t *stood = malloc(block->size);
        memcpy(stood, block->host, block->size);
        mv_block_write(block, 5, "later", 5);
        expect_ok(mv_ram_writer_sum(writer, &err));
        check_part(0, part.offset, stood, block->size);
        free(stood);
        assert_true(mv_ram_writer_progress(writer)->passes >= 3);
        assert_int_equal(mv_ram_writer_progress(writer)->done,
                         mv_ram_writer_progress(writer)->total);
        mv_ram_writer_destroy(writer);
        writer = NULL;
    }
}

/* --- what it costs */

static uint64_t resident(void)
{
    unsigned long long pages[2];
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%llu %llu", &pages[0], &pages[1]), 2);
    fclose(f);
    return pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_untouched_memory_stays_so(void **state)
{
    static const struct mv_config_backing wishes[] = {{0}, {.memfd = true}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        struct mv_block *block = make_block("ram0", 16 * MV_GIB, &wishes[i]);
        const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
        for (uint64_t at = 0; at < 64 * MV_MIB; at += PAGE)
            block->host[at] = 1;
        uint64_t before = resident();
        make_writer(&part, 1, true);
        expect_ok(mv_ram_writer_copy_live(writer, &err));
        mv_block_write(block, 3 * MV_MIB, "x", 1);
        expect_ok(mv_ram_writer_copy_rest(writer, &err));
        expect_ok(mv_ram_writer_sum(writer, &err));
        uint64_t grown = resident() - before;
        if (grown >= MV_MIB)
            fail_msg("%s: %llu KiB", i == 0 ? "anonymous" : "memfd",
                     (unsigned long long)grown / 1024);
        assert_true(file_bytes() < 64 * MV_MIB + MV_MIB);
        mv_ram_writer_destroy(writer);
        writer = NULL;
        mv_block_destroy(block);
        assert_int_equal(ftruncate(out, 0), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_backing),
        TEST(test_no_parts),
        TEST(test_later_passes),
        TEST(test_while_the_guest_writes),
        TEST(test_untouched_memory_stays_so),
    };
    return cmocka_run_group_tests_name("ram-writer", tests, NULL, NULL);
}
