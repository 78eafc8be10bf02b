/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#include "cleanup.h"
#include "cpu.h"
#include "emulator.h"
#include "loop.h"
#include "os.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#define CTL_MASK (MV_TIMER_CTL_ENABLE | MV_TIMER_CTL_IMASK)
#define CTL_ISTATUS 4u
#define NS_PER_S UINT64_C(1000000000)

void mv_guest_clock_run(struct mv_guest_clock *clock, bool on)
{
    if (on == clock->running)
        return;
    if (on)
        clock->offset = mv_now_ns() - clock->stopped;
    else
        clock->stopped = mv_now_ns() - clock->offset;
    clock->running = on;
}

uint64_t mv_guest_clock_ns(const struct mv_guest_clock *clock)
{
    return clock->running ? mv_now_ns() - clock->offset : clock->stopped;
}

static uint64_t counter_now(const struct mv_cpu *cpu)
{
    return mv_guest_clock_ns(&cpu->emulator->clock) / MV_COUNTER_NS;
}

/* Have the timerfd expire when as many ticks from `counter` on have gone. */
static void arm(struct mv_timer *timer, uint64_t counter, uint64_t ticks)
{
    struct itimerspec when = {0};
    uint64_t ns;
    /* Further away than the host's clock reaches is never. */
    if (!__builtin_mul_overflow(ticks, (uint64_t)MV_COUNTER_NS, &ns) &&
        ns < (UINT64_C(1) << 62)) {
        ns += timer->cpu->emulator->clock.offset + counter * MV_COUNTER_NS;
        when.it_value.tv_sec = (time_t)(ns / NS_PER_S);
        when.it_value.tv_nsec = (long)(ns % NS_PER_S);
    }
    timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool unmasked(const struct mv_timer *timer)
{
    return (timer->reg.ctl & CTL_MASK) == MV_TIMER_CTL_ENABLE;
}

static void update_due(struct mv_timers *timers, uint64_t counter)
{
    uint64_t due = UINT64_MAX, at;
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++) {
        const struct mv_timer *timer = &timers->timer[i];
        uint64_t count = counter - timer->offset;
        uint64_t ticks = timer->reg.cval > count ? timer->reg.cval - count : 0;
        if (unmasked(timer) && !timer->line && !__builtin_add_overflow(counter, ticks, &at) &&
            at < due)
            due = at;
    }
    atomic_store_explicit(&timers->due, due, memory_order_relaxed);
}

/* Bring the PPI and the timerfd in line with the registers; under the lock. */
static void update(struct mv_timer *timer)
{
    struct mv_cpu *cpu = timer->cpu;
    uint64_t counter = counter_now(cpu), count = counter - timer->offset;
    bool line = unmasked(timer) && count >= timer->reg.cval;
    if (unmasked(timer) && !line && cpu->emulator->clock.running) {
        arm(timer, counter, timer->reg.cval - count);
        timer->armed = true;
    } else if (timer->armed) {
        timerfd_settime(timer->fd, 0, &(struct itimerspec){0}, NULL);
        timer->armed = false;
    }
    if (line != timer->line) {
        struct mv_irqchip *chip = cpu->emulator->irqchip;
        timer->line = line;
        chip->ops->set_ppi(chip, cpu->vcpu.index, timer->intid, line);
    }
    update_due(&cpu->timers, counter);
}

void mv_timers_update(struct mv_cpu *cpu)
{
    MV_LOCK_SCOPE(&cpu->timers.lock);
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++)
        update(&cpu->timers.timer[i]);
}

uint64_t mv_counter_read(struct mv_cpu *cpu, enum mv_timer_kind kind)
{
    uint64_t counter = counter_now(cpu);
    if (counter >= atomic_load_explicit(&cpu->timers.due, memory_order_relaxed))
        mv_timers_update(cpu);
    return counter - cpu->timers.timer[kind].offset;
}

static void expired(void *opaque, uint32_t events)
{
    struct mv_timer *timer = opaque;
    uint64_t count;
    MV_LOCK_SCOPE(&timer->cpu->timers.lock);
    if (read(timer->fd, &count, sizeof count) < 0)
        return; /* set anew meanwhile */
    update(timer);
}

int mv_timers_init(struct mv_cpu *cpu, struct mv_error *err)
{
    const struct mv_engine_params *params = &cpu->emulator->params;
    struct mv_timers *timers = &cpu->timers;
    pthread_mutex_init(&timers->lock, NULL);
    timers->timer[MV_TIMER_VIRTUAL].intid = params->virtual_timer_intid;
    timers->timer[MV_TIMER_PHYSICAL].intid = params->physical_timer_intid;
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++)
        timers->timer[i].fd = -1;
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++) {
        struct mv_timer *timer = &timers->timer[i];
        timer->cpu = cpu;
        timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer->fd < 0)
            return mv_error_set_errno(err, errno, "cannot make the timer of vCPU %u",
                                      cpu->vcpu.index);
        int r = mv_loop_add(params->loop, timer->fd, EPOLLIN, expired, timer, &timer->source, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void mv_timers_destroy(struct mv_cpu *cpu)
{
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++) {
        struct mv_timer *timer = &cpu->timers.timer[i];
        mv_loop_remove(timer->source);
        if (timer->fd >= 0)
            close(timer->fd);
    }
    pthread_mutex_destroy(&cpu->timers.lock);
}

void mv_timers_get_state(struct mv_cpu *cpu, struct mv_arm64_state *state)
{
    const struct mv_timer *timer = cpu->timers.timer;
    MV_LOCK_SCOPE(&cpu->timers.lock);
    state->cntvoff = timer[MV_TIMER_VIRTUAL].offset;
    state->virtual_timer = timer[MV_TIMER_VIRTUAL].reg;
    state->physical_timer = timer[MV_TIMER_PHYSICAL].reg;
}

void mv_timers_set_state(struct mv_cpu *cpu, const struct mv_arm64_state *state)
{
    struct mv_timer *timer = cpu->timers.timer;
    MV_LOCK_SCOPE(&cpu->timers.lock);
    timer[MV_TIMER_VIRTUAL].offset = state->cntvoff;
    timer[MV_TIMER_VIRTUAL].reg = state->virtual_timer;
    timer[MV_TIMER_PHYSICAL].reg = state->physical_timer;
    for (unsigned i = 0; i < MV_TIMER_COUNT; i++)
        update(&timer[i]);
}

uint64_t mv_timer_read(struct mv_cpu *cpu, enum mv_timer_kind kind, enum mv_timer_reg reg)
{
    uint64_t counter = mv_counter_read(cpu, kind);
    MV_LOCK_SCOPE(&cpu->timers.lock);
    const struct mv_arm64_timer *timer = &cpu->timers.timer[kind].reg;
    if (reg == MV_TIMER_CVAL)
        return timer->cval;
    if (reg == MV_TIMER_TVAL)
        return (uint32_t)(timer->cval - counter);
    bool met = (timer->ctl & MV_TIMER_CTL_ENABLE) && counter >= timer->cval;
    return timer->ctl | (met ? CTL_ISTATUS : 0);
}

void mv_timer_write(struct mv_cpu *cpu, enum mv_timer_kind kind, enum mv_timer_reg reg,
                    uint64_t value)
{
    if (reg == MV_TIMER_TVAL)
        value = mv_counter_read(cpu, kind) + (uint64_t)(int32_t)value;
    MV_LOCK_SCOPE(&cpu->timers.lock);
    struct mv_timer *timer = &cpu->timers.timer[kind];
    if (reg == MV_TIMER_CTL)
        timer->reg.ctl = value & CTL_MASK;
    else
        timer->reg.cval = value;
    update(timer);
}
