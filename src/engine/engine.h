/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine knows of the engine that runs its vCPUs.  The machine owns
 * the threads: each vCPU's functions are called by that vCPU's thread, except
 * mv_vcpu_kick (any thread) and the state functions (any thread while the
 * vCPU does not run).
 */
#ifndef MV_ENGINE_ENGINE_H
#define MV_ENGINE_ENGINE_H

#include "error.h"
#include "irqchip.h"

#include <stdbool.h>
#include <stdint.h>

#define MV_VCPU_MAX 64

struct mv_space;
struct mv_engine;
struct mv_vcpu;
struct mv_loop;

struct mv_engine_params {
    struct mv_space *space;
    struct mv_irqchip *irqchip;
    struct mv_loop *loop; /* where the engine's timers may expire */
    unsigned cpus;        /* 1..MV_VCPU_MAX */
    /* INTIDs of the generic timer's interrupts */
    unsigned virtual_timer_intid;
    unsigned physical_timer_intid;
};

enum mv_exit_reason {
    MV_EXIT_KICK,      /* mv_vcpu_kick was called */
    MV_EXIT_HYPERCALL, /* HVC #0 at EL1: arguments in x0-x7 */
};

/* General registers and PC of a vCPU, as a boot loader or PSCI sets them. */
struct mv_vcpu_regs {
    uint64_t x[31];
    uint64_t sp_el1;
    uint64_t pc;
    uint32_t pstate; /* SPSR_EL1's format */
};

struct mv_engine_ops {
    const char *name; /* "emulator" */
    const char *description;
    /* 0 where it can run here, else a negative errno and why not. */
    int (*probe)(struct mv_error *err);
    int (*create)(const struct mv_engine_params *params, struct mv_engine **ret,
                  struct mv_error *err);
    void (*destroy)(struct mv_engine *engine);
    int (*vcpu_create)(struct mv_engine *engine, unsigned index, struct mv_vcpu **ret,
                       struct mv_error *err);
    void (*vcpu_destroy)(struct mv_vcpu *vcpu);
    /* All registers to their architectural or chosen reset values. */
    void (*vcpu_reset)(struct mv_vcpu *vcpu);
    /* Run until there is something for the machine to do. */
    enum mv_exit_reason (*vcpu_run)(struct mv_vcpu *vcpu);
    /* Make vcpu_run return MV_EXIT_KICK soon, also where it is not running. */
    void (*vcpu_kick)(struct mv_vcpu *vcpu);
    void (*vcpu_get_regs)(struct mv_vcpu *vcpu, struct mv_vcpu_regs *ret);
    void (*vcpu_set_regs)(struct mv_vcpu *vcpu, const struct mv_vcpu_regs *regs);
    uint64_t (*vcpu_mpidr)(struct mv_vcpu *vcpu);
};

struct mv_engine {
    const struct mv_engine_ops *ops;
};

struct mv_vcpu {
    const struct mv_engine_ops *ops;
    unsigned index;
};

/* Every engine that is built in, NULL-terminated. */
extern const struct mv_engine_ops *const mv_engines[];

#endif
