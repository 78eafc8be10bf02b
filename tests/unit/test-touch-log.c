/* SPDX-License-Identifier: Apache-2.0 */
/* memory/touch-log.c: which pages were touched, by whom it may be, and while it is noted. */
#include "block.h"
#include "space.h"
#include "touch-log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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

static void expect(uint64_t *io_offset, uint64_t first, uint64_t pages)
{
    uint64_t len = 0;
    assert_true(mv_touch_log_next(block, io_offset, &len));
    assert_int_equal(*io_offset, first * MV_DIRTY_PAGE);
    assert_int_equal(len, pages * MV_DIRTY_PAGE);
    *io_offset += len;
}

static void expect_end(uint64_t offset)
{
    uint64_t len;
    assert_false(mv_touch_log_next(block, &offset, &len));
}

static void test_nobody_notes(void **state)
{
    uint32_t value;
    assert_int_equal(mv_space_read(space, BASE, &value, sizeof value), 0);
    expect_end(0);
    assert_int_equal(mv_touch_log_begin(block, &err), 0);
    expect_end(0);
    mv_touch_log_stop(block);
    assert_int_equal(mv_space_read(space, BASE, &value, sizeof value), 0);
    expect_end(0);
}

static void test_reads_and_writes(void **state)
{
    uint8_t bytes[8] = {0};
    uint64_t offset = 0;
    assert_int_equal(mv_touch_log_begin(block, &err), 0);
    assert_int_equal(mv_space_read(space, BASE + 3 * MV_DIRTY_PAGE, bytes, 8), 0);
    assert_int_equal(mv_space_write(space, BASE + 64 * MV_DIRTY_PAGE - 4, bytes, 8), 0);
    assert_int_equal(mv_space_write(space, BASE + SIZE - 1, bytes, 1), 0);
    expect(&offset, 3, 1);
    expect(&offset, 63, 2);
    expect(&offset, PAGES - 1, 1);
    expect_end(offset);
    mv_touch_log_stop(block);
    offset = 0;
    expect(&offset, 3, 1);
}

/* From the middle of a run on, and at the block's end. */
static void test_runs(void **state)
{
    uint64_t offset = 130 * MV_DIRTY_PAGE;
    assert_int_equal(mv_touch_log_begin(block, &err), 0);
    mv_touch_mark(&block->touch, 100 * MV_DIRTY_PAGE + 17, 0);
    mv_touch_mark(&block->touch, 100 * MV_DIRTY_PAGE, 100 * MV_DIRTY_PAGE);
    mv_touch_mark(&block->touch, 100 * MV_DIRTY_PAGE, 1);
    expect(&offset, 130, 70);
    expect_end(offset);
    offset = 0;
    expect(&offset, 100, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
