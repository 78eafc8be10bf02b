/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine whose vCPUs do what a test queues: each run takes one hypercall
 * from the vCPU's queue, or sleeps, as in WFI, until it is kicked.  What the
 * machine did to a vCPU is counted.  Included by one test program each, which
 * gets the engine as "fake" and alone.
 */
#ifndef MV_TESTS_FAKE_ENGINE_H
#define MV_TESTS_FAKE_ENGINE_H

#include "arm64.h"
#include "cleanup.h"
#include "engine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FAKE_QUEUE   16
#define FAKE_WAIT_S  20
#define FAKE_PSTATE  0x3c5 /* EL1h, DAIF masked */
#define FAKE_RAM     UINT64_C(0x80000000)

struct fake_call {
    uint64_t x[4];
};

struct fake_cpu {
    struct mv_vcpu vcpu;
    struct mv_arm64_state regs;
    bool kicked;
    bool inside;   /* asleep in the guest */
    unsigned entries; /* runs that were the first after a reset */
    bool fresh;
    struct mv_arm64_state entry; /* at the last entry */
    struct fake_call queue[FAKE_QUEUE];
    unsigned queued, taken;
    unsigned returned; /* hypercalls that came back into the guest */
    bool in_call;
    bool step, pass; /* as the debugger has them */
    struct mv_debug_stop stop; /* what it is to stop for, where stop_due */
    bool stop_due;
    const uint8_t *fault; /* what it cannot access the next time, or NULL */
    const uint8_t *faulted;
};

static struct {
    struct mv_engine engine;
    struct mv_engine_params params;
    struct mv_irqchip *irqchip; /* of the board; NULL before that is made */
    struct mv_debug_points points;
    unsigned memory_changes;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_cpu *cpus[MV_VCPU_MAX];
    int probe_result;
    bool clock_runs;
    uint64_t clock_ns; /* guest time, which a test moves */
    unsigned clock_races; /* it was started or stopped while a vCPU was in the guest */
    unsigned alive; /* engines and vCPUs that were not destroyed */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static const struct mv_engine_ops fake_ops;

static int fake_probe(struct mv_error *err)
{
    return fake.probe_result == 0
               ? 0
               : mv_error_set(err, -fake.probe_result, "the fake engine is told to refuse");
}

static int fake_create(const struct mv_engine_params *params, struct mv_engine **ret,
                       struct mv_error *err)
{
    fake.engine.ops = &fake_ops;
    fake.params = *params;
    fake.irqchip = NULL;
    fake.points = (struct mv_debug_points){0};
    fake.clock_runs = false;
    fake.clock_races = 0;
    fake.alive++;
    *ret = &fake.engine;
    return 0;
}

static void fake_destroy(struct mv_engine *engine)
{
    fake.alive--;
}

static void fake_set_irqchip(struct mv_engine *engine, struct mv_irqchip *chip)
{
    fake.irqchip = chip;
}

static void fake_clock_run(struct mv_engine *engine, bool on)
{
    MV_LOCK_SCOPE(&fake.lock);
    for (unsigned i = 0; i < MV_VCPU_MAX; i++)
        fake.clock_races += on != fake.clock_runs && fake.cpus[i] != NULL && fake.cpus[i]->inside;
    fake.clock_runs = on;
}

static uint64_t fake_clock_ns(struct mv_engine *engine)
{
    return fake.clock_ns;
}

static void fake_clock_set(struct mv_engine *engine, uint64_t ns)
{
    fake.clock_races += fake.clock_runs;
    fake.clock_ns = ns;
}

static int fake_vcpu_create(struct mv_engine *engine, unsigned index, struct mv_vcpu **ret,
                            struct mv_error *err)
{
    struct fake_cpu *cpu = calloc(1, sizeof *cpu);
    assert_non_null(cpu);
    cpu->vcpu.ops = &fake_ops;
    cpu->vcpu.index = index;
    fake.cpus[index] = cpu;
    fake.alive++;
    *ret = &cpu->vcpu;
    return 0;
}

static void fake_vcpu_destroy(struct mv_vcpu *vcpu)
{
    MV_LOCK_SCOPE(&fake.lock);
    fake.cpus[vcpu->index] = NULL;
    fake.alive--;
    free(vcpu);
}

static void fake_vcpu_reset(struct mv_vcpu *vcpu)
{
    struct fake_cpu *cpu = (struct fake_cpu *)vcpu;
    MV_LOCK_SCOPE(&fake.lock);
    cpu->regs = (struct mv_arm64_state){
        .x[0] = 0xdead, .pc = 0xdead, .sys = {.sctlr = MV_SCTLR_RES1, .oslsr = MV_OSLSR_OSLM}};
    cpu->fresh = true;
    cpu->in_call = false;
}

static void fake_note_entry(struct fake_cpu *cpu)
{
    if (cpu->in_call)
        cpu->returned++;
    cpu->in_call = false;
    if (cpu->fresh) {
        cpu->entries++;
        cpu->entry = cpu->regs;
    }
    cpu->fresh = false;
    pthread_cond_broadcast(&fake.changed);
}

static enum mv_exit_reason fake_vcpu_run(struct mv_vcpu *vcpu)
{
    struct fake_cpu *cpu = (struct fake_cpu *)vcpu;
    MV_LOCK_SCOPE(&fake.lock);
    fake_note_entry(cpu);
    cpu->inside = true;
    while (!cpu->kicked && !cpu->stop_due && cpu->fault == NULL && cpu->taken == cpu->queued)
        pthread_cond_wait(&fake.changed, &fake.lock);
    cpu->inside = false;
    pthread_cond_broadcast(&fake.changed);
    if (cpu->kicked) {
        cpu->kicked = false;
        return MV_EXIT_KICK;
    }
    if (cpu->stop_due) {
        cpu->stop_due = false;
        return MV_EXIT_DEBUG;
    }
    if (cpu->fault != NULL) {
        cpu->faulted = cpu->fault;
        cpu->fault = NULL;
        return MV_EXIT_FAULT;
    }
    memcpy(cpu->regs.x, cpu->queue[cpu->taken++ % FAKE_QUEUE].x, sizeof(struct fake_call));
    cpu->in_call = true;
    return MV_EXIT_HYPERCALL;
}

static const uint8_t *fake_vcpu_fault(struct mv_vcpu *vcpu)
{
    return ((struct fake_cpu *)vcpu)->faulted;
}

static void fake_vcpu_kick(struct mv_vcpu *vcpu)
{
    struct fake_cpu *cpu = (struct fake_cpu *)vcpu;
    MV_LOCK_SCOPE(&fake.lock);
    cpu->kicked = true;
    pthread_cond_broadcast(&fake.changed);
}

static void fake_vcpu_get_state(struct mv_vcpu *vcpu, void *ret)
{
    MV_LOCK_SCOPE(&fake.lock);
    *(struct mv_arm64_state *)ret = ((struct fake_cpu *)vcpu)->regs;
}

static int fake_vcpu_set_state(struct mv_vcpu *vcpu, const void *state, struct mv_error *err)
{
    struct fake_cpu *cpu = (struct fake_cpu *)vcpu;
    MV_LOCK_SCOPE(&fake.lock);
    int r = mv_arch_check(&mv_arm64, state, &cpu->regs, err);
    if (r == 0)
        cpu->regs = *(const struct mv_arm64_state *)state;
    return r;
}

/* The first megabyte of addresses is mapped to the first bank. */
static bool fake_vcpu_translate(struct mv_vcpu *vcpu, uint64_t va, uint64_t *ret_gpa)
{
    *ret_gpa = va + FAKE_RAM;
    return va < 1 << 20;
}

static void fake_debug_points(struct mv_engine *engine, const struct mv_debug_points *points)
{
    fake.points = *points;
}

static void fake_vcpu_debug(struct mv_vcpu *vcpu, bool step, bool pass)
{
    struct fake_cpu *cpu = (struct fake_cpu *)vcpu;
    cpu->step = step;
    cpu->pass = pass;
}

static void fake_vcpu_debug_stop(struct mv_vcpu *vcpu, struct mv_debug_stop *ret)
{
    *ret = ((struct fake_cpu *)vcpu)->stop;
}

static void fake_memory_changed(struct mv_engine *engine)
{
    fake.memory_changes++;
}

static const struct mv_engine_ops fake_ops = {
    .name = "fake",
    .description = "does what a test says",
    .arch = &mv_arm64,
    .probe = fake_probe,
    .create = fake_create,
    .destroy = fake_destroy,
    .set_irqchip = fake_set_irqchip,
    .clock_run = fake_clock_run,
    .clock_ns = fake_clock_ns,
    .clock_set = fake_clock_set,
    .vcpu_create = fake_vcpu_create,
    .vcpu_destroy = fake_vcpu_destroy,
    .vcpu_reset = fake_vcpu_reset,
    .vcpu_run = fake_vcpu_run,
    .vcpu_fault = fake_vcpu_fault,
    .vcpu_kick = fake_vcpu_kick,
    .vcpu_get_state = fake_vcpu_get_state,
    .vcpu_set_state = fake_vcpu_set_state,
    .vcpu_translate = fake_vcpu_translate,
    .debug_points = fake_debug_points,
    .vcpu_debug = fake_vcpu_debug,
    .vcpu_debug_stop = fake_vcpu_debug_stop,
    .memory_changed = fake_memory_changed,
};

const struct mv_engine_ops *const mv_engines[] = {&fake_ops, NULL};

/* --- for tests */

/* Wait for a change; called with the lock held.  Fails where none comes. */
static void fake_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_S;
    if (pthread_cond_timedwait(&fake.changed, &fake.lock, &until) != 0)
        fail_msg("a vCPU did not do what was expected of it");
}

/* Have a vCPU make a hypercall the next time it runs. */
static inline void fake_queue(unsigned index, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3)
{
    MV_LOCK_SCOPE(&fake.lock);
    struct fake_cpu *cpu = fake.cpus[index];
    assert_true(cpu->queued - cpu->taken < FAKE_QUEUE);
    cpu->queue[cpu->queued++ % FAKE_QUEUE] = (struct fake_call){{x0, x1, x2, x3}};
    pthread_cond_broadcast(&fake.changed);
}

/* Have a vCPU leave for the debugger the next time it runs. */
static inline void fake_stop(unsigned index, struct mv_debug_stop stop)
{
    MV_LOCK_SCOPE(&fake.lock);
    fake.cpus[index]->stop = stop;
    fake.cpus[index]->stop_due = true;
    pthread_cond_broadcast(&fake.changed);
}

/* Have a vCPU meet memory that the host has not got. */
static inline void fake_fault(unsigned index, const uint8_t *address)
{
    MV_LOCK_SCOPE(&fake.lock);
    fake.cpus[index]->fault = address;
    pthread_cond_broadcast(&fake.changed);
}

/* Wait until a vCPU sleeps in the guest, having done all that was queued. */
static inline void fake_await_idle(unsigned index)
{
    MV_LOCK_SCOPE(&fake.lock);
    struct fake_cpu *cpu = fake.cpus[index];
    while (!cpu->inside || cpu->taken != cpu->queued || cpu->kicked)
        fake_wait();
}

static inline unsigned fake_entries(unsigned index)
{
    MV_LOCK_SCOPE(&fake.lock);
    return fake.cpus[index]->entries;
}

static inline bool fake_inside(unsigned index)
{
    MV_LOCK_SCOPE(&fake.lock);
    return fake.cpus[index]->inside;
}

/* Wait until a vCPU was entered for the nth time (from 1) after a reset. */
static inline void fake_await_entry(unsigned index, unsigned n)
{
    MV_LOCK_SCOPE(&fake.lock);
    while (fake.cpus[index]->entries < n)
        fake_wait();
}

/* A hypercall that returns to the guest: its result. */
static inline uint64_t fake_call(unsigned index, uint64_t x0, uint64_t x1, uint64_t x2,
                                 uint64_t x3)
{
    unsigned before;
    {
        MV_LOCK_SCOPE(&fake.lock);
        before = fake.cpus[index]->returned;
    }
    fake_queue(index, x0, x1, x2, x3);
    MV_LOCK_SCOPE(&fake.lock);
    while (fake.cpus[index]->returned == before)
        fake_wait();
    return fake.cpus[index]->regs.x[0];
}

#endif
