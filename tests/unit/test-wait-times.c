/* SPDX-License-Identifier: Apache-2.0 */
/* base/wait-times.c: medians and longest times, as near as they are told. */
#include "wait-times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static void test_none(void **state)
{
    const struct mv_wait_times times = {0};
    (void)state;
    assert_int_equal(mv_wait_times_median(&times), 0);
}

/* Told never too short, and by an eighth too long at most. */
static void test_each_time_alone(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t add = 0; add < 16; add++) {
            uint64_t ns = (UINT64_C(1) << shift) + (add << shift) / 16;
            struct mv_wait_times times = {0};
            mv_wait_times_add(&times, ns);
            mv_wait_times_add(&times, ns);
            mv_wait_times_add(&times, UINT64_MAX);
            uint64_t median = mv_wait_times_median(&times);
            assert_true(median >= ns && median - ns <= ns / 8);
            assert_int_equal(times.count, 3);
            assert_int_equal(times.worst_ns, UINT64_MAX);
        }
    }
}

static void test_joined(void **state)
{
    struct mv_wait_times one = {0}, other = {0};
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        mv_wait_times_add(&one, 1000);
        mv_wait_times_add(&other, 1000000);
    }
    mv_wait_times_add(&other, 3000000);
    mv_wait_times_join(&one, &other);
    assert_int_equal(one.count, 201);
    assert_int_equal(one.total_ns, 100 * 1000 + 100 * 1000000 + 3000000);
    assert_int_equal(one.worst_ns, 3000000);
    uint64_t median = mv_wait_times_median(&one);
    assert_true(median >= 1000000 && median <= 1125000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_each_time_alone),
        cmocka_unit_test(test_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
