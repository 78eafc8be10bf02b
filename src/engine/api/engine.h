/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine knows of the engine that runs its vCPUs.  The machine owns
 * the threads: each vCPU's functions are called by that vCPU's thread, except
 * vcpu_kick (any thread) and the state functions (any thread while the vCPU does
 * not run).
 */
#ifndef MV_ENGINE_ENGINE_H
#define MV_ENGINE_ENGINE_H

#include "arch.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define MV_VCPU_MAX 64

struct mv_space;
struct mv_engine;
struct mv_irqchip;
struct mv_vcpu;
struct mv_loop;

struct mv_engine_params {
    struct mv_space *space;
    struct mv_loop *loop; /* where the engine's timers may expire */
    unsigned cpus;        /* 1..MV_VCPU_MAX */
    /* The timers' private interrupts, as the chip numbers them. */
    unsigned virtual_timer_intid;
    unsigned physical_timer_intid;
    /* Translate hot code; in up to so many bytes, 0: as many as the engine likes. */
    bool jit;
    uint64_t jit_cache;
    unsigned jit_after; /* it is hot when it has run so often; the same */
    bool jit_check;     /* what is translated runs beside the interpreter */
    const char *perf;   /* tell perf(1) of it by "map" or "jitdump", or NULL */
};

enum mv_exit_reason {
    MV_EXIT_KICK,      /* vcpu_kick was called */
    MV_EXIT_HYPERCALL, /* the guest called its firmware: the architecture's `hypercall` */
    MV_EXIT_DEBUG,     /* what debug_points and vcpu_debug asked for: vcpu_debug_stop */
    MV_EXIT_FAULT,     /* guest memory that the host has not got (fault.h): vcpu_fault */
};

/* Of a watchpoint. */
enum { MV_DEBUG_READ = 1, MV_DEBUG_WRITE = 2 };

struct mv_debug_watch {
    uint64_t address; /* virtual */
    uint64_t size;    /* bytes, not 0 */
    unsigned kinds;   /* MV_DEBUG_* */
};

/* Where a debugger outside the guest wants vCPUs to stop. */
struct mv_debug_points {
    const uint64_t *breaks; /* virtual addresses of instructions */
    unsigned break_count;
    const struct mv_debug_watch *watches;
    unsigned watch_count;
};

enum mv_debug_reason { MV_DEBUG_BREAKPOINT, MV_DEBUG_WATCHPOINT, MV_DEBUG_STEP };

/* Why a vCPU left with MV_EXIT_DEBUG.  The instruction at its PC has not been done. */
struct mv_debug_stop {
    enum mv_debug_reason reason;
    uint64_t address; /* the point's */
    unsigned kinds;   /* a watchpoint's */
};

/* A cache that the guest is told of: its CPU's registers and the device tree say the same. */
struct mv_engine_cache {
    unsigned level; /* from 1; 0 ends a list */
    enum mv_cache_kind { MV_CACHE_DATA, MV_CACHE_INSTRUCTION, MV_CACHE_UNIFIED } kind;
    uint32_t line; /* bytes */
    uint32_t sets;
    uint32_t ways;
};

/* What has become of code that was hot, since the start where it is not said otherwise. */
struct mv_engine_jit {
    uint64_t size, used;  /* bytes for translated code; taken now */
    uint64_t units;       /* that were made */
    uint64_t refused;     /* ops from which none could be made */
    uint64_t evictions;   /* how often all of a vCPU's went, for lack of room */
    uint64_t strays;      /* accesses of which it was found that their pages are any */
    uint64_t entries;     /* from the interpreter */
    uint64_t interpreted; /* ways out of these: to an instruction that the unit could not do, */
    uint64_t elsewhere;   /* to one that is not translated (yet), */
    uint64_t left;        /* to what is no code: an exception, an interrupt, a page not known */
    uint64_t checked;     /* instructions that the interpreter did beside (jit_check), */
    uint64_t unchecked;   /* and entries whose could not be done twice */
};

struct mv_engine_ops {
    const char *name; /* "emulator" */
    const char *description;
    const struct mv_arch *arch; /* whose vCPUs it runs */
    /* By level: each vCPU's own data and instruction cache, then one that all share; or NULL. */
    const struct mv_engine_cache *caches;
    /* 0 where it can run here, else a negative errno and why not; NULL: anywhere. */
    int (*probe)(struct mv_error *err);
    int (*create)(const struct mv_engine_params *params, struct mv_engine **ret,
                  struct mv_error *err);
    void (*destroy)(struct mv_engine *engine);
    /* The board's interrupt controller, which was made after the engine, before a vCPU is. */
    void (*set_irqchip)(struct mv_engine *engine, struct mv_irqchip *chip);
    /*
     * Guest time (the counter and the timers that follow it) goes on, or stands
     * still, as it does from the start.  Called by any thread while no vCPU runs.
     */
    void (*clock_run)(struct mv_engine *engine, bool on);
    uint64_t (*clock_ns)(struct mv_engine *engine); /* guest time */
    void (*clock_set)(struct mv_engine *engine, uint64_t ns); /* while it stands still */
    int (*vcpu_create)(struct mv_engine *engine, unsigned index, struct mv_vcpu **ret,
                       struct mv_error *err);
    void (*vcpu_destroy)(struct mv_vcpu *vcpu);
    /* Its state to architectural or chosen reset values. */
    void (*vcpu_reset)(struct mv_vcpu *vcpu);
    /* Run until there is something for the machine to do. */
    enum mv_exit_reason (*vcpu_run)(struct mv_vcpu *vcpu);
    /*
     * After MV_EXIT_FAULT, and by the thread that it was: the address, of the
     * host's, that could not be accessed.  The instruction at the vCPU's PC has
     * not been done, and is tried again by the next vcpu_run.
     */
    const uint8_t *(*vcpu_fault)(struct mv_vcpu *vcpu);
    /* Make vcpu_run return MV_EXIT_KICK soon, also where it is not running. */
    void (*vcpu_kick)(struct mv_vcpu *vcpu);
    /*
     * All of a vCPU that a running machine would miss, as the architecture's state.
     * Taking it on is refused, by name, where a register has a value that it cannot
     * have, or says that the CPU is another one; nothing has changed then.
     */
    void (*vcpu_get_state)(struct mv_vcpu *vcpu, void *ret);
    int (*vcpu_set_state)(struct mv_vcpu *vcpu, const void *state, struct mv_error *err);

    /* --- for a debugger; while no vCPU runs */
    /* What the guest's kernel would read at va: false where nothing is mapped.  Changes nothing. */
    bool (*vcpu_translate)(struct mv_vcpu *vcpu, uint64_t va, uint64_t *ret_gpa);
    /* The points for all vCPUs; what they point to stays until the next call. */
    void (*debug_points)(struct mv_engine *engine, const struct mv_debug_points *points);
    /*
     * Next time: `step` runs one instruction alone, without interrupts; `pass`
     * lets the first one past the point that stopped it, if the PC is still
     * there, and past no other.
     */
    void (*vcpu_debug)(struct mv_vcpu *vcpu, bool step, bool pass);
    void (*vcpu_debug_stop)(struct mv_vcpu *vcpu, struct mv_debug_stop *ret);
    /* Guest memory was written from outside: it may be code. */
    void (*memory_changed)(struct mv_engine *engine);
    /* What is translated, over all vCPUs, which may run; false: nothing is.  NULL: never. */
    bool (*jit_info)(struct mv_engine *engine, struct mv_engine_jit *ret);
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
