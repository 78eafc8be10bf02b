/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debugging a vCPU: the guest's own breakpoints, watchpoints and software step
 * (Arm ARM D2), and the same for a debugger outside the guest.
 *
 * Nothing of it costs a guest that does not debug.  Code with a breakpoint in
 * its page, and all code while stepping, runs one instruction at a time: its
 * page is not entered into the TLB, so every way to it leads through the run
 * loop.  Pages with a watchpoint are in the TLB as slow ones.
 *
 * A vCPU's debug state belongs to its thread; an outer debugger changes it only
 * while no vCPU runs.
 */
#ifndef MV_EMULATOR_DEBUG_H
#define MV_EMULATOR_DEBUG_H

#include "engine.h"
#include "op.h"
#include "softmmu.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;

struct mv_debug {
    /* What follows from the registers and from the outer debugger's wishes. */
    struct mv_softmmu_watch watch;
    bool on;              /* the run loop has to look at each stretch */
    uint8_t breakpoints;  /* masks of those that are enabled */
    uint8_t watchpoints;
    bool any_page;        /* a breakpoint by context only: may be anywhere */

    /* The outer debugger's. */
    bool host_step;
    bool pass;            /* the point that stopped it, for the one instruction at stop_pc */
    struct mv_debug_stop stop;
    uint64_t stop_pc;

    /* The instruction that was stepped last, for the syndrome of the step. */
    bool stepped;
    bool stepped_exclusive;

    /* One instruction, and what ends after it. */
    struct mv_op single[2];
};

/* The registers or the outer debugger's points have changed. */
void mv_debug_update(struct mv_cpu *cpu);

/* For the run loop, where debug.on: run a stretch from cpu->pc. */
void mv_debug_run(struct mv_cpu *cpu);

/* An exception was taken or a handler unwound: whatever was stepped is over. */
void mv_debug_end_step(struct mv_cpu *cpu);
/* The instruction that was stepped has not been done. */
void mv_debug_forget_step(struct mv_cpu *cpu);

/* Whether the page of a PC is to stay out of the instruction TLB. */
bool mv_debug_in_page(const struct mv_cpu *cpu, uint64_t pc);
/* At the outer debugger's watchpoint, which the softmmu has met (MV_MMU_FAULT_STOP). */
void mv_debug_stop_at(struct mv_cpu *cpu, uint64_t pc);

/* PSTATE.SS after an ERET with this SPSR (DebugExceptionReturnSS). */
bool mv_debug_step_on_return(const struct mv_cpu *cpu, uint64_t spsr);

#endif
