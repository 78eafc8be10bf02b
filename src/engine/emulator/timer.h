/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic timers of a vCPU (Arm ARM D12): a virtual and a physical one at
 * EL1, on a counter of 62.5 MHz that never goes back.  It counts the host's
 * monotonic clock while the machine runs, and stands still while that is paused.
 *
 * Each timer has a timerfd in the machine's loop, whose thread raises the PPI
 * on expiry, since the vCPU may be asleep.  A vCPU that reads from a register
 * that the time has come raises the PPI itself: what it reads and what its
 * interrupt controller says then agree.  Guarded by `lock`: the vCPU's thread
 * sets, the loop's thread expires.
 */
#ifndef MV_EMULATOR_TIMER_H
#define MV_EMULATOR_TIMER_H

#include "arm64.h"
#include "error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;
struct mv_loop_source;

#define MV_COUNTER_HZ 62500000u
#define MV_COUNTER_NS 16 /* a tick */

/* Guest time.  Changed while no vCPU runs, so it needs no lock. */
struct mv_guest_clock {
    bool running;
    uint64_t offset;  /* ns: host's monotonic clock minus guest time, while running */
    uint64_t stopped; /* ns: guest time, while it stands still */
};

void mv_guest_clock_run(struct mv_guest_clock *clock, bool on);
uint64_t mv_guest_clock_ns(const struct mv_guest_clock *clock);

enum mv_timer_kind { MV_TIMER_VIRTUAL, MV_TIMER_PHYSICAL, MV_TIMER_COUNT };
/* CTL reads with ISTATUS; TVAL is what is left until CVAL, 32 bits of it. */
enum mv_timer_reg { MV_TIMER_CTL, MV_TIMER_CVAL, MV_TIMER_TVAL, MV_TIMER_REGS };

struct mv_timer {
    struct mv_cpu *cpu;
    unsigned intid;
    uint64_t offset; /* ticks that it is behind the counter: CNTVOFF_EL2 */
    struct mv_arm64_timer reg;
    bool line;  /* what the PPI was last set to */
    bool armed; /* the timerfd is */
    int fd;
    struct mv_loop_source *source;
};

struct mv_timers {
    pthread_mutex_t lock;
    struct mv_timer timer[MV_TIMER_COUNT];
    _Atomic uint64_t due; /* the counter at which the first of them changes its line, or never */
};

int mv_timers_init(struct mv_cpu *cpu, struct mv_error *err);
void mv_timers_destroy(struct mv_cpu *cpu);
/* Bring lines and timerfds in line with guest time, which was stopped or goes on. */
void mv_timers_update(struct mv_cpu *cpu);

/* While the vCPU does not run. */
void mv_timers_get_state(struct mv_cpu *cpu, struct mv_arm64_state *state);
void mv_timers_set_state(struct mv_cpu *cpu, const struct mv_arm64_state *state);

/* By the vCPU's thread: they bring the lines up to date. */
uint64_t mv_counter_read(struct mv_cpu *cpu, enum mv_timer_kind kind);
uint64_t mv_timer_read(struct mv_cpu *cpu, enum mv_timer_kind kind, enum mv_timer_reg reg);
void mv_timer_write(struct mv_cpu *cpu, enum mv_timer_kind kind, enum mv_timer_reg reg,
                    uint64_t value);

#endif
