/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pl031: the PL031 real-time clock (Arm DDI 0224).
 *
 * Owns the registers and a timerfd under the device's lock.  Callers: vCPU threads
 * by the MMIO region; the loop's thread when the alarm expires, and to create and
 * destroy.  The counter is the host's CLOCK_REALTIME in seconds plus what the
 * guest moved it by; it starts with the board, so CR reads as enabled, and
 * enabled it cannot be stopped (3.3.4).
 */
#include "platform-devices.h"

#include "cleanup.h"
#include "fdt-writer.h"
#include "loop.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

enum reg {
    REG_DR = 0x00,
    REG_MR = 0x04,
    REG_LR = 0x08,
    REG_CR = 0x0c,
    REG_IMSC = 0x10,
    REG_RIS = 0x14,
    REG_MIS = 0x18,
    REG_ICR = 0x1c,
    REG_ID = 0xfe0,
};

#define NEVER UINT64_MAX
/* Host seconds that no clock comes to: what a timerfd takes is below it. */
#define ALARM_END (UINT64_C(1) << 40)

struct mv_pl031 {
    struct mv_device device;
    struct mv_irq irq;
    struct mv_loop_source *source;
    int timer_fd;
    uint64_t alarm;  /* host seconds at which the counter reaches mr, or NEVER */
    uint32_t offset; /* counter minus host seconds */
    uint32_t mr;
    uint32_t lr;
    uint8_t imsc;
    uint8_t ris;
};

static uint64_t host_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec;
}

static uint32_t counter(const struct mv_pl031 *rtc)
{
    return (uint32_t)host_seconds() + rtc->offset;
}

static void update_irq(struct mv_pl031 *rtc)
{
    mv_irq_set(&rtc->irq, (rtc->ris & rtc->imsc) != 0);
}

/* Wait for host time `alarm`, and hear of the host's clock being set. */
static void arm(struct mv_pl031 *rtc)
{
    struct itimerspec when = {.it_value.tv_sec = (time_t)rtc->alarm};
    timerfd_settime(rtc->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static void disarm(struct mv_pl031 *rtc)
{
    rtc->alarm = NEVER;
    timerfd_settime(rtc->timer_fd, 0, &(struct itimerspec){0}, NULL);
}

static void match(struct mv_pl031 *rtc)
{
    disarm(rtc);
    rtc->ris = 1;
}

/* The counter or the match register moved: an equal pair matches at once. */
static void start_match(struct mv_pl031 *rtc)
{
    uint64_t now = host_seconds();
    uint32_t wait = rtc->mr - ((uint32_t)now + rtc->offset);
    if (wait == 0) {
        match(rtc);
    } else {
        rtc->alarm = now + wait;
        arm(rtc);
    }
}

/* What the guest reads holds now, and not only once the loop's thread has seen the timer. */
static void catch_up(struct mv_pl031 *rtc)
{
    if (host_seconds() < rtc->alarm)
        return;
    match(rtc);
    update_irq(rtc);
}

static void on_timer(void *opaque, uint32_t events)
{
    struct mv_pl031 *rtc = opaque;
    MV_LOCK_SCOPE(&rtc->device.lock);
    uint64_t expirations;
    /* EAGAIN: a register write moved the alarm after it had expired. */
    if (read(rtc->timer_fd, &expirations, sizeof expirations) < 0 && errno != ECANCELED)
        return;
    if (host_seconds() < rtc->alarm && rtc->alarm != NEVER)
        arm(rtc);
    else
        catch_up(rtc);
}

static uint32_t read_id(uint64_t offset)
{
    /* PeriphID 0-3 (part 0x031, designer 0x41, revision 1), then PCellID 0-3 (3.3.9, 3.3.10). */
    static const uint8_t ids[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    return offset % 4 == 0 ? ids[(offset - REG_ID) / 4] : 0;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_pl031 *rtc = opaque;
    MV_LOCK_SCOPE(&rtc->device.lock);
    catch_up(rtc);
    switch (offset) {
    case REG_DR:
        return counter(rtc);
    case REG_MR:
        return rtc->mr;
    case REG_LR:
        return rtc->lr;
    case REG_CR:
        return 1;
    case REG_IMSC:
        return rtc->imsc;
    case REG_RIS:
        return rtc->ris;
    case REG_MIS:
        return rtc->ris & rtc->imsc;
    default:
        return offset >= REG_ID ? read_id(offset) : 0;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_pl031 *rtc = opaque;
    MV_LOCK_SCOPE(&rtc->device.lock);
    switch (offset) {
    case REG_MR:
        rtc->mr = (uint32_t)value;
        start_match(rtc);
        break;
    case REG_LR:
        rtc->lr = (uint32_t)value;
        rtc->offset = rtc->lr - (uint32_t)host_seconds();
        start_match(rtc);
        break;
    case REG_IMSC:
        rtc->imsc = value & 1;
        break;
    case REG_ICR:
        rtc->ris &= ~(uint8_t)value;
        break;
    default:
        break;
    }
    update_irq(rtc);
}

static const struct mv_mmio_ops mmio_ops = {
    .read = mmio_read, .peek = mmio_read, .write = mmio_write, .min_access = 1, .max_access = 4};

static void reset(struct mv_device *device)
{
    struct mv_pl031 *rtc = (struct mv_pl031 *)device;
    MV_LOCK_SCOPE(&rtc->device.lock);
    /* A battery holds the clock: what the guest set it to stays. */
    rtc->mr = rtc->lr = 0;
    rtc->imsc = rtc->ris = 0;
    disarm(rtc);
    update_irq(rtc);
}

static void destroy(struct mv_device *device)
{
    struct mv_pl031 *rtc = (struct mv_pl031 *)device;
    mv_loop_remove(rtc->source);
    mv_cleanup_close(&rtc->timer_fd);
}

static const struct mv_state_field state_fields[] = {
    MV_STATE_ANY("offset", struct mv_pl031, offset, MV_STATE_U32),
    MV_STATE_ANY("mr", struct mv_pl031, mr, MV_STATE_U32),
    MV_STATE_ANY("lr", struct mv_pl031, lr, MV_STATE_U32),
    MV_STATE_ANY("alarm", struct mv_pl031, alarm, MV_STATE_U64),
    MV_STATE_BITS("imsc", struct mv_pl031, imsc, MV_STATE_U8, 1),
    MV_STATE_BITS("ris", struct mv_pl031, ris, MV_STATE_U8, 1),
};

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_pl031 *rtc = object;
    bool legal = rtc->alarm < ALARM_END && (uint32_t)rtc->alarm + rtc->offset == rtc->mr;
    return legal || rtc->alarm == NEVER
               ? 0
               : mv_state_refuse(err, "alarm",
                                 "at %" PRIu64 " s the counter is not at mr, which is %" PRIu32,
                                 rtc->alarm, rtc->mr);
}

/* An alarm that the host's clock has passed meanwhile matches now. */
static void state_loaded(void *object)
{
    struct mv_pl031 *rtc = object;
    MV_LOCK_SCOPE(&rtc->device.lock);
    if (rtc->alarm == NEVER)
        disarm(rtc);
    else
        arm(rtc);
    catch_up(rtc);
    update_irq(rtc);
    mv_irq_renew(&rtc->irq);
}

static const struct mv_state_table state_table = MV_STATE_TABLE(
    struct mv_pl031, "pl031", 1, state_fields, .mutex = offsetof(struct mv_pl031, device.lock),
    .check = check_state, .loaded = state_loaded);

static const struct mv_device_ops device_ops = {"pl031", &state_table, reset, destroy};

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    struct mv_pl031 *rtc = mv_device_alloc(sizeof *rtc, &device_ops, "pl031", &mmio_ops, err);
    if (rtc == NULL)
        return -ENOMEM;
    rtc->irq = mv_platform_irq(platform, row);
    rtc->alarm = NEVER;
    rtc->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = rtc->timer_fd < 0 ? mv_error_set_errno(err, errno, "timer")
                              : mv_loop_add(platform->loop, rtc->timer_fd, EPOLLIN, on_timer, rtc,
                                            &rtc->source, err);
    if (r < 0) {
        mv_error_prefix(err, "real-time clock");
        mv_device_destroy(&rtc->device);
        return r;
    }
    *ret = &rtc->device;
    return 0;
}

static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    mv_primecell_describe(fdt, row);
    MV_FDT_STRINGS(fdt, "compatible", "arm,pl031\0arm,primecell");
}

const struct mv_platform_type mv_pl031_type = {"rtc", 0, create, MV_PRIMECELL_SIZE,
                                               .describe = describe};
