/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU threads.  Each waits on its own condition until it may run, and runs
 * the engine until that returns.  A kick is sent after the wish it stands for
 * was written under the lock, and engines remember kicks, so none is lost
 * between the look at the wishes and the entry into the guest.
 */
#include "vcpu-thread.h"

#include "cleanup.h"
#include "fault.h"
#include "log.h"
#include "state.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mv_vcpu_thread {
    struct mv_vcpus *vcpus;
    struct mv_vcpu *vcpu;
    unsigned index;
    void *state; /* room for the vCPU's, while it enters or makes a hypercall */
    pthread_t thread;
    bool started;
    int thread_id; /* 0: not yet */
    pthread_cond_t wake;
    enum mv_vcpu_power power;
    bool debug_stopped; /* it left for the debugger */
    bool running;       /* between the look at the wishes and the return from the guest */
    uint64_t entry_pc;
    uint64_t entry_argument;
};

struct mv_vcpus {
    struct mv_engine *engine;
    mv_vcpu_event_fn *event_fn;
    void *opaque;
    pthread_mutex_t lock;       /* of what follows, and of power, running and entry_* */
    pthread_cond_t stopped_one; /* or has begun */
    bool go;
    bool held;        /* none runs, whatever `go` says */
    uint64_t allowed; /* those that `go` is for */
    bool quit;
    unsigned count;
    struct mv_vcpu_thread threads[MV_VCPU_MAX];
};

int mv_vcpus_create(struct mv_engine *engine, unsigned count, mv_vcpu_event_fn *event_fn,
                    void *opaque, struct mv_vcpus **ret, struct mv_error *err)
{
    if (count < 1 || count > MV_VCPU_MAX)
        return mv_error_set(err, EINVAL, "%u vCPUs: from 1 to %u are possible", count, MV_VCPU_MAX);
    struct mv_vcpus *vcpus = calloc(1, sizeof *vcpus);
    if (vcpus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the vCPUs");
    vcpus->engine = engine;
    vcpus->event_fn = event_fn;
    vcpus->opaque = opaque;
    pthread_mutex_init(&vcpus->lock, NULL);
    pthread_cond_init(&vcpus->stopped_one, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct mv_vcpu_thread *t = &vcpus->threads[i];
        int r = engine->ops->vcpu_create(engine, i, &t->vcpu, err);
        if (r < 0) {
            mv_vcpus_destroy(vcpus);
            return r;
        }
        t->vcpus = vcpus;
        t->index = i;
        t->power = MV_VCPU_OFF;
        pthread_cond_init(&t->wake, NULL);
        vcpus->count = i + 1;
        t->state = calloc(1, engine->ops->arch->state_size);
        if (t->state == NULL) {
            mv_vcpus_destroy(vcpus);
            return mv_error_set(err, ENOMEM, "no memory for vCPU %u", i);
        }
    }
    *ret = vcpus;
    return 0;
}

/* Tell every thread that a wish has changed; called with the lock held. */
static void nudge_all(struct mv_vcpus *vcpus, bool kick)
{
    for (unsigned i = 0; i < vcpus->count; i++) {
        struct mv_vcpu_thread *t = &vcpus->threads[i];
        pthread_cond_signal(&t->wake);
        if (kick && t->running)
            t->vcpu->ops->vcpu_kick(t->vcpu);
    }
}

void mv_vcpus_destroy(struct mv_vcpus *vcpus)
{
    if (vcpus == NULL)
        return;
    {
        MV_LOCK_SCOPE(&vcpus->lock);
        vcpus->quit = true;
        nudge_all(vcpus, true);
    }
    for (unsigned i = 0; i < vcpus->count; i++) {
        if (vcpus->threads[i].started)
            pthread_join(vcpus->threads[i].thread, NULL);
    }
    for (unsigned i = vcpus->count; i-- > 0;) {
        struct mv_vcpu_thread *t = &vcpus->threads[i];
        t->vcpu->ops->vcpu_destroy(t->vcpu);
        free(t->state);
        pthread_cond_destroy(&t->wake);
    }
    pthread_cond_destroy(&vcpus->stopped_one);
    pthread_mutex_destroy(&vcpus->lock);
    free(vcpus);
}

static bool may_run(const struct mv_vcpu_thread *t)
{
    return t->vcpus->go && !t->vcpus->held && (t->vcpus->allowed >> t->index & 1) &&
           t->power != MV_VCPU_OFF;
}

/* What was got from the engine and changed by the architecture is legal, unless one has a bug. */
static void put_state(struct mv_vcpu_thread *t)
{
    struct mv_error err;
    if (t->vcpu->ops->vcpu_set_state(t->vcpu, t->state, &err) < 0)
        mv_warn("vCPU %u: %s", t->index, err.text);
}

static void enter(struct mv_vcpu_thread *t)
{
    const struct mv_engine_ops *ops = t->vcpu->ops;
    ops->vcpu_reset(t->vcpu);
    ops->vcpu_get_state(t->vcpu, t->state);
    ops->arch->enter(t->state, t->entry_pc, t->entry_argument);
    put_state(t);
    t->power = MV_VCPU_ON;
}

/* Wait until the vCPU may run; false where the thread is to end. */
static bool wait_for_leave(struct mv_vcpu_thread *t)
{
    struct mv_vcpus *vcpus = t->vcpus;
    MV_LOCK_SCOPE(&vcpus->lock);
    if (t->running) {
        t->running = false;
        pthread_cond_signal(&vcpus->stopped_one);
    }
    while (!vcpus->quit && !may_run(t))
        pthread_cond_wait(&t->wake, &vcpus->lock);
    if (vcpus->quit)
        return false;
    if (t->power == MV_VCPU_ON_PENDING)
        enter(t);
    t->running = true;
    return true;
}

/* All others are to stop where they are; the main thread waits for them. */
static void leave_for(struct mv_vcpu_thread *t, enum mv_vcpu_event event, const uint8_t *fault)
{
    struct mv_vcpus *vcpus = t->vcpus;
    {
        MV_LOCK_SCOPE(&vcpus->lock);
        t->debug_stopped = event == MV_VCPU_DEBUG;
        vcpus->go = false;
        nudge_all(vcpus, true);
    }
    vcpus->event_fn(vcpus->opaque, event, fault);
}

static void serve_hypercall(struct mv_vcpu_thread *t)
{
    struct mv_vcpus *vcpus = t->vcpus;
    const struct mv_arch_calls calls = {vcpus, vcpus->count, mv_vcpus_power, mv_vcpus_power_on};
    t->vcpu->ops->vcpu_get_state(t->vcpu, t->state);
    enum mv_arch_end end = t->vcpu->ops->arch->hypercall(t->state, &calls);
    put_state(t);
    if (end == MV_CALL_GOES_ON)
        return;
    {
        MV_LOCK_SCOPE(&vcpus->lock);
        t->power = MV_VCPU_OFF;
    }
    if (end != MV_CALL_CPU_OFF)
        vcpus->event_fn(vcpus->opaque,
                        end == MV_CALL_SYSTEM_OFF ? MV_VCPU_SYSTEM_OFF : MV_VCPU_SYSTEM_RESET,
                        NULL);
}

static void *run_thread(void *opaque)
{
    struct mv_vcpu_thread *t = opaque;
    {
        MV_LOCK_SCOPE(&t->vcpus->lock);
        t->thread_id = (int)gettid();
        pthread_cond_signal(&t->vcpus->stopped_one);
    }
    while (wait_for_leave(t)) {
        switch (t->vcpu->ops->vcpu_run(t->vcpu)) {
        case MV_EXIT_KICK:
            break;
        case MV_EXIT_HYPERCALL:
            serve_hypercall(t);
            break;
        case MV_EXIT_DEBUG:
            leave_for(t, MV_VCPU_DEBUG, NULL);
            break;
        case MV_EXIT_FAULT:
            leave_for(t, MV_VCPU_FAULT, t->vcpu->ops->vcpu_fault(t->vcpu));
            break;
        }
    }
    return NULL;
}

static int start_one(struct mv_vcpu_thread *t)
{
    char name[16];
    int errnum = pthread_create(&t->thread, NULL, run_thread, t);
    if (errnum != 0)
        return -errnum;
    t->started = true;
    snprintf(name, sizeof name, "vcpu%u", t->index);
    pthread_setname_np(t->thread, name);
    MV_LOCK_SCOPE(&t->vcpus->lock);
    while (t->thread_id == 0)
        pthread_cond_wait(&t->vcpus->stopped_one, &t->vcpus->lock);
    return 0;
}

int mv_vcpus_start(struct mv_vcpus *vcpus, struct mv_error *err)
{
    /* Signals are for the main thread; threads inherit the mask. */
    sigset_t all, before;
    int r = 0;
    unsigned i;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (i = 0; i < vcpus->count && r == 0; i++)
        r = start_one(&vcpus->threads[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return mv_error_set_errno(err, -r, "cannot start the thread of vCPU %u", i - 1);
    return 0;
}

void mv_vcpus_go_only(struct mv_vcpus *vcpus, uint64_t mask)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    vcpus->engine->ops->clock_run(vcpus->engine, true);
    vcpus->go = true;
    vcpus->allowed = mask;
    for (unsigned i = 0; i < vcpus->count; i++)
        vcpus->threads[i].debug_stopped = false;
    nudge_all(vcpus, false);
}

void mv_vcpus_go(struct mv_vcpus *vcpus)
{
    mv_vcpus_go_only(vcpus, UINT64_MAX);
}

void mv_vcpus_hold(struct mv_vcpus *vcpus, bool hold)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    vcpus->held = hold;
    nudge_all(vcpus, hold);
}

static bool any_running(const struct mv_vcpus *vcpus)
{
    for (unsigned i = 0; i < vcpus->count; i++) {
        if (vcpus->threads[i].running)
            return true;
    }
    return false;
}

void mv_vcpus_stop(struct mv_vcpus *vcpus)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    vcpus->go = false;
    nudge_all(vcpus, true);
    while (any_running(vcpus))
        pthread_cond_wait(&vcpus->stopped_one, &vcpus->lock);
    vcpus->engine->ops->clock_run(vcpus->engine, false);
}

void mv_vcpus_reset(struct mv_vcpus *vcpus)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    for (unsigned i = 0; i < vcpus->count; i++) {
        struct mv_vcpu_thread *t = &vcpus->threads[i];
        t->power = MV_VCPU_OFF;
        t->vcpu->ops->vcpu_reset(t->vcpu);
    }
}

/* --- their state */

static const struct mv_state_field state_fields[] = {
    MV_STATE_RANGE("guest_ns", struct mv_vcpus_state, guest_ns, MV_STATE_U64, 0, INT64_MAX),
    MV_STATE_RANGE("power", struct mv_vcpus_state, power, MV_STATE_U8, 0, MV_VCPU_ON_PENDING),
    MV_STATE_ANY("entry.pc", struct mv_vcpus_state, entry_pc, MV_STATE_U64),
    MV_STATE_ANY("entry.argument", struct mv_vcpus_state, entry_argument, MV_STATE_U64),
};
const struct mv_state_table mv_vcpus_state_table =
    MV_STATE_TABLE(struct mv_vcpus_state, "vcpus", 1, state_fields);

void mv_vcpus_get_state(struct mv_vcpus *vcpus, struct mv_vcpus_state *ret)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    *ret = (struct mv_vcpus_state){.guest_ns = vcpus->engine->ops->clock_ns(vcpus->engine)};
    memset(ret->power, MV_VCPU_OFF, sizeof ret->power);
    for (unsigned i = 0; i < vcpus->count; i++) {
        const struct mv_vcpu_thread *t = &vcpus->threads[i];
        ret->power[i] = (uint8_t)t->power;
        if (t->power == MV_VCPU_ON_PENDING) {
            ret->entry_pc[i] = t->entry_pc;
            ret->entry_argument[i] = t->entry_argument;
        }
    }
}

int mv_vcpus_set_state(struct mv_vcpus *vcpus, const struct mv_vcpus_state *state,
                       struct mv_error *err)
{
    int r = mv_state_check(&mv_vcpus_state_table, state, "vcpus", err);
    for (unsigned i = vcpus->count; r == 0 && i < MV_VCPU_MAX; i++) {
        if (state->power[i] != MV_VCPU_OFF)
            r = mv_error_set(err, EINVAL, "vcpus/power: vCPU %u is on, and the machine has %u", i,
                             vcpus->count);
    }
    if (r < 0)
        return r;
    MV_LOCK_SCOPE(&vcpus->lock);
    vcpus->engine->ops->clock_set(vcpus->engine, state->guest_ns);
    for (unsigned i = 0; i < vcpus->count; i++) {
        struct mv_vcpu_thread *t = &vcpus->threads[i];
        t->power = (enum mv_vcpu_power)state->power[i];
        t->entry_pc = state->entry_pc[i];
        t->entry_argument = state->entry_argument[i];
    }
    return 0;
}

unsigned mv_vcpus_count(const struct mv_vcpus *vcpus)
{
    return vcpus->count;
}

struct mv_vcpu *mv_vcpus_get(const struct mv_vcpus *vcpus, unsigned index)
{
    return vcpus->threads[index].vcpu;
}

bool mv_vcpus_take_debug_stop(struct mv_vcpus *vcpus, unsigned *ret_index)
{
    bool found = false;
    MV_LOCK_SCOPE(&vcpus->lock);
    for (unsigned i = vcpus->count; i-- > 0;) {
        if (!vcpus->threads[i].debug_stopped)
            continue;
        found = true;
        *ret_index = i;
        vcpus->threads[i].debug_stopped = false;
    }
    return found;
}

int mv_vcpus_thread_id(struct mv_vcpus *vcpus, unsigned index)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    return vcpus->threads[index].thread_id;
}

enum mv_vcpu_power mv_vcpus_power(struct mv_vcpus *vcpus, unsigned index)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    return vcpus->threads[index].power;
}

enum mv_vcpu_power mv_vcpus_power_on(struct mv_vcpus *vcpus, unsigned index, uint64_t pc,
                                     uint64_t argument)
{
    MV_LOCK_SCOPE(&vcpus->lock);
    struct mv_vcpu_thread *t = &vcpus->threads[index];
    enum mv_vcpu_power before = t->power;
    if (before != MV_VCPU_OFF)
        return before;
    t->power = MV_VCPU_ON_PENDING;
    t->entry_pc = pc;
    t->entry_argument = argument;
    /* Where all stand still, a debugger may look at it before it runs. */
    if (!vcpus->go && !t->running)
        enter(t);
    pthread_cond_signal(&t->wake);
    return before;
}
