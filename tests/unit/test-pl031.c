/* SPDX-License-Identifier: Apache-2.0 */
/* device/pl031.c: the host's time, setting it, the alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "platform-devices.h"
#include "fake-irq.h"
#include "loop.h"

enum { DR = 0, MR = 4, LR = 8, CR = 12, IMSC = 16, RIS = 20, MIS = 24, ICR = 28 };

struct rtc {
    struct mv_loop *loop;
    struct fake_irq irq;
    struct mv_device *device;
    const struct mv_mmio_region *region;
};

static void rtc_open(struct rtc *r)
{
    struct mv_error err;
    assert_int_equal(mv_loop_create(&r->loop, &err), 0);
    struct mv_irq irq = fake_irq_wire(&r->irq);
    const struct mv_platform platform = {.irqchip = irq.chip, .loop = r->loop};
    const struct mv_platform_row row = {.intid = irq.intid};
    assert_int_equal(mv_pl031_type.create(&platform, &row, &r->device, &err), 0);
    r->region = &r->device->region;
}

static void rtc_close(struct rtc *r)
{
    assert_int_equal(r->irq.repeats, 0);
    mv_device_destroy(r->device);
    mv_loop_destroy(r->loop);
}

static uint32_t in(struct rtc *r, unsigned reg)
{
    return (uint32_t)r->region->ops->read(r->region->opaque, reg, 4);
}

static void out(struct rtc *r, unsigned reg, uint32_t value)
{
    r->region->ops->write(r->region->opaque, reg, value, 4);
}

static void assert_near(uint32_t value, uint32_t expected)
{
    assert_in_range(value - expected, 0, 2);
}

static void test_time(void **state)
{
    struct rtc r;
    rtc_open(&r);
    assert_near(in(&r, DR), (uint32_t)time(NULL));
    assert_int_equal(in(&r, CR), 1);
    assert_int_equal(in(&r, RIS), 0);
    out(&r, LR, 1000);
    assert_int_equal(in(&r, LR), 1000);
    assert_near(in(&r, DR), 1000);
    out(&r, LR, 0xffffffff);
    assert_true(in(&r, DR) == 0xffffffff || in(&r, DR) <= 2);
    /* A reset of the board leaves the clock as it was set. */
    out(&r, LR, 5000);
    r.device->ops->reset(r.device);
    assert_near(in(&r, DR), 5000);
    assert_int_equal(in(&r, LR), 0);
    rtc_close(&r);
}

static void test_ids(void **state)
{
    static const uint8_t ids[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    struct rtc r;
    rtc_open(&r);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(in(&r, 0xfe0 + 4 * i), ids[i]);
    assert_int_equal(in(&r, 0xfdc), 0);
    rtc_close(&r);
}

static void test_match_at_once(void **state)
{
    struct rtc r;
    rtc_open(&r);
    out(&r, MR, 777);
    assert_int_equal(in(&r, RIS), 0);
    out(&r, LR, 777); /* the counter reaches the match register by being set */
    assert_int_equal(in(&r, RIS), 1);
    assert_int_equal(in(&r, MIS), 0);
    assert_false(r.irq.level);
    out(&r, IMSC, 1);
    assert_int_equal(in(&r, MIS), 1);
    assert_true(r.irq.level);
    out(&r, ICR, 0);
    assert_true(r.irq.level);
    out(&r, ICR, 1);
    assert_int_equal(in(&r, RIS), 0);
    assert_false(r.irq.level);
    out(&r, LR, 777);
    assert_true(r.irq.level);
    r.device->ops->reset(r.device);
    assert_false(r.irq.level);
    assert_int_equal(in(&r, IMSC), 0);
    rtc_close(&r);
}

static void stop_when_raised(void *opaque)
{
    struct rtc *r = opaque;
    if (r->irq.level)
        mv_loop_stop(r->loop);
    else {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        mv_loop_defer(r->loop, stop_when_raised, r);
    }
}

static void test_alarm(void **state)
{
    struct rtc r;
    rtc_open(&r);
    out(&r, IMSC, 1);
    out(&r, LR, 100);
    out(&r, MR, 101);
    assert_false(r.irq.level);
    stop_when_raised(&r);
    mv_loop_run(r.loop); /* ends when the alarm comes; else the test's timeout does */
    assert_int_equal(in(&r, RIS), 1);
    assert_near(in(&r, DR), 101);
    out(&r, ICR, 1);
    assert_false(r.irq.level);
    rtc_close(&r);
}

/* What the counter says, the status and the line say too, before any timer was served. */
static void test_alarm_is_seen_when_read(void **state)
{
    struct rtc r;
    rtc_open(&r);
    out(&r, IMSC, 1);
    out(&r, MR, in(&r, DR) + 1);
    uint32_t match = in(&r, MR);
    assert_false(r.irq.level);
    while (in(&r, DR) != match)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(r.irq.level);
    assert_int_equal(in(&r, MIS), 1);
    out(&r, ICR, 1);
    assert_false(r.irq.level);
    rtc_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_match_at_once),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_alarm_is_seen_when_read),
    };
    return cmocka_run_group_tests_name("pl031", tests, NULL, NULL);
}
