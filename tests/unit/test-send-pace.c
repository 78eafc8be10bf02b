/* SPDX-License-Identifier: Apache-2.0 */
/* migration/send-pace.c: how fast memory is sent, and when another pass is worth its while. */
#include "send-parts.h"

#include "os.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct mv_send_limits limits;
static struct mv_send_pace pace;
static struct mv_send_counts counts;
static atomic_bool cancelled, over;

static int setup(void **state)
{
    (void)state;
    mv_send_limits_init(&limits);
    mv_send_pace_init(&pace, &limits, &over);
    counts = (struct mv_send_counts){0};
    atomic_store(&cancelled, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mv_send_pace_end(&pace);
    return 0;
}

/* A pass that took a while, at a rate that is told. */
static void pass(uint64_t bytes, uint64_t ns)
{
    mv_send_pace_begin(&pace, &counts);
    pace.pass_ns -= ns;
    atomic_fetch_add(&counts.transferred, bytes);
    mv_send_pace_done(&pace, &counts);
}

#define SECOND UINT64_C(1000000000)

static void test_a_guest_that_writes_little_is_stopped_at_once(void **state)
{
    (void)state;
    pass(MV_GIB, 10 * SECOND);
    assert_true(mv_send_pace_is_enough(&pace, 16 * MV_KIB, 1));
    assert_true(atomic_load(&pace.expected_ns) < SECOND / 100);
}

static void test_passes_go_on_while_they_get_shorter(void **state)
{
    (void)state;
    pass(MV_GIB, 10 * SECOND);
    /* It would fit, and the next is shorter still. */
    assert_false(mv_send_pace_is_enough(&pace, 16 * MV_MIB, 1));
    assert_false(mv_send_pace_is_enough(&pace, 8 * MV_MIB, 2));
    assert_true(mv_send_pace_is_enough(&pace, 7 * MV_MIB, 3));
    assert_int_equal(atomic_load(&pace.throttle), 0);
}

static void test_a_wish_for_less_downtime_takes_more_passes(void **state)
{
    (void)state;
    atomic_store(&limits.downtime_ns, SECOND / 100);
    pass(MV_GIB, 10 * SECOND);
    assert_false(mv_send_pace_is_enough(&pace, 16 * MV_MIB, 1));
    assert_false(mv_send_pace_is_enough(&pace, 15 * MV_MIB, 2));
    assert_true(atomic_load(&pace.throttle) > 0);
}

static void test_throttling_goes_by_what_is_needed(void **state)
{
    (void)state;
    pass(MV_GIB, 10 * SECOND); /* some 100 MiB/s, */
    assert_false(mv_send_pace_is_enough(&pace, 4 * MV_GIB, 1));
    assert_int_equal(atomic_load(&pace.throttle), 0);
    pass(MV_GIB, 10 * SECOND); /* and it writes 400 */
    assert_false(mv_send_pace_is_enough(&pace, 4 * MV_GIB, 2));
    assert_in_range(atomic_load(&pace.throttle), 80, 90);
    pass(MV_GIB, 10 * SECOND);
    atomic_store(&limits.throttle_max, 92);
    assert_false(mv_send_pace_is_enough(&pace, 4 * MV_GIB, 3));
    assert_int_equal(atomic_load(&pace.throttle), 92);
}

static void test_throttling_takes_its_steps_and_can_be_off(void **state)
{
    (void)state;
    for (unsigned pass_number = 1; pass_number <= 3; pass_number++) {
        pass(MV_GIB, 10 * SECOND);
        assert_false(mv_send_pace_is_enough(&pace, MV_GIB / 2, pass_number));
        assert_int_equal(atomic_load(&pace.throttle),
                         pass_number == 1 ? 0 : 10 + 10 * (pass_number - 1));
    }
    tear_down(state);
    setup(state);
    atomic_store(&limits.throttles, false);
    for (unsigned pass_number = 1; pass_number <= 3; pass_number++) {
        pass(MV_GIB, 10 * SECOND);
        assert_false(mv_send_pace_is_enough(&pace, 4 * MV_GIB, pass_number));
    }
    assert_int_equal(atomic_load(&pace.throttle), 0);
}

static void test_the_bandwidth_is_kept(void **state)
{
    uint64_t began = mv_now_ns();
    (void)state;
    atomic_store(&limits.bandwidth, MV_MIB);
    for (int i = 0; i < 4; i++)
        mv_send_pace_wait(&pace, 64 * MV_KIB, &cancelled);
    assert_true(mv_now_ns() - began >= SECOND / 5);
    /* Nobody waits where it was cancelled, there is no limit, or the guest stands still. */
    mv_send_pace_wait(&pace, 0, &cancelled);
    atomic_store(&cancelled, true);
    began = mv_now_ns();
    mv_send_pace_wait(&pace, MV_GIB, &cancelled);
    atomic_store(&cancelled, false);
    atomic_store(&pace.unlimited, true);
    mv_send_pace_wait(&pace, MV_GIB, &cancelled);
    atomic_store(&pace.unlimited, false);
    atomic_store(&limits.bandwidth, 0);
    mv_send_pace_wait(&pace, MV_GIB, &cancelled);
    assert_true(mv_now_ns() - began < 600 * SECOND);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_guest_that_writes_little_is_stopped_at_once),
        TEST(test_passes_go_on_while_they_get_shorter),
        TEST(test_a_wish_for_less_downtime_takes_more_passes),
        TEST(test_throttling_goes_by_what_is_needed),
        TEST(test_throttling_takes_its_steps_and_can_be_off),
        TEST(test_the_bandwidth_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
