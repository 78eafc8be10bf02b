/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic timers of a vCPU (Arm ARM D12): a virtual and a physical one at
 * EL1, on a counter of 62.5 MHz that counts the host's monotonic clock from
 * the VM's start and never goes back.  Each has a timerfd in the machine's
 * loop; on expiry the loop's thread raises the PPI.  Guarded by `lock`: the
 * vCPU's thread sets, the loop's thread expires.
 */
#ifndef MV_EMULATOR_TIMER_H
#define MV_EMULATOR_TIMER_H

#include "error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;
struct mv_loop_source;

#define MV_COUNTER_HZ 62500000u
#define MV_COUNTER_NS 16 /* a tick */

enum mv_timer_kind { MV_TIMER_VIRTUAL, MV_TIMER_PHYSICAL, MV_TIMER_COUNT };

struct mv_timer {
    struct mv_cpu *cpu;
    unsigned intid;
    uint64_t ctl; /* ENABLE, IMASK */
    uint64_t cval;
    bool line;  /* what the PPI was last set to */
    bool armed; /* the timerfd is */
    int fd;
    struct mv_loop_source *source;
};

struct mv_timers {
    pthread_mutex_t lock;
    struct mv_timer timer[MV_TIMER_COUNT];
};

int mv_timers_init(struct mv_cpu *cpu, struct mv_error *err);
void mv_timers_destroy(struct mv_cpu *cpu);
void mv_timers_reset(struct mv_cpu *cpu);

uint64_t mv_counter_read(struct mv_cpu *cpu);
uint64_t mv_timer_ctl(struct mv_cpu *cpu, enum mv_timer_kind kind); /* with ISTATUS */
uint64_t mv_timer_cval(struct mv_cpu *cpu, enum mv_timer_kind kind);
void mv_timer_set_ctl(struct mv_cpu *cpu, enum mv_timer_kind kind, uint64_t value);
void mv_timer_set_cval(struct mv_cpu *cpu, enum mv_timer_kind kind, uint64_t value);

#endif
