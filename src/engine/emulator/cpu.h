/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_cpu: one emulated A64 processor, at EL1 and EL0.  Everything in it
 * belongs to the thread that runs it, except `attention`, the interrupt lines,
 * the mailbox and the wait state, which other threads reach as their comments
 * say.
 */
#ifndef MV_EMULATOR_CPU_H
#define MV_EMULATOR_CPU_H

#include "arm64.h"
#include "debug.h"
#include "engine.h"
#include "fault.h"
#include "fp.h"
#include "jit.h"
#include "op.h"
#include "shootdown.h"
#include "softmmu.h"
#include "sysreg.h"
#include "timer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_emulator;
struct mv_code_cache;

/* Why a vCPU has to leave its handlers: bits of mv_cpu.attention. */
#define MV_ATTENTION_KICK 1u      /* the machine wants the thread */
#define MV_ATTENTION_IRQ 2u       /* an interrupt line went up */
#define MV_ATTENTION_SHOOTDOWN 4u /* the mailbox has mail */
#define MV_ATTENTION_STEP 8u      /* one instruction runs alone */
#define MV_ATTENTION_MEMORY 16u   /* guest memory that it waited for has come, or will not */

union mv_vreg {
    uint8_t b[16];
    uint16_t h[8];
    uint32_t s[4];
    uint64_t d[2];
    int8_t sb[16];
    int16_t sh[8];
    int32_t ss[4];
    int64_t sd[2];
    unsigned __int128 q;
} __attribute__((aligned(16)));

struct mv_cpu {
    struct mv_vcpu vcpu; /* first: the machine's handle */

    /* --- what handlers use at every step */
    uint64_t x[MV_REG_COUNT];
    uint32_t nzcv;
    uint16_t jit_flags;             /* not 0: the same, as translated code has it (jit.h) */
    bool jit_fp;                    /* MXCSR is the guest's (jit.h) */
    atomic_uint attention;          /* any thread sets bits */
    uint64_t page_va;               /* of the code page that runs */
    const struct mv_op *page_ops;   /* its first op */
    const struct mv_op *access_op;  /* that accesses memory; NULL: what mmu.access_pc says */
    struct mv_softmmu mmu;
    uint64_t pc;                    /* valid outside handlers only */
    uint8_t el;                     /* 0, 1 */
    uint8_t spsel;                  /* which SP EL1 uses */
    bool fp_enabled;                /* CPACR_EL1.FPEN lets this EL use V registers */
    bool pstate_il;                 /* illegal execution state */
    bool pstate_ss;                 /* software step: an instruction may run */
    uint32_t daif;                  /* MV_DAIF_* */
    uint64_t sp_el[2];              /* the stack pointers that are not in x[MV_REG_SP] */
    union mv_vreg v[32];
    union {
        struct mv_fp_env fp; /* both, as fp.h takes them */
        struct {
            uint32_t fpcr;
            uint32_t fpsr;
        };
    };
    struct mv_arm64_monitor monitor;

    struct mv_arm64_system sys;
    struct mv_arm64_id id;
    struct mv_debug debug;
    struct mv_code_cache *code;
    struct mv_jit *jit; /* NULL: all is interpreted */
    struct mv_jit_numbers jit_numbers;
    struct mv_emulator *emulator;
    /* To the run loop, once an exception was taken or guest memory was not to be had. */
    struct mv_fault_point unwind;
    struct mv_fault_waiter waiter; /* of that */

    /* --- reached by other threads */
    atomic_bool irq_line;
    atomic_bool fiq_line;
    atomic_bool event;   /* the event register of WFE */
    struct mv_mailbox mailbox;
    atomic_bool waiting; /* sleeps in WFI or WFE, or for memory, on wait_cond under wait_lock */
    pthread_mutex_t wait_lock;
    pthread_cond_t wait_cond;
    struct mv_timers timers;
    unsigned wfe_spins;

    enum mv_exit_reason exit;
    bool exit_wanted;
};

static inline struct mv_cpu *mv_cpu_of(struct mv_vcpu *vcpu)
{
    return (struct mv_cpu *)vcpu;
}

/* The PC of an op of the page that runs. */
static inline uint64_t mv_op_pc(const struct mv_cpu *cpu, const struct mv_op *op)
{
    return cpu->page_va +
           (uint64_t)((const char *)op - (const char *)cpu->page_ops) / MV_OP_SCALE;
}

/* --- run.c */

/* NZCV and FPSR are in their places again, after translated code. */
static inline void mv_cpu_take_back(struct mv_cpu *cpu)
{
    if (cpu->jit_flags != 0)
        cpu->nzcv = mv_flags_to_nzcv(cpu->jit_flags);
    cpu->jit_flags = 0;
    if (cpu->jit_fp)
        mv_jit_fp_end(cpu);
}

/* Leave the handlers for the run loop, which goes on at pc. */
static inline const struct mv_op *mv_cpu_leave(struct mv_cpu *cpu, uint64_t pc)
{
    cpu->pc = pc;
    return NULL;
}
enum mv_exit_reason mv_cpu_run(struct mv_vcpu *vcpu); /* engine.h, vcpu_run */
/* The ops of the page at PC; NULL where an abort was taken instead. */
const struct mv_op *mv_cpu_fetch(struct mv_cpu *cpu, uint64_t pc);
/* Run handlers from pc, whose page has these ops, until one leaves. */
void mv_cpu_run_from(struct mv_cpu *cpu, const struct mv_op *ops);
/* Set attention bits and wake the vCPU where it waits; any thread. */
void mv_cpu_attend(struct mv_cpu *cpu, unsigned bits);
/*
 * Sleep until an interrupt line is up or the machine wants the thread; with a
 * timeout (ns, 0 for none) also until an event.  The vCPU's own thread.
 */
void mv_cpu_wait(struct mv_cpu *cpu, uint64_t timeout_ns);

/* --- pstate.c */
void mv_cpu_reset(struct mv_vcpu *vcpu);          /* engine.h, vcpu_reset */
uint32_t mv_cpu_pstate(const struct mv_cpu *cpu); /* SPSR_EL1's format */
/* Take EL, SPSel, DAIF, NZCV, IL from an SPSR that is legal for AArch64. */
void mv_cpu_set_pstate(struct mv_cpu *cpu, uint32_t pstate);
void mv_cpu_set_spsel(struct mv_cpu *cpu, unsigned spsel);
/* What depends on EL and CPACR: the TLB sets in use, fp_enabled. */
void mv_cpu_update_context(struct mv_cpu *cpu);
/* The registers that addresses are translated by have changed. */
void mv_cpu_update_translation(struct mv_cpu *cpu);
/* engine.h, vcpu_get_state and vcpu_set_state. */
void mv_cpu_get_state(struct mv_vcpu *vcpu, void *ret);
int mv_cpu_set_state(struct mv_vcpu *vcpu, const void *state, struct mv_error *err);
static inline bool mv_cpu_interruptible(const struct mv_cpu *cpu)
{
    return (atomic_load_explicit(&cpu->irq_line, memory_order_relaxed) &&
            !(cpu->daif & MV_DAIF_I)) ||
           (atomic_load_explicit(&cpu->fiq_line, memory_order_relaxed) &&
            !(cpu->daif & MV_DAIF_F));
}

#endif
