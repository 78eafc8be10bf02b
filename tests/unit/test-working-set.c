/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration/working-set.c: sets that are joined, forgotten, written and read again, and what
 * is refused; bring.c: what is read of them.
 */
#include "working-set.h"

#include "block.h"
#include "bring.h"
#include "bytes.h"
#include "config.h"
#include "section.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define PAGE  MV_WORKING_SET_PAGE
#define PLACE (MV_BRING_PIECE / PAGE) /* pages of a huge one */
#define PAGES (4 * PLACE)

static struct mv_working_set_pages blocks[2];
static struct mv_working_set set = {.id = "sixteen bytes id", .blocks = blocks, .count = 2};
static struct mv_error err;
static char path[64];

static int setup(void **state)
{
    static const char *const ids[] = {"ram0", "ram1"};
    for (size_t i = 0; i < 2; i++)
        blocks[i] = (struct mv_working_set_pages){.id = ids[i], .size = PAGES * PAGE};
    snprintf(path, sizeof path, "/tmp/memvisor-test-working-set-%d", (int)getpid());
    return 0;
}

static int teardown(void **state)
{
    mv_working_set_clear(&set);
    unlink(path);
    return 0;
}

/* Pairs of page and number, in order, with 0 pages behind them. */
static bool next_of_list(const void *opaque, uint64_t *io_offset, uint64_t *ret_len)
{
    for (const unsigned *at = opaque; at[1] > 0; at += 2) {
        uint64_t start = at[0] * PAGE, end = start + at[1] * PAGE;
        if (end <= *io_offset)
            continue;
        *io_offset = start > *io_offset ? start : *io_offset;
        *ret_len = end - *io_offset;
        return true;
    }
    return false;
}

static void join(const unsigned *touched, bool whole)
{
    assert_int_equal(mv_working_set_join(&blocks[0], next_of_list, touched, whole, &err), 0);
}

#define JOIN(whole, ...) join((const unsigned[]){__VA_ARGS__ __VA_OPT__(, ) 0, 0}, whole)

/* "first+pages/age …" */
static void expect_runs(const char *wanted)
{
    char text[512] = "";
    for (size_t i = 0; i < blocks[0].count; i++) {
        const struct mv_working_set_run *run = &blocks[0].runs[i];
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u+%u/%u", i == 0 ? "" : " ",
                 (unsigned)run->first, run->pages, run->age);
    }
    assert_string_equal(text, wanted);
}

static void test_joining(void **state)
{
    JOIN(true, 10, 10);
    expect_runs("10+10/0");
    JOIN(true, 5, 2, 12, 3, 18, 6, 30, 1);
    expect_runs("5+2/0 10+2/1 12+3/0 15+3/1 18+6/0 30+1/0");
    /* All of the old is covered, or begins where the new ends. */
    JOIN(true, 0, 10, 12, 30);
    expect_runs("0+10/0 10+2/2 12+30/0");
    JOIN(false, 41, 3);
    expect_runs("0+10/0 10+2/2 12+32/0");
    assert_int_equal(mv_working_set_bytes(&set), 44 * PAGE);
}

static void test_forgetting(void **state)
{
    JOIN(true, 0, 1, 8, 1);
    for (unsigned age = 1; age < MV_WORKING_SET_AGE; age++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "0+1/0 8+1/%u", age);
        JOIN(true, 0, 1);
        expect_runs(wanted);
        /* A short run says nothing of what it left out. */
        JOIN(false, 0, 1);
        expect_runs(wanted);
    }
    JOIN(true, 0, 1);
    expect_runs("0+1/0");
    for (unsigned i = 0; i < MV_WORKING_SET_AGE; i++)
        JOIN(true);
    expect_runs("");
}

/* --- the file */

static void write_some(void)
{
    JOIN(true, 3, 4, PAGES - 1, 1);
    JOIN(true, 5, 1);
    assert_int_equal(mv_working_set_write(&set, path, &err), 0);
    mv_working_set_clear(&set);
}

static int read_it(void)
{
    return mv_working_set_read(&set, path, &err);
}

static void test_a_round(void **state)
{
    assert_int_equal(read_it(), -ENOENT);
    write_some();
    assert_int_equal(read_it(), 0);
    expect_runs("3+2/1 5+1/0 6+1/1 2047+1/1");
    assert_int_equal(blocks[1].count, 0);
    /* Of a block that nobody asks for nothing is told. */
    mv_working_set_clear(&set);
    blocks[0].id = "ram2";
    assert_int_equal(read_it(), 0);
    assert_int_equal(mv_working_set_bytes(&set), 0);
}

static void test_another_state(void **state)
{
    write_some();
    set.id[0] ^= 1;
    assert_int_equal(read_it(), -ESTALE);
    set.id[0] ^= 1;
    assert_int_equal(read_it(), 0);
}

static size_t load(uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t length = fread(bytes, 1, size, file);
    fclose(file);
    return length;
}

static void store(const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* No bit counts for nothing, and no length but its own is right. */
static void test_damage(void **state)
{
    uint8_t bytes[1024] = {0};
    write_some();
    size_t length = load(bytes, sizeof bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 1u << i % 8;
        store(bytes, length);
        int r = read_it();
        assert_true(i < 16 ? r == -EEXIST : r == -EINVAL || r == -ENOTSUP);
        assert_int_equal(mv_working_set_bytes(&set), 0);
        bytes[i] ^= 1u << i % 8;
        store(bytes, i);
        assert_int_equal(read_it(), -EINVAL);
    }
    store(bytes, length + 1);
    assert_int_equal(read_it(), -EINVAL);
}

/* Pages that no block has, under sums that are right. */
static void test_hostile(void **state)
{
    static const struct mv_working_set_run bad[][2] = {
        {{0, 1, 0}, {0, 1, 0}},
        {{5, 2, 0}, {4, 1, 0}},
        {{PAGES, 1, 0}, {0, 0, 0}},
        {{PAGES - 1, 2, 0}, {0, 0, 0}},
        {{INT64_MAX, UINT32_MAX, 0}, {0, 0, 0}},
        {{1, 1, MV_WORKING_SET_AGE}, {2, 1, 0}},
        {{1, 0, 0}, {2, 1, 0}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        blocks[0].runs = malloc(sizeof bad[i]);
        memcpy(blocks[0].runs, bad[i], sizeof bad[i]);
        blocks[0].count = blocks[0].capacity = bad[i][1].pages == 0 ? 1 : 2;
        assert_int_equal(mv_working_set_write(&set, path, &err), 0);
        mv_working_set_clear(&set);
        assert_int_equal(read_it(), -EINVAL);
        assert_non_null(strstr(err.text, "ram0"));
    }
}

static void test_a_newer_format(void **state)
{
    uint8_t bytes[1024];
    write_some();
    size_t length = load(bytes, sizeof bytes);
    bytes[16] = 2;
    mv_bytes_put(bytes + 56, XXH3_64bits(bytes, 56), 8);
    store(bytes, length);
    assert_int_equal(read_it(), -ENOTSUP);
}

/* --- what is brought of it */

static uint8_t *memory;

/* "page+pages" of each piece, with an h for huge ones. */
static void expect_pieces(const struct mv_bring *bring, const char *wanted)
{
    char text[512] = "";
    for (size_t i = 0; i < bring->count; i++) {
        const struct mv_bring_piece *piece = &bring->pieces[i];
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u+%u%s", i == 0 ? "" : " ",
                 (unsigned)((uint64_t)(piece->host - memory) / PAGE), (unsigned)(piece->len / PAGE),
                 piece->whole ? "h" : "");
    }
    assert_string_equal(text, wanted);
}

static void test_bringing(void **state)
{
    struct mv_block_registry *registry;
    struct mv_block *block = NULL;
    struct mv_bring bring = {0};
    assert_int_equal(mv_block_registry_create(&registry, &err), 0);
    assert_int_equal(mv_block_create(registry, "", "ram0", PAGES * PAGE, &block, &err), 0);
    memory = block->host;
    /* Small gaps are read along, and no piece goes over the end of a huge page's place. */
    JOIN(true, 10, 2, 20, 1, 60, 1, PLACE - 2, 4, 2 * PLACE + 1, 100, 3 * PLACE - 200, 300);
    assert_int_equal(mv_bring_add(&bring, block, &blocks[0], &err), 0);
    expect_pieces(&bring, "10+11 60+1 510+2 512+2 1024+512h 1536+100");
    mv_bring_cached(&bring, 0); /* it is late already */
    assert_int_equal(bring.bytes, 0);
    mv_bring_rest(&bring);
    assert_int_equal(bring.bytes, (11 + 1 + 2 + 2 + 512 + 100) * PAGE);
    mv_bring_clear(&bring);
    block->no_huge = true;
    assert_int_equal(mv_bring_add(&bring, block, &blocks[0], &err), 0);
    expect_pieces(&bring, "10+11 60+1 510+2 512+2 1025+100 1336+200 1536+100");
    mv_bring_clear(&bring);
    block->no_huge = false;
    JOIN(true, 0, PAGES);
    assert_int_equal(mv_bring_add(&bring, block, &blocks[0], &err), 0);
    expect_pieces(&bring, "0+512h 512+512h 1024+512h 1536+512h");
    /* Nothing comes of what was cancelled. */
    uint64_t before = bring.bytes;
    bring.cancelled = true;
    mv_bring_cached(&bring, INT64_MAX);
    mv_bring_rest(&bring);
    assert_int_equal(bring.bytes, before);
    mv_bring_clear(&bring);
    mv_block_registry_destroy(registry);
}

static void *help(void *opaque)
{
    mv_bring_cached(opaque, INT64_MAX);
    return NULL;
}

/* A file whose first half was just written, and is nowhere but in memory; the rest is a hole. */
static struct mv_block *make_half_cached(struct mv_block_registry *registry)
{
    static uint8_t page[PAGE] = {1};
    const struct mv_config_backing wish = {.file = path, .share = MV_SWITCH_OFF};
    struct mv_block *block = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)(PAGES * PAGE)), 0);
    for (uint64_t at = 0; at < PAGES / 2 * PAGE; at += PAGE)
        assert_int_equal(pwrite(fd, page, PAGE, (off_t)at), PAGE);
    close(fd);
    assert_int_equal(
        mv_block_create_backed(registry, "", "ram0", PAGES * PAGE, &wish, &block, &err), 0);
    return block;
}

static void test_what_is_cached(void **state)
{
    struct mv_block_registry *registry;
    struct mv_bring bring = {0};
    pthread_t helper;
    assert_int_equal(mv_block_registry_create(&registry, &err), 0);
    const struct mv_block *block = make_half_cached(registry);
    JOIN(true, 10, 1, 60, 1, 110, 1, PLACE, PLACE, 2 * PLACE + 10, 1, 3 * PLACE + 60, 1);
    assert_int_equal(mv_bring_add(&bring, block, &blocks[0], &err), 0);
    assert_int_equal(pthread_create(&helper, NULL, help, &bring), 0);
    mv_bring_cached(&bring, INT64_MAX);
    pthread_join(helper, NULL);
    /* None of them waits for what has to be read. */
    assert_int_equal(bring.bytes, (3 + PLACE) * PAGE);
    assert_int_equal(bring.next, 4);
    assert_int_equal(bring.major, 0);
    assert_in_range(bring.minor, 1, 3 + PLACE);
    mv_bring_rest(&bring);
    assert_int_equal(bring.bytes, (3 + PLACE + 2) * PAGE);
    mv_bring_clear(&bring);
    mv_block_registry_destroy(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_joining, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgetting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bringing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_cached, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
