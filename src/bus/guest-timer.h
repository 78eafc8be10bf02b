/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_guest_timer: a device's timer by guest time, which stands still
 * while the machine does.  It is made and destroyed, and fires, in the main
 * thread; any thread may set and stop it, with the device's lock held: no lock is
 * held when it fires.
 */
#ifndef MV_BUS_GUEST_TIMER_H
#define MV_BUS_GUEST_TIMER_H

#include "error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_guest_timer;
struct mv_loop;

#define MV_GUEST_TIMER_UNSET UINT64_MAX

/* A machine's; the main thread's but for what `lock` guards. */
struct mv_guest_timers {
    struct mv_loop *loop;
    uint64_t (*guest_ns)(void *opaque); /* any thread */
    void *opaque;
    pthread_mutex_t lock;
    bool running;                 /* guest time goes on */
    struct mv_guest_timer *first; /* all there are, in no order */
};

void mv_guest_timers_init(struct mv_guest_timers *timers, struct mv_loop *loop,
                          uint64_t (*guest_ns)(void *opaque), void *opaque);
/* There is no timer any more. */
void mv_guest_timers_clear(struct mv_guest_timers *timers);
/* Guest time goes on from now on, or it stands still. */
void mv_guest_timers_run(struct mv_guest_timers *timers, bool on);

typedef void mv_guest_timer_fn(void *opaque);
int mv_guest_timer_create(struct mv_guest_timers *timers, mv_guest_timer_fn *fn, void *opaque,
                          struct mv_guest_timer **ret, struct mv_error *err);
/* May be NULL. */
void mv_guest_timer_destroy(struct mv_guest_timer *timer);
/* Fire once, `ns` of guest time from now; MV_GUEST_TIMER_UNSET: not at all. */
void mv_guest_timer_set(struct mv_guest_timer *timer, uint64_t ns);
/* What is left until then. */
uint64_t mv_guest_timer_left(struct mv_guest_timer *timer);

#endif
