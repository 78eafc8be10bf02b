/* SPDX-License-Identifier: Apache-2.0 */
/* memory/dirty-log.c: marks, cursors that do not disturb each other, exactness. */
#include "dirty-log.h"

#include "block.h"
#include "space.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 200
#define SIZE  (PAGES * MV_DIRTY_PAGE)
#define BASE  UINT64_C(0x80000000)

static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_block *block;
static struct mv_error err;

static int setup(void **state)
{
    assert_int_equal(mv_block_registry_create(&registry, &err), 0);
    assert_int_equal(mv_space_create(&space, &err), 0);
    assert_int_equal(mv_block_create(registry, "", "ram0", SIZE, &block, &err), 0);
    assert_int_equal(mv_space_add_ram(space, BASE, block, 0, SIZE, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    return 0;
}

static struct mv_dirty_cursor *open_cursor(void)
{
    struct mv_dirty_cursor *cursor = NULL;
    assert_int_equal(mv_dirty_cursor_open(space, block, &cursor, &err), 0);
    return cursor;
}

static uint64_t take(struct mv_dirty_cursor *cursor)
{
    uint64_t pages = UINT64_MAX;
    assert_int_equal(mv_dirty_cursor_take(cursor, &pages, &err), 0);
    return pages;
}

static void write_bytes(uint64_t offset, uint64_t len)
{
    uint8_t *bytes = calloc(1, len);
    assert_int_equal(mv_space_write(space, BASE + offset, bytes, len), 0);
    free(bytes);
}

static void expect_runs(const struct mv_dirty_cursor *cursor, const uint64_t *runs, size_t count)
{
    uint64_t offset = 0, len = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(mv_dirty_cursor_next(cursor, &offset, &len));
        assert_int_equal(offset, runs[2 * i] * MV_DIRTY_PAGE);
        assert_int_equal(len, runs[2 * i + 1] * MV_DIRTY_PAGE);
        offset += len;
    }
    assert_false(mv_dirty_cursor_next(cursor, &offset, &len));
}

static void test_nobody_listens(void **state)
{
    write_bytes(0, 10000);
    assert_false(mv_dirty_listened(&block->log));
    struct mv_dirty_cursor *cursor = open_cursor();
    assert_true(mv_dirty_listened(&block->log));
    assert_int_equal(take(cursor), 0);
    mv_dirty_cursor_close(cursor);
    assert_false(mv_dirty_listened(&block->log));
    /* What the last listener left is not the next one's. */
    cursor = open_cursor();
    write_bytes(0, 1);
    mv_dirty_cursor_close(cursor);
    cursor = open_cursor();
    assert_int_equal(take(cursor), 0);
    mv_dirty_cursor_close(cursor);
}

static void test_runs(void **state)
{
    struct mv_dirty_cursor *cursor = open_cursor();
    static const uint64_t first[] = {0, 1, 2, 2, 63, 2, 128, 72};
    write_bytes(5, 1);
    write_bytes(3 * MV_DIRTY_PAGE - 1, 2);            /* crosses a page */
    write_bytes(63 * MV_DIRTY_PAGE, MV_DIRTY_PAGE + 1); /* crosses a word of the bitmap */
    write_bytes(128 * MV_DIRTY_PAGE, 72 * MV_DIRTY_PAGE);
    assert_int_equal(take(cursor), 1 + 2 + 2 + 72);
    expect_runs(cursor, first, 4);
    assert_int_equal(take(cursor), 0);
    expect_runs(cursor, NULL, 0);
    /* Zeroing counts. */
    mv_block_zero(block, 10 * MV_DIRTY_PAGE, 3 * MV_DIRTY_PAGE);
    assert_int_equal(take(cursor), 3);
    static const uint64_t zeroed[] = {10, 3};
    expect_runs(cursor, zeroed, 1);
    mv_dirty_cursor_close(cursor);
}

static void test_cursors_are_independent(void **state)
{
    struct mv_dirty_cursor *a = open_cursor();
    write_bytes(0, 1);
    struct mv_dirty_cursor *b = open_cursor();
    write_bytes(MV_DIRTY_PAGE, 1);
    assert_int_equal(take(a), 2);
    assert_int_equal(take(a), 0);
    write_bytes(2 * MV_DIRTY_PAGE, 1);
    /* What b was opened behind is a's alone. */
    assert_int_equal(take(b), 2);
    assert_int_equal(take(a), 1);
    mv_dirty_cursor_close(a);
    write_bytes(3 * MV_DIRTY_PAGE, 1);
    assert_int_equal(take(b), 1);
    mv_dirty_cursor_close(b);
}

static void test_block_goes(void **state)
{
    struct mv_block *other = NULL;
    uint64_t pages;
    assert_int_equal(mv_block_create(registry, "pci/01.0", "bar2", 65536, &other, &err), 0);
    struct mv_dirty_cursor *cursor = NULL;
    assert_int_equal(mv_dirty_cursor_open(space, other, &cursor, &err), 0);
    mv_block_destroy(other);
    assert_int_equal(mv_block_create(registry, "pci/01.0", "bar2", 65536, &other, &err), 0);
    /* The new one of this name is another generation. */
    assert_int_equal(mv_dirty_cursor_take(cursor, &pages, &err), -ESTALE);
    mv_dirty_cursor_close(cursor);
}

/* --- a copy that follows by the log alone is in the end what the memory is */

static atomic_bool stop;

static void *write_on(void *opaque)
{
    uint32_t state = (uint32_t)(uintptr_t)opaque;
    while (!atomic_load(&stop)) {
        state = state * 1664525 + 1013904223;
        uint64_t offset = (state >> 8) % (SIZE - 64);
        uint8_t bytes[64];
        memset(bytes, (int)(state >> 3), sizeof bytes);
        mv_space_write(space, BASE + offset, bytes, 1 + state % 64);
    }
    return NULL;
}

static void follow(struct mv_dirty_cursor *cursor, uint8_t *copy)
{
    uint64_t offset = 0, len;
    take(cursor);
    while (mv_dirty_cursor_next(cursor, &offset, &len)) {
        assert_int_equal(mv_space_read(space, BASE + offset, copy + offset, len), 0);
        offset += len;
    }
}

static void test_exact(void **state)
{
    enum { WRITERS = 3, ROUNDS = 300 };
    uint8_t *copies[2] = {calloc(1, SIZE), calloc(1, SIZE)};
    struct mv_dirty_cursor *cursors[2];
    pthread_t threads[WRITERS];
    mv_block_zero(block, 0, SIZE);
    for (unsigned i = 0; i < 2; i++)
        cursors[i] = open_cursor();
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_on, (void *)(i + 1));
    for (unsigned round = 0; round < ROUNDS; round++) {
        follow(cursors[0], copies[0]);
        if (round % 3 == 0)
            follow(cursors[1], copies[1]);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 2; i++) {
        follow(cursors[i], copies[i]);
        assert_memory_equal(copies[i], block->host, SIZE);
        assert_int_equal(take(cursors[i]), 0);
        mv_dirty_cursor_close(cursors[i]);
        free(copies[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_cursors_are_independent),
        cmocka_unit_test(test_block_goes),
        cmocka_unit_test(test_exact),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
