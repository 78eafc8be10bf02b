/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_emulator: the engine that is built in.  What the vCPUs share; its
 * fields do not change while any of them runs.
 */
#ifndef MV_EMULATOR_EMULATOR_H
#define MV_EMULATOR_EMULATOR_H

#include "engine.h"
#include "irqchip.h"
#include "shootdown.h"
#include "space.h"
#include "timer.h"

#include <stdint.h>

struct mv_cpu;

struct mv_emulator {
    struct mv_engine engine; /* first */
    struct mv_engine_params params;
    struct mv_jit_perf *perf; /* or NULL */
    struct mv_irqchip *irqchip;
    struct mv_irq_sink sink;
    struct mv_space_listener listener;
    struct mv_cpu *cpus[MV_VCPU_MAX];
    unsigned cpu_count;     /* created so far */
    struct mv_mailboxes mailboxes;
    struct mv_debug_points debug_points;
    struct mv_guest_clock clock;
};

extern const struct mv_engine_ops mv_emulator_ops;
extern const struct mv_engine_cache mv_emulator_caches[]; /* sysreg-id.c */

/* SEV: an event for every vCPU. */
void mv_emulator_send_event(struct mv_emulator *emulator);

#endif
