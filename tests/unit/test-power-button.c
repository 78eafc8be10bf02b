/* SPDX-License-Identifier: Apache-2.0 */
/* machine/power-button.c: a press lasts, stands still with the machine, and is saved. */
#include "state-limits.h"

#include "fake-irq.h"
#include "guest-timer.h"
#include "loop.h"
#include "machine-state.h"
#include "platform-devices.h"

#include <time.h>

#define LINE 3

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_guest_timers timers;
static struct fake_irq irq;
static struct mv_device *gpio;
static struct mv_power_button *button;

/* Guest time, which the timers stop looking at while the machine stands still. */
static uint64_t guest_ns(void *opaque)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int setup(void **state)
{
    struct mv_irq wire = fake_irq_wire(&irq);
    if (mv_loop_create(&loop, &err) < 0)
        return -1;
    mv_guest_timers_init(&timers, loop, guest_ns, NULL);
    const struct mv_platform platform = {.irqchip = wire.chip};
    const struct mv_platform_row row = {.intid = wire.intid};
    return mv_pl061_type.create(&platform, &row, &gpio, &err) < 0 ||
           mv_power_button_create(&timers, gpio, LINE, &button, &err) < 0;
}

static int teardown(void **state)
{
    mv_power_button_destroy(button);
    mv_device_destroy(gpio);
    mv_guest_timers_clear(&timers);
    mv_loop_destroy(loop);
    return 0;
}

static bool is_down(void)
{
    const struct mv_mmio_region *region = &gpio->region;
    return region->ops->read(region->opaque, 4 << LINE, 4) != 0;
}

static void look(void *opaque)
{
    if (is_down())
        mv_loop_defer(loop, look, NULL);
    else
        mv_loop_stop(loop);
}

/* Comes back once the button is up; for ever where it stays down. */
static void await_release(void)
{
    look(NULL);
    mv_loop_run(loop);
}

static void test_press(void **state)
{
    mv_guest_timers_run(&timers, true);
    mv_power_button_press(button);
    assert_true(is_down());
    await_release();
    /* While the machine stands still it stays down. */
    mv_guest_timers_run(&timers, false);
    mv_power_button_press(button);
    assert_true(is_down());
    mv_guest_timers_run(&timers, true);
    await_release();
}

static void test_state(void **state)
{
    limits_walk(&mv_power_button_state, button);
    uint8_t *up = limits_save(&mv_power_button_state, button);
    mv_power_button_press(button);
    uint8_t *down = limits_save(&mv_power_button_state, button);
    limits_walk(&mv_power_button_state, button);
    mv_power_button_release(button);

    /* Into a machine that stands still, and goes on later; and into one that runs. */
    limits_load(&mv_power_button_state, button, down);
    assert_true(is_down());
    mv_guest_timers_run(&timers, true);
    await_release();
    limits_load(&mv_power_button_state, button, down);
    assert_true(is_down());
    await_release();
    mv_power_button_press(button);
    limits_load(&mv_power_button_state, button, up);
    assert_false(is_down());
    free(up);
    free(down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_press, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
    };
    return cmocka_run_group_tests_name("power-button", tests, NULL, NULL);
}
