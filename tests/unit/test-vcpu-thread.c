/* SPDX-License-Identifier: Apache-2.0 */
/* machine/vcpu-thread.c: threads, power and hypercalls, on the fake engine. */
#include "fake-engine.h"
#include "state.h"
#include "throttle.h"
#include "vcpu-thread.h"

#include <sched.h>

#define CPUS       4
#define CPU_OFF    0x84000002
#define CPU_ON     0xc4000003
#define SYSTEM_OFF 0x84000008
#define VERSION    0x84000000

static struct mv_engine *engine;
static struct mv_vcpus *vcpus;
static struct mv_error err;

/* What vCPUs said of themselves. */
static struct {
    unsigned count;
    enum mv_vcpu_event last;
    const uint8_t *fault;
} said;

static void on_event(void *opaque, enum mv_vcpu_event event, const uint8_t *fault)
{
    MV_LOCK_SCOPE(&fake.lock);
    said.count++;
    said.last = event;
    said.fault = fault;
    pthread_cond_broadcast(&fake.changed);
}

static void await_event(enum mv_vcpu_event event)
{
    MV_LOCK_SCOPE(&fake.lock);
    while (said.count == 0)
        fake_wait();
    assert_int_equal(said.last, event);
    said.count = 0;
}

static int setup(void **state)
{
    struct mv_engine_params params = {.cpus = CPUS};
    said.count = 0;
    fake.probe_result = 0;
    if (mv_engines[0]->create(&params, &engine, &err) < 0 ||
        mv_vcpus_create(engine, CPUS, on_event, NULL, &vcpus, &err) < 0)
        return -1;
    return mv_vcpus_start(vcpus, &err);
}

static int teardown(void **state)
{
    mv_vcpus_destroy(vcpus);
    engine->ops->destroy(engine);
    return fake.alive == 0 ? 0 : -1;
}

static void test_how_many(void **state)
{
    struct mv_vcpus *none;
    assert_int_equal(mv_vcpus_create(engine, 0, on_event, NULL, &none, &err), -EINVAL);
    assert_int_equal(mv_vcpus_create(engine, MV_VCPU_MAX + 1, on_event, NULL, &none, &err),
                     -EINVAL);
    assert_string_equal(err.text, "65 vCPUs: from 1 to 64 are possible");
    assert_int_equal(mv_vcpus_count(vcpus), CPUS);
    for (unsigned i = 0; i < CPUS; i++) {
        assert_true(mv_vcpus_thread_id(vcpus, i) > 0);
        assert_int_equal(mv_vcpus_power(vcpus, i), MV_VCPU_OFF);
        assert_int_equal(mv_vcpus_get(vcpus, i)->index, i);
    }
}

/* What is on runs between go and stop, and what is off does not. */
static void test_go_and_stop(void **state)
{
    assert_int_equal(mv_vcpus_power_on(vcpus, 2, 0x1000, 77), MV_VCPU_OFF);
    /* All stand: it is entered at once, so that a debugger sees where. */
    assert_int_equal(mv_vcpus_power(vcpus, 2), MV_VCPU_ON);
    assert_int_equal(fake.cpus[2]->regs.pc, 0x1000);
    assert_int_equal(mv_vcpus_power_on(vcpus, 2, 0x2000, 0), MV_VCPU_ON);
    assert_false(fake.clock_runs);
    for (unsigned round = 0; round < 200; round++) {
        mv_vcpus_go(vcpus);
        assert_true(fake.clock_runs);
        if (round % 2)
            fake_await_idle(2);
        mv_vcpus_stop(vcpus);
        assert_false(fake_inside(2));
        assert_false(fake.clock_runs);
    }
    assert_int_equal(fake.clock_races, 0);
    assert_int_equal(fake_entries(2), 1);
    assert_int_equal(fake.cpus[2]->entry.x[0], 77);
    assert_int_equal(fake_entries(0) + fake_entries(1) + fake_entries(3), 0);
}

static void test_go_only(void **state)
{
    for (unsigned i = 0; i < CPUS; i++)
        mv_vcpus_power_on(vcpus, i, 0x1000, i);
    mv_vcpus_go_only(vcpus, 1u << 1 | 1u << 3);
    fake_await_idle(1);
    fake_await_idle(3);
    assert_int_equal(fake_entries(0) + fake_entries(2), 0);
    mv_vcpus_stop(vcpus);
    mv_vcpus_go(vcpus);
    for (unsigned i = 0; i < CPUS; i++)
        fake_await_idle(i);
}

static void await_outside(unsigned index)
{
    MV_LOCK_SCOPE(&fake.lock);
    while (fake.cpus[index]->inside)
        fake_wait();
}

/* Held, none runs, and what is asked of them meanwhile counts when they do again. */
static void test_hold(void **state)
{
    mv_vcpus_power_on(vcpus, 1, 0x1000, 0);
    mv_vcpus_go(vcpus);
    fake_await_idle(1);
    mv_vcpus_hold(vcpus, true);
    await_outside(1);
    assert_true(fake.clock_runs);
    mv_vcpus_power_on(vcpus, 0, 0x1000, 0);
    mv_vcpus_stop(vcpus);
    mv_vcpus_go(vcpus);
    assert_false(fake_inside(0) || fake_inside(1));
    mv_vcpus_hold(vcpus, false);
    fake_await_idle(0);
    fake_await_idle(1);
}

static void test_throttle(void **state)
{
    struct mv_throttle *throttle;
    mv_vcpus_power_on(vcpus, 1, 0x1000, 0);
    mv_vcpus_go(vcpus);
    fake_await_idle(1);
    assert_int_equal(mv_throttle_create(vcpus, &throttle, &err), 0);
    mv_throttle_set(throttle, 90);
    for (unsigned turn = 0; turn < 3; turn++) {
        await_outside(1);
        fake_await_idle(1);
    }
    mv_throttle_set(throttle, 99);
    await_outside(1);
    mv_throttle_destroy(throttle);
    fake_await_idle(1);
    mv_throttle_destroy(NULL);
}

static void test_hypercalls(void **state)
{
    mv_vcpus_power_on(vcpus, 0, 0x1000, 0);
    mv_vcpus_go(vcpus);
    assert_int_equal(fake_call(0, VERSION, 5, 6, 7), 0x10001);
    assert_int_equal(fake.cpus[0]->regs.x[3], 7);
    /* Behind it stands an exception return (Arm ARM, AArch64.ExceptionReturn). */
    assert_true(fake.cpus[0]->regs.event);
    assert_int_equal(fake_call(0, CPU_ON, 3, 0x4000, 9), 0);
    fake_await_entry(3, 1);
    assert_int_equal(fake.cpus[3]->entry.pc, 0x4000);
    fake_queue(3, CPU_OFF, 0, 0, 0);
    while (mv_vcpus_power(vcpus, 3) != MV_VCPU_OFF)
        sched_yield();
    fake_queue(0, SYSTEM_OFF, 0, 0, 0);
    await_event(MV_VCPU_SYSTEM_OFF);
    assert_int_equal(mv_vcpus_power(vcpus, 0), MV_VCPU_OFF);
    assert_false(fake_inside(0));
}

/* One leaves for the debugger or for memory, and all stand. */
static void test_leaving(void **state)
{
    static const uint8_t byte;
    unsigned index;
    mv_vcpus_power_on(vcpus, 0, 0x1000, 0);
    mv_vcpus_power_on(vcpus, 1, 0x1000, 0);
    mv_vcpus_go(vcpus);
    fake_await_idle(0);
    assert_false(mv_vcpus_take_debug_stop(vcpus, &index));
    fake_stop(1, (struct mv_debug_stop){MV_DEBUG_BREAKPOINT, 0x1000, 0});
    await_event(MV_VCPU_DEBUG);
    mv_vcpus_stop(vcpus);
    assert_false(fake_inside(0) || fake_inside(1));
    assert_true(mv_vcpus_take_debug_stop(vcpus, &index));
    assert_int_equal(index, 1);
    assert_false(mv_vcpus_take_debug_stop(vcpus, &index));
    mv_vcpus_go(vcpus);
    fake_await_idle(1);
    fake_fault(0, &byte);
    await_event(MV_VCPU_FAULT);
    assert_ptr_equal(said.fault, &byte);
    mv_vcpus_stop(vcpus);
    assert_false(fake_inside(0) || fake_inside(1));
}

static void test_reset(void **state)
{
    mv_vcpus_power_on(vcpus, 0, 0x1000, 1);
    mv_vcpus_go(vcpus);
    fake_await_idle(0);
    mv_vcpus_stop(vcpus);
    mv_vcpus_reset(vcpus);
    assert_int_equal(mv_vcpus_power(vcpus, 0), MV_VCPU_OFF);
    assert_int_equal(fake.cpus[0]->regs.pc, 0xdead);
    mv_vcpus_go(vcpus);
    mv_vcpus_power_on(vcpus, 0, 0x3000, 2);
    fake_await_entry(0, 2);
    assert_int_equal(fake.cpus[0]->entry.pc, 0x3000);
}

/* --- state */

/* One that was turned on, and stopped before it entered the guest, enters it elsewhere. */
static void test_pending_entry(void **state)
{
    struct mv_vcpus_state kept, again;
    mv_vcpus_power_on(vcpus, 0, 0x1000, 0);
    mv_vcpus_go_only(vcpus, 1);
    assert_int_equal(fake_call(0, CPU_ON, 2, 0x5000, 55), 0);
    mv_vcpus_stop(vcpus);
    fake.clock_ns = 1234;
    mv_vcpus_get_state(vcpus, &kept);
    assert_int_equal(kept.power[0], MV_VCPU_ON);
    assert_int_equal(kept.power[1], MV_VCPU_OFF);
    assert_int_equal(kept.power[2], MV_VCPU_ON_PENDING);
    assert_int_equal(kept.guest_ns, 1234);
    assert_int_equal(mv_state_check(&mv_vcpus_state_table, &kept, "vcpus", &err), 0);

    mv_vcpus_reset(vcpus);
    fake.clock_ns = 0;
    assert_int_equal(mv_vcpus_set_state(vcpus, &kept, &err), 0);
    assert_int_equal(fake.clock_ns, 1234);
    assert_int_equal(fake.clock_races, 0);
    mv_vcpus_get_state(vcpus, &again);
    assert_memory_equal(&again, &kept, sizeof kept);
    mv_vcpus_go(vcpus);
    fake_await_entry(2, 1);
    assert_int_equal(fake.cpus[2]->entry.pc, 0x5000);
    assert_int_equal(fake.cpus[2]->entry.x[0], 55);
}

static void test_state_is_refused(void **state)
{
    struct mv_vcpus_state before, bad, after;
    mv_vcpus_get_state(vcpus, &before);
    bad = before;
    bad.guest_ns = 5;
    bad.power[CPUS] = MV_VCPU_ON;
    assert_int_equal(mv_vcpus_set_state(vcpus, &bad, &err), -EINVAL);
    assert_string_equal(err.text, "vcpus/power: vCPU 4 is on, and the machine has 4");
    bad.power[CPUS] = MV_VCPU_OFF;
    bad.power[0] = 3;
    assert_int_equal(mv_vcpus_set_state(vcpus, &bad, &err), -EINVAL);
    assert_non_null(strstr(err.text, "vcpus/power"));
    mv_vcpus_get_state(vcpus, &after);
    assert_memory_equal(&after, &before, sizeof before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_how_many),      TEST(test_go_and_stop),      TEST(test_go_only), TEST(test_hold),
        TEST(test_throttle),      TEST(test_hypercalls),       TEST(test_leaving), TEST(test_reset),
        TEST(test_pending_entry), TEST(test_state_is_refused),
    };
    return cmocka_run_group_tests_name("vcpu-thread", tests, NULL, NULL);
}
