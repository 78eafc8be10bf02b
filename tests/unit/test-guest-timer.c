/* SPDX-License-Identifier: Apache-2.0 */
/* bus/guest-timer.c: a timer follows guest time alone, which stands still and jumps as it likes. */
#include "guest-timer.h"

#include "loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_guest_timers timers;
static _Atomic uint64_t now;
static unsigned fired[2];

static uint64_t guest_ns(void *opaque)
{
    return now;
}

static void fire(void *opaque)
{
    ++*(unsigned *)opaque;
    mv_loop_stop(loop);
}

static void stop(void *opaque)
{
    mv_loop_stop(opaque);
}

static int setup(void **state)
{
    fired[0] = fired[1] = 0;
    now = 5000 * MS;
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    mv_guest_timers_init(&timers, loop, guest_ns, NULL);
    return 0;
}

static int teardown(void **state)
{
    mv_guest_timers_clear(&timers);
    mv_loop_destroy(loop);
    return 0;
}

static struct mv_guest_timer *make(unsigned index)
{
    struct mv_guest_timer *timer = NULL;
    assert_int_equal(mv_guest_timer_create(&timers, fire, &fired[index], &timer, &err), 0);
    return timer;
}

/* Serve what there is to serve by then. */
static void serve_for(unsigned ms)
{
    usleep(ms * 1000);
    mv_loop_defer(loop, stop, loop);
    mv_loop_run(loop);
}

static void test_fires_once(void **state)
{
    struct mv_guest_timer *timer = make(0);
    mv_guest_timers_run(&timers, true);
    mv_guest_timer_set(timer, 3 * MS);
    assert_int_equal(mv_guest_timer_left(timer), 3 * MS);
    /* The host's time has come, the guest's has not. */
    serve_for(10);
    assert_int_equal(fired[0], 0);
    now += 2 * MS;
    assert_int_equal(mv_guest_timer_left(timer), MS);
    now += MS - 1;
    assert_int_equal(mv_guest_timer_left(timer), 1);
    now += 1;
    assert_int_equal(mv_guest_timer_left(timer), 0);
    mv_loop_run(loop);
    assert_int_equal(fired[0], 1);
    assert_int_equal(mv_guest_timer_left(timer), MV_GUEST_TIMER_UNSET);
    now += 100 * MS;
    serve_for(10);
    assert_int_equal(fired[0], 1);
    mv_guest_timer_set(timer, 0);
    mv_loop_run(loop);
    assert_int_equal(fired[0], 2);
    mv_guest_timer_destroy(timer);
}

static void test_stands_still(void **state)
{
    struct mv_guest_timer *timer = make(0);
    mv_guest_timer_set(timer, MS);
    now += 10 * MS;
    serve_for(10);
    assert_int_equal(fired[0], 0);
    mv_guest_timers_run(&timers, true);
    mv_loop_run(loop);
    assert_int_equal(fired[0], 1);
    /* It expired, and before that was served the guest stopped. */
    mv_guest_timer_set(timer, MS);
    now += MS;
    usleep(10000);
    mv_guest_timers_run(&timers, false);
    serve_for(10);
    assert_int_equal(fired[0], 1);
    mv_guest_timers_run(&timers, true);
    mv_loop_run(loop);
    assert_int_equal(fired[0], 2);
    mv_guest_timer_destroy(timer);
}

static void fire_and_stand(void *opaque)
{
    fire(opaque);
    mv_guest_timers_run(&timers, false);
}

/* Two have expired, and what the first does stops the guest: the second waits. */
static void test_stopped_by_another(void **state)
{
    struct mv_guest_timer *timer[2];
    mv_guest_timers_run(&timers, true);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            mv_guest_timer_create(&timers, fire_and_stand, &fired[i], &timer[i], &err), 0);
        mv_guest_timer_set(timer[i], MS);
    }
    now += MS;
    usleep(10000);
    mv_loop_run(loop);
    serve_for(10);
    assert_int_equal(fired[0] + fired[1], 1);
    mv_guest_timers_run(&timers, true);
    mv_loop_run(loop);
    assert_true(fired[0] == 1 && fired[1] == 1);
    for (unsigned i = 0; i < 2; i++)
        mv_guest_timer_destroy(timer[i]);
}

static void test_set_anew(void **state)
{
    struct mv_guest_timer *first = make(0), *second = make(1);
    mv_guest_timers_run(&timers, true);
    mv_guest_timer_set(first, MS);
    mv_guest_timer_set(second, 2 * MS);
    now += 5 * MS;
    usleep(10000);
    mv_guest_timer_set(first, MV_GUEST_TIMER_UNSET);
    serve_for(0);
    if (fired[1] == 0)
        mv_loop_run(loop);
    assert_int_equal(fired[0], 0);
    assert_int_equal(fired[1], 1);
    /* Beyond the end of time it never fires. */
    mv_guest_timer_set(first, UINT64_MAX - 1);
    assert_int_equal(mv_guest_timer_left(first), MV_GUEST_TIMER_UNSET);
    mv_guest_timer_set(first, MS);
    mv_guest_timer_destroy(first);
    now += MS;
    serve_for(10);
    assert_int_equal(fired[0], 0);
    mv_guest_timer_destroy(second);
    mv_guest_timer_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fires_once),
        TEST(test_stands_still),
        TEST(test_stopped_by_another),
        TEST(test_set_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
