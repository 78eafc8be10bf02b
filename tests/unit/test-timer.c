/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/emulator/timer.c: the generic timers of a vCPU (Arm ARM D12.2) on a
 * guest's clock that the test stops and lets go.  Times are only ever waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include <cmocka.h>

#include "emulator-fixture.h"
#include "os.h"

#define ENABLE 1u
#define IMASK 2u
#define ISTATUS 4u
#define TICKS_PER_MS (MV_COUNTER_HZ / 1000)

static struct fixture f;
static struct mv_cpu *cpu;

static bool line(enum mv_timer_kind kind)
{
    unsigned intid = kind == MV_TIMER_VIRTUAL ? FIXTURE_VIRTUAL_INTID : FIXTURE_PHYSICAL_INTID;
    return atomic_load(&f.irqchip.ppi[0][intid]);
}

static void clock_run(bool on)
{
    f.engine->ops->clock_run(f.engine, on);
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* Standing still it is at 0, and a timer at 0 has been met. */
static void test_registers(void **state)
{
    for (enum mv_timer_kind kind = 0; kind < MV_TIMER_COUNT; kind++) {
        assert_int_equal(mv_counter_read(cpu, kind), 0);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CTL), 0);
        mv_timer_write(cpu, kind, MV_TIMER_CTL, UINT64_MAX & ~(uint64_t)IMASK);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CTL), ENABLE | ISTATUS);
        assert_true(line(kind));
        mv_timer_write(cpu, kind, MV_TIMER_CTL, ENABLE | IMASK);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CTL), ENABLE | IMASK | ISTATUS);
        assert_false(line(kind));
        mv_timer_write(cpu, kind, MV_TIMER_CTL, ENABLE);
        assert_true(line(kind));
        mv_timer_write(cpu, kind, MV_TIMER_CVAL, 1000);
        assert_false(line(kind));
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CTL), ENABLE);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CVAL), 1000);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_TVAL), 1000);
        mv_timer_write(cpu, kind, MV_TIMER_CVAL, UINT64_MAX);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_TVAL), UINT32_MAX);
        /* TimerValue is 32 bits with a sign (D17.11.22). */
        mv_timer_write(cpu, kind, MV_TIMER_TVAL, UINT64_C(0xabcdef0000000005));
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CVAL), 5);
        mv_timer_write(cpu, kind, MV_TIMER_TVAL, 0xfffffffe);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CVAL), UINT64_MAX - 1);
        assert_false(line(kind));
        mv_timer_write(cpu, kind, MV_TIMER_CTL, 0);
        assert_int_equal(mv_timer_read(cpu, kind, MV_TIMER_CTL), 0);
    }
}

/* The two are each on their own, and so are vCPUs. */
static void test_apart(void **state)
{
    mv_timer_write(cpu, MV_TIMER_PHYSICAL, MV_TIMER_CTL, ENABLE);
    assert_true(line(MV_TIMER_PHYSICAL));
    assert_false(line(MV_TIMER_VIRTUAL));
    assert_false(atomic_load(&f.irqchip.ppi[1][FIXTURE_PHYSICAL_INTID]));
    assert_int_equal(mv_timer_read(f.cpu[1], MV_TIMER_PHYSICAL, MV_TIMER_CTL), 0);
}

/* A vCPU that reads that the time has come has its interrupt by then, without the loop. */
static void test_read_raises(void **state)
{
    clock_run(true);
    uint64_t due = mv_counter_read(cpu, MV_TIMER_VIRTUAL) + TICKS_PER_MS;
    mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CVAL, due);
    mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL, ENABLE);
    uint64_t before = due, now;
    while ((now = mv_counter_read(cpu, MV_TIMER_VIRTUAL)) < due) {
        assert_true(before == due || now >= before); /* never back */
        before = now;
    }
    assert_true(line(MV_TIMER_VIRTUAL));
    assert_int_equal(mv_timer_read(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL), ENABLE | ISTATUS);
    assert_true((int32_t)mv_timer_read(cpu, MV_TIMER_VIRTUAL, MV_TIMER_TVAL) <= 0);
}

static void stop_if_up(void *opaque)
{
    if (line(MV_TIMER_PHYSICAL))
        mv_loop_stop(f.loop);
    else
        mv_loop_defer(f.loop, stop_if_up, NULL);
}

/* One that sleeps has it from the loop. */
static void test_loop_raises(void **state)
{
    clock_run(true);
    mv_timer_write(cpu, MV_TIMER_PHYSICAL, MV_TIMER_CTL, ENABLE);
    assert_true(line(MV_TIMER_PHYSICAL));
    mv_timer_write(cpu, MV_TIMER_PHYSICAL, MV_TIMER_CVAL,
                   mv_counter_read(cpu, MV_TIMER_PHYSICAL) + 5 * TICKS_PER_MS);
    mv_loop_defer(f.loop, stop_if_up, NULL);
    mv_loop_run(f.loop);
    assert_true(line(MV_TIMER_PHYSICAL));
    assert_true(mv_counter_read(cpu, MV_TIMER_PHYSICAL) >=
                mv_timer_read(cpu, MV_TIMER_PHYSICAL, MV_TIMER_CVAL));
}

/* While guest time stands still nothing comes due, however long that takes. */
static void test_stopped(void **state)
{
    uint64_t since = mv_now_ns();
    clock_run(true);
    sleep_ms(1);
    clock_run(false);
    uint64_t now = mv_counter_read(cpu, MV_TIMER_VIRTUAL);
    assert_true(now >= TICKS_PER_MS);
    assert_true(now * MV_COUNTER_NS <= mv_now_ns() - since);
    mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CVAL, now + TICKS_PER_MS);
    mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL, ENABLE);
    sleep_ms(5);
    assert_int_equal(mv_counter_read(cpu, MV_TIMER_VIRTUAL), now);
    assert_false(line(MV_TIMER_VIRTUAL));
    assert_false(cpu->timers.timer[MV_TIMER_VIRTUAL].armed);
    clock_run(true);
    assert_true(mv_counter_read(cpu, MV_TIMER_VIRTUAL) >= now);
    assert_true(cpu->timers.timer[MV_TIMER_VIRTUAL].armed || line(MV_TIMER_VIRTUAL));
    while (mv_counter_read(cpu, MV_TIMER_VIRTUAL) < now + TICKS_PER_MS)
        ;
    assert_true(line(MV_TIMER_VIRTUAL));
}

/* Further away than the host's clock reaches is never. */
static void test_far(void **state)
{
    static const uint64_t far[] = {UINT64_MAX, UINT64_MAX / MV_COUNTER_NS, UINT64_C(1) << 59};
    clock_run(true);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CVAL, far[i]);
        mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL, ENABLE);
        mv_counter_read(cpu, MV_TIMER_VIRTUAL);
        assert_false(line(MV_TIMER_VIRTUAL));
        struct itimerspec left;
        assert_int_equal(timerfd_gettime(cpu->timers.timer[MV_TIMER_VIRTUAL].fd, &left), 0);
        assert_int_equal(left.it_value.tv_sec, 0);
    }
}

static void test_reset(void **state)
{
    mv_timer_write(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL, ENABLE);
    assert_true(line(MV_TIMER_VIRTUAL));
    f.engine->ops->vcpu_reset(&cpu->vcpu);
    assert_false(line(MV_TIMER_VIRTUAL));
    assert_int_equal(mv_timer_read(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CTL), 0);
    assert_int_equal(mv_timer_read(cpu, MV_TIMER_VIRTUAL, MV_TIMER_CVAL), 0);
}

static int setup(void **state)
{
    int r = fixture_setup(&f);
    cpu = f.cpu[0];
    return r;
}

static int teardown(void **state)
{
    return fixture_teardown(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_registers), TEST(test_apart), TEST(test_read_raises), TEST(test_loop_raises),
        TEST(test_stopped),   TEST(test_far),   TEST(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
