/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers by guest time: each has a timerfd by the host's clock, which is set
 * while guest time goes on and looks at that again when it expires.
 */
#include "guest-timer.h"

#include "cleanup.h"
#include "loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#define SECOND_NS UINT64_C(1000000000)

struct mv_guest_timer {
    struct mv_guest_timers *timers;
    mv_guest_timer_fn *fn;
    void *opaque;
    uint64_t due; /* guest time, or MV_GUEST_TIMER_UNSET; under the timers' lock */
    int fd;
    struct mv_loop_source *source;
    struct mv_guest_timer *next;
};

void mv_guest_timers_init(struct mv_guest_timers *timers, struct mv_loop *loop,
                          uint64_t (*guest_ns)(void *opaque), void *opaque)
{
    *timers = (struct mv_guest_timers){.loop = loop, .guest_ns = guest_ns, .opaque = opaque};
    pthread_mutex_init(&timers->lock, NULL);
}

void mv_guest_timers_clear(struct mv_guest_timers *timers)
{
    pthread_mutex_destroy(&timers->lock);
}

static uint64_t left_locked(const struct mv_guest_timer *timer)
{
    uint64_t now = timer->timers->guest_ns(timer->timers->opaque);
    return timer->due == MV_GUEST_TIMER_UNSET ? MV_GUEST_TIMER_UNSET
           : timer->due > now                 ? timer->due - now
                                              : 0;
}

/* Setting a timerfd also clears an expiry that nobody has read; 0 would be never. */
static void arm_locked(struct mv_guest_timer *timer)
{
    struct itimerspec when = {0};
    uint64_t left = left_locked(timer);
    if (left != MV_GUEST_TIMER_UNSET && timer->timers->running) {
        when.it_value.tv_sec = (time_t)(left / SECOND_NS);
        when.it_value.tv_nsec = left == 0 ? 1 : (long)(left % SECOND_NS);
    }
    timerfd_settime(timer->fd, 0, &when, NULL);
}

/* Whether it is to fire; the guest may have stopped, or set it anew, since its descriptor did. */
static bool take_expiry(struct mv_guest_timer *timer)
{
    MV_LOCK_SCOPE(&timer->timers->lock);
    bool fires = timer->timers->running && left_locked(timer) == 0;
    if (fires)
        timer->due = MV_GUEST_TIMER_UNSET;
    arm_locked(timer);
    return fires;
}

static void expired(void *opaque, uint32_t events)
{
    struct mv_guest_timer *timer = opaque;
    if (take_expiry(timer))
        timer->fn(timer->opaque);
}

int mv_guest_timer_create(struct mv_guest_timers *timers, mv_guest_timer_fn *fn, void *opaque,
                          struct mv_guest_timer **ret, struct mv_error *err)
{
    struct mv_guest_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return mv_error_set(err, ENOMEM, "no memory for a timer");
    *timer = (struct mv_guest_timer){
        .timers = timers, .fn = fn, .opaque = opaque, .due = MV_GUEST_TIMER_UNSET};
    timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int r = timer->fd < 0 ? mv_error_set_errno(err, errno, "a timer")
                          : mv_loop_add(timers->loop, timer->fd, EPOLLIN, expired, timer,
                                        &timer->source, err);
    if (r < 0) {
        mv_cleanup_close(&timer->fd);
        free(timer);
        return r;
    }
    MV_LOCK_SCOPE(&timers->lock);
    timer->next = timers->first;
    timers->first = timer;
    *ret = timer;
    return 0;
}

static void unlink_timer(struct mv_guest_timer *timer)
{
    MV_LOCK_SCOPE(&timer->timers->lock);
    struct mv_guest_timer **link = &timer->timers->first;
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
}

void mv_guest_timer_destroy(struct mv_guest_timer *timer)
{
    if (timer == NULL)
        return;
    unlink_timer(timer);
    mv_loop_remove(timer->source);
    mv_cleanup_close(&timer->fd);
    free(timer);
}

void mv_guest_timer_set(struct mv_guest_timer *timer, uint64_t ns)
{
    struct mv_guest_timers *timers = timer->timers;
    MV_LOCK_SCOPE(&timers->lock);
    uint64_t now = timers->guest_ns(timers->opaque);
    /* What does not fit is never, too. */
    timer->due = ns < MV_GUEST_TIMER_UNSET - now ? now + ns : MV_GUEST_TIMER_UNSET;
    arm_locked(timer);
}

uint64_t mv_guest_timer_left(struct mv_guest_timer *timer)
{
    MV_LOCK_SCOPE(&timer->timers->lock);
    return left_locked(timer);
}

void mv_guest_timers_run(struct mv_guest_timers *timers, bool on)
{
    MV_LOCK_SCOPE(&timers->lock);
    timers->running = on;
    for (struct mv_guest_timer *timer = timers->first; timer != NULL; timer = timer->next)
        arm_locked(timer);
}
