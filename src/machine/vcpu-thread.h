/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_vcpus: the vCPUs of a machine and their threads, one each.  A
 * vCPU's power is the guest's business (hypercalls); whether any of them may run is
 * the machine's (stop, go).  One mutex guards all of it; it is held neither
 * while guest code runs nor while others are called.
 */
#ifndef MV_MACHINE_VCPU_THREAD_H
#define MV_MACHINE_VCPU_THREAD_H

#include "engine.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_vcpus;
struct mv_state_table;

/* What a guest may ask of the machine as a whole, and a debugger's points. */
enum mv_vcpu_event {
    MV_VCPU_SYSTEM_OFF,
    MV_VCPU_SYSTEM_RESET,
    MV_VCPU_DEBUG, /* for the debugger: mv_vcpus_take_debug_stop tells which */
    MV_VCPU_FAULT, /* `fault` is the address of guest memory that the host has not got */
};

/*
 * Called in a vCPU's thread, which runs no more guest code until it is powered
 * on; after MV_VCPU_DEBUG and MV_VCPU_FAULT, until all are let go again.
 */
typedef void mv_vcpu_event_fn(void *opaque, enum mv_vcpu_event event, const uint8_t *fault);

/*
 * Create `count` vCPUs, all off and stopped; event_fn hears what the guest
 * asks for.  The engine outlives them.
 */
int mv_vcpus_create(struct mv_engine *engine, unsigned count, mv_vcpu_event_fn *event_fn,
                    void *opaque, struct mv_vcpus **ret, struct mv_error *err);
/* Stops and ends all threads, from any state.  Main thread. */
void mv_vcpus_destroy(struct mv_vcpus *vcpus);

/* Start the threads; vCPUs wait until mv_vcpus_go.  Main thread. */
int mv_vcpus_start(struct mv_vcpus *vcpus, struct mv_error *err);
/* Let them run; stop them and return once none does.  Main thread. */
void mv_vcpus_go(struct mv_vcpus *vcpus);
/* Let those of a mask alone run, by index. */
void mv_vcpus_go_only(struct mv_vcpus *vcpus, uint64_t mask);
void mv_vcpus_stop(struct mv_vcpus *vcpus);
/*
 * Keep them from running for a while although they were let go, without waiting for it; guest
 * time goes on.  Any thread: throttle.c's.
 */
void mv_vcpus_hold(struct mv_vcpus *vcpus, bool hold);

/* All off and in their reset state, while they are stopped.  Main thread. */
void mv_vcpus_reset(struct mv_vcpus *vcpus);

/*
 * What a running machine would miss beside each vCPU's own state.  While they
 * are stopped; main thread.  Taking it on is refused where the guest has a vCPU
 * that is not there, and nothing has changed then.
 */
struct mv_vcpus_state {
    uint64_t guest_ns;
    uint8_t power[MV_VCPU_MAX]; /* enum mv_vcpu_power */
    /* Of those that were turned on and have not entered the guest yet. */
    uint64_t entry_pc[MV_VCPU_MAX];
    uint64_t entry_argument[MV_VCPU_MAX];
};
extern const struct mv_state_table mv_vcpus_state_table;
void mv_vcpus_get_state(struct mv_vcpus *vcpus, struct mv_vcpus_state *ret);
int mv_vcpus_set_state(struct mv_vcpus *vcpus, const struct mv_vcpus_state *state,
                       struct mv_error *err);

/* --- any thread */

unsigned mv_vcpus_count(const struct mv_vcpus *vcpus);
/* The engine's handle of one, for its state functions. */
struct mv_vcpu *mv_vcpus_get(const struct mv_vcpus *vcpus, unsigned index);
/*
 * One of those that left for the debugger since they were let go, as all of
 * them are forgotten; false where none has.
 */
bool mv_vcpus_take_debug_stop(struct mv_vcpus *vcpus, unsigned *ret_index);
/* As gettid(2) tells it in the vCPU's thread; 0 before mv_vcpus_start. */
int mv_vcpus_thread_id(struct mv_vcpus *vcpus, unsigned index);
enum mv_vcpu_power mv_vcpus_power(struct mv_vcpus *vcpus, unsigned index);
/*
 * Have a vCPU that is off start at pc with an argument, as the architecture's
 * `enter` says.  Returns the power it had, and does nothing unless that was
 * MV_VCPU_OFF.
 */
enum mv_vcpu_power mv_vcpus_power_on(struct mv_vcpus *vcpus, unsigned index, uint64_t pc,
                                     uint64_t argument);

#endif
