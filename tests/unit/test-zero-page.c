/* SPDX-License-Identifier: Apache-2.0 */
/* migration/zero-page.c: every way to look, at every alignment, finds every single bit. */
#include "zero-page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ALIGNMENTS = 64, ROOM = 3 * 4096 };

static uint8_t *room;

static int setup(void **state)
{
    room = aligned_alloc(4096, ROOM);
    return room == NULL;
}

static int teardown(void **state)
{
    free(room);
    return 0;
}

/* What lies before and behind is not to matter. */
static uint8_t *place(size_t alignment, size_t len)
{
    memset(room, 0xff, ROOM);
    return memset(room + 4096 + alignment, 0, len);
}

static void check_way(const struct mv_zero_way *way, size_t alignment, size_t len)
{
    uint8_t *bytes = place(alignment, len);
    if (!way->is_zero(bytes, len))
        fail_msg("%s: %zu zeros at %zu are none", way->name, len, alignment);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(1 << (i + alignment) % 8);
        if (way->is_zero(bytes, len))
            fail_msg("%s: byte %zu of %zu at %zu is not seen", way->name, i, len, alignment);
        bytes[i] = 0;
    }
}

static void test_every_way_sees_every_byte(void **state)
{
    size_t ways = 0;
    for (const struct mv_zero_way *way = mv_zero_ways; way->name != NULL; way++) {
        if (!way->available())
            continue;
        ways++;
        for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++)
            check_way(way, alignment, MV_ZERO_PAGE);
        for (size_t len = 0; len < 600; len++)
            check_way(way, len % ALIGNMENTS, len);
    }
    assert_true(ways >= 1);
}

static void test_plain_c_is_everywhere_and_last(void **state)
{
    const struct mv_zero_way *way = mv_zero_ways;
    while (way[1].name != NULL)
        way++;
    assert_string_equal(way->name, "plain");
    assert_true(way->available());
}

static void test_what_was_chosen_works(void **state)
{
    uint8_t *bytes = place(5, MV_ZERO_PAGE);
    assert_true(mv_zero_bytes(bytes, MV_ZERO_PAGE));
    assert_false(mv_zero_bytes(bytes, MV_ZERO_PAGE + 1));
    assert_true(mv_zero_bytes(bytes - 1, 0));
}

/* Runs of pages against a map of them, for every mix of seven and a half. */
static void test_runs(void **state)
{
    enum { PAGES = 8, HALF = 2048 };
    size_t len = PAGES * MV_ZERO_PAGE - HALF;
    uint8_t *bytes = malloc(len);
    for (unsigned mix = 0; mix < 1 << PAGES; mix++) {
        unsigned found = 0;
        size_t at = 0, run;
        memset(bytes, 0, len);
        for (unsigned page = 0; page < PAGES; page++)
            bytes[page * MV_ZERO_PAGE + page * 200] = mix >> page & 1;
        for (; mv_zero_next_data(bytes, len, &at, &run); at += run) {
            assert_int_equal(at % MV_ZERO_PAGE, 0);
            assert_true(run > 0 && at + run <= len);
            assert_true(run % MV_ZERO_PAGE == 0 || at + run == len);
            size_t end = (at + run + MV_ZERO_PAGE - 1) / MV_ZERO_PAGE;
            for (size_t page = at / MV_ZERO_PAGE; page < end; page++)
                found |= 1u << page;
            /* All that lie side by side are one run. */
            assert_true(end == PAGES || (mix >> end & 1) == 0);
        }
        assert_int_equal(found, mix);
    }
    free(bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_sees_every_byte),
        cmocka_unit_test(test_plain_c_is_everywhere_and_last),
        cmocka_unit_test(test_what_was_chosen_works),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests_name("zero-page", tests, setup, teardown);
}
