/* SPDX-License-Identifier: Apache-2.0 */
/* memory/block-populated.c and host-pages.c: what may hold bytes is found, and nothing else. */
#include "block-populated.h"

#include "backing.h"
#include "block.h"
#include "host-pages.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE  UINT64_C(4096)
#define PAGES 2000
#define SIZE  (PAGES * PAGE)

static struct mv_block_registry *registry;
static struct mv_error err;
static char path[] = "/tmp/memvisor-populated-XXXXXX";
static int fd;

static int setup(void **state)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    fd = mkstemp(path);
    return fd < 0 || ftruncate(fd, SIZE) < 0 || mv_block_registry_create(&registry, &err) < 0;
}

static int teardown(void **state)
{
    mv_block_registry_destroy(registry);
    close(fd);
    unlink(path);
    return 0;
}

static struct mv_block *make(const struct mv_config_backing *wish, uint64_t size)
{
    struct mv_block *block = NULL;
    if (mv_block_create_backed(registry, "", "ram0", size, wish, &block, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

/* A bit map of the block's pages. */
static void look(const struct mv_block *block, uint8_t *found)
{
    struct mv_block_populated *populated = NULL;
    uint64_t offset = 0, len;
    int r;
    memset(found, 0, block->size / PAGE);
    assert_int_equal(mv_block_populated_open(block, &populated, &err), 0);
    for (; (r = mv_block_populated_next(populated, &offset, &len, &err)) == 1; offset += len) {
        assert_int_equal(offset % PAGE, 0);
        assert_int_equal(len % PAGE, 0);
        assert_true(len > 0 && offset + len <= block->size);
        for (uint64_t page = offset / PAGE; page < (offset + len) / PAGE; page++) {
            assert_int_equal(found[page], 0);
            found[page] = 1;
        }
    }
    assert_int_equal(r, 0);
    mv_block_populated_close(populated);
}

static void expect(const struct mv_block *block, const uint8_t *wanted)
{
    uint8_t found[PAGES];
    look(block, found);
    for (size_t i = 0; i < block->size / PAGE; i++) {
        if (found[i] != wanted[i])
            fail_msg("page %zu of %s: %d", i, block->backing->kind->name, found[i]);
    }
}

/* Some alone, some side by side, more than one look brings; the first and the last page. */
static bool is_chosen(size_t page, unsigned of)
{
    return page == 0 || page == PAGES - 1 || page * 2654435761u % 7 == of || page / 100 == 3 + of;
}

static void write_pages(struct mv_block *block, unsigned of, uint8_t *wanted)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (!is_chosen(i, of))
            continue;
        assert_int_equal(mv_block_write(block, i * PAGE + i % PAGE, "x", 1), 0);
        wanted[i] = 1;
    }
}

static void fill_file(unsigned of, uint8_t *wanted)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (!is_chosen(i, of))
            continue;
        assert_int_equal(pwrite(fd, "f", 1, (off_t)(i * PAGE + i % PAGE)), 1);
        wanted[i] = 1;
    }
}

static void test_without_a_file(void **state)
{
    static const struct mv_config_backing wishes[] = {{0}, {.memfd = true}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        uint8_t wanted[PAGES] = {0};
        struct mv_block *block = make(&wishes[i], SIZE);
        expect(block, wanted);
        write_pages(block, 1, wanted);
        expect(block, wanted);
        /* What is given back is gone. */
        mv_block_zero(block, 5 * PAGE, 300 * PAGE);
        memset(wanted + 5, 0, 300);
        expect(block, wanted);
        mv_block_destroy(block);
    }
}

static void test_shared_file(void **state)
{
    const struct mv_config_backing wish = {.file = path, .share = MV_SWITCH_ON};
    uint8_t wanted[PAGES] = {0};
    fill_file(1, wanted);
    struct mv_block *block = make(&wish, SIZE);
    expect(block, wanted);
    write_pages(block, 2, wanted);
    /* Reading makes no data, and neither did looking. */
    uint64_t word;
    assert_int_equal(mv_block_read(block, 1500 * PAGE, &word, 8), 0);
    expect(block, wanted);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks * 512 < (off_t)SIZE);
}

/* Pages that were not copied yet are the file's, those that were are memory. */
static void test_private_file(void **state)
{
    const struct mv_config_backing wish = {.file = path, .share = MV_SWITCH_OFF};
    uint8_t wanted[PAGES] = {0};
    fill_file(1, wanted);
    struct mv_block *block = make(&wish, SIZE);
    expect(block, wanted);
    for (size_t i = 0; i < PAGES; i++) { /* read, and so mapped */
        uint8_t byte;
        assert_int_equal(mv_block_read(block, i * PAGE, &byte, 1), 0);
    }
    expect(block, wanted);
    write_pages(block, 2, wanted);
    expect(block, wanted);
    struct mv_block_populated *again = NULL;
    off_t before = lseek(block->backing->fd, 12345, SEEK_SET);
    assert_int_equal(mv_block_populated_open(block, &again, &err), 0);
    uint64_t offset = 0, len;
    assert_int_equal(mv_block_populated_next(again, &offset, &len, &err), 1);
    mv_block_populated_close(again);
    assert_int_equal(lseek(block->backing->fd, 0, SEEK_CUR), before);
}

static void test_part_of_a_file(void **state)
{
    struct mv_config_backing wish = {.file = path, .has_offset = true, .offset = 100 * PAGE};
    for (int share = MV_SWITCH_ON; share <= MV_SWITCH_OFF; share++) {
        uint8_t wanted[PAGES] = {0};
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        fill_file(1, wanted);
        memmove(wanted, wanted + 100, PAGES - 100);
        wish.share = share;
        struct mv_block *block = make(&wish, 1000 * PAGE);
        expect(block, wanted);
        mv_block_write(block, 999 * PAGE, "x", 1);
        wanted[999] = 1;
        expect(block, wanted);
        mv_block_destroy(block);
    }
}

/* What nobody can read any more is told, and so cannot pass for zeros. */
static void test_shrunk_file(void **state)
{
    struct mv_config_backing wish = {.file = path};
    for (int share = MV_SWITCH_ON; share <= MV_SWITCH_OFF; share++) {
        uint8_t wanted[PAGES] = {0};
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        wish.share = share;
        struct mv_block *block = make(&wish, SIZE);
        assert_int_equal(mv_block_write(block, 0, "x", 1), 0);
        assert_int_equal(ftruncate(fd, 1000 * PAGE), 0);
        wanted[0] = 1;
        memset(wanted + 1000, 1, PAGES - 1000);
        expect(block, wanted);
        mv_block_destroy(block);
    }
}

static void test_huge_pages(void **state)
{
    const struct mv_config_backing wish = {.hugetlb = 2 * MV_MIB};
    struct mv_block *block = NULL;
    uint8_t wanted[PAGES] = {0};
    if (mv_block_create_backed(registry, "", "ram0", 4 * MV_MIB, &wish, &block, &err) < 0)
        skip();
    expect(block, wanted);
    assert_int_equal(mv_block_write(block, 3 * MV_MIB, "x", 1), 0);
    memset(wanted + 512, 1, 512);
    expect(block, wanted);
    /* Another process makes a page, which is not mapped here. */
    char *other =
        mmap(NULL, block->size, PROT_READ | PROT_WRITE, MAP_SHARED, block->backing->fd, 0);
    assert_ptr_not_equal(other, MAP_FAILED);
    other[0] = 1;
    memset(wanted, 1, 1024);
    expect(block, wanted);
    munmap(other, block->size);
}

static uint64_t resident(void)
{
    unsigned long long pages[2];
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%llu %llu", &pages[0], &pages[1]), 2);
    fclose(f);
    return pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_looking_costs_nothing(void **state)
{
    static const struct mv_config_backing wishes[] = {{0}, {.memfd = true}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        struct mv_block *block = make(&wishes[i], 16 * MV_GIB);
        struct mv_block_populated *populated = NULL;
        struct stat st;
        uint64_t before = resident(), offset = 0, len;
        mv_block_write(block, 11 * MV_GIB + 5, "x", 1);
        assert_int_equal(mv_block_populated_open(block, &populated, &err), 0);
        assert_int_equal(mv_block_populated_next(populated, &offset, &len, &err), 1);
        assert_int_equal(offset, 11 * MV_GIB);
        assert_int_equal(len, PAGE);
        offset += len;
        assert_int_equal(mv_block_populated_next(populated, &offset, &len, &err), 0);
        mv_block_populated_close(populated);
        assert_true(resident() < before + MV_MIB / 2);
        if (block->backing->fd >= 0) {
            assert_int_equal(fstat(block->backing->fd, &st), 0);
            assert_int_equal(st.st_blocks * 512, PAGE);
        }
        mv_block_destroy(block);
    }
}

/* Kernels without PAGEMAP_SCAN tell the same. */
static void test_both_ways_tell_the_same(void **state)
{
    static const struct mv_config_backing wish;
    uint8_t wanted[PAGES] = {0}, found[PAGES];
    struct mv_block *block = make(&wish, SIZE);
    write_pages(block, 4, wanted);
    for (unsigned no_scan = 0; no_scan < 2; no_scan++) {
        struct mv_host_pages pages;
        struct mv_host_pages_run run;
        uint64_t host = (uintptr_t)block->host, at = host;
        memset(found, 0, sizeof found);
        assert_int_equal(mv_host_pages_open(MV_HOST_PAGES_PRIVATE, &pages, &err), 0);
        pages.no_scan = no_scan;
        while (mv_host_pages_next(&pages, at, host + SIZE, &run, &err) == 1) {
            memset(found + (run.start - host) / PAGE, 1, (run.end - run.start) / PAGE);
            at = run.end;
        }
        assert_memory_equal(found, wanted, sizeof wanted);
        mv_host_pages_close(&pages);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_file),        TEST(test_shared_file),
        TEST(test_private_file),          TEST(test_part_of_a_file),
        TEST(test_shrunk_file),           TEST(test_huge_pages),
        TEST(test_looking_costs_nothing), TEST(test_both_ways_tell_the_same),
    };
    return cmocka_run_group_tests_name("block-populated", tests, NULL, NULL);
}
