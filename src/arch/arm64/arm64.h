/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_arm64_state: the whole state of an arm64 vCPU at EL1 and EL0, as
 * plain data, and what the board, the GIC and the engines have to agree on.
 * registers.c has the table that describes it.  Registers are called as in the
 * Arm ARM (DDI 0487).
 */
#ifndef MV_ARCH_ARM64_H
#define MV_ARCH_ARM64_H

#include "arch.h"

#include <stdbool.h>
#include <stdint.h>

/* PSTATE as it stands in SPSR_EL1 (C5.2.18). */
#define MV_DAIF_D (1u << 9)
#define MV_DAIF_A (1u << 8)
#define MV_DAIF_I (1u << 7)
#define MV_DAIF_F (1u << 6)
#define MV_DAIF_ALL (MV_DAIF_D | MV_DAIF_A | MV_DAIF_I | MV_DAIF_F)

#define MV_NZCV_N (1u << 31)
#define MV_NZCV_Z (1u << 30)
#define MV_NZCV_C (1u << 29)
#define MV_NZCV_V (1u << 28)
#define MV_NZCV_ALL (MV_NZCV_N | MV_NZCV_Z | MV_NZCV_C | MV_NZCV_V)

#define MV_SPSR_SS (1u << 21)
#define MV_SPSR_IL (1u << 20)
#define MV_SPSR_EL1 4u /* else EL0 */
#define MV_SPSR_SP 1u  /* EL1 uses its own stack pointer */

/* The bits that are there. */
#define MV_FPCR_MASK 0x07c00000u /* AHP, DN, FZ, RMode: no traps */
#define MV_FPSR_MASK 0x0800009fu /* QC, IDC, IXC, UFC, OFC, DZC, IOC */
#define MV_CPACR_MASK (3u << 20) /* FPEN */
#define MV_SCTLR_RES1 0x30d00800u
#define MV_OSLSR_OSLM 8u /* the OS Lock is implemented */
#define MV_OSLSR_OSLK 2u /* and it is locked */
#define MV_CLAIM_MASK 0xffu
#define MV_TIMER_CTL_ENABLE 1u
#define MV_TIMER_CTL_IMASK 2u

/* System registers that are plain storage. */
struct mv_arm64_system {
    uint64_t sctlr, actlr, cpacr, ttbr0, ttbr1, tcr, mair, amair, vbar, contextidr;
    uint64_t esr, far, afsr0, afsr1, elr, spsr, par;
    uint64_t tpidr_el0, tpidrro_el0, tpidr_el1;
    uint64_t cntkctl, cntfrq, csselr;
    uint64_t mdscr, osdlr, oslsr, mdccint, dbgclaim;
    uint64_t dbgbvr[6], dbgbcr[6], dbgwvr[4], dbgwcr[4];
};

/* What the engine's CPU is. */
struct mv_arm64_id {
    uint64_t midr, mpidr, revidr, aidr;
    uint64_t pfr0, dfr0, isar0, mmfr0, mmfr1, mmfr2;
    uint64_t clidr, ctr, dczid;
    uint64_t counter_hz; /* how fast the counter is, whatever CNTFRQ_EL0 says */
};

struct mv_arm64_timer {
    uint64_t ctl; /* ENABLE, IMASK */
    uint64_t cval;
};

/* The local exclusive monitor: what LDXR saw, so that STXR can compare. */
struct mv_arm64_monitor {
    bool armed;
    uint8_t size; /* bytes, 16 for a pair of doublewords */
    uint64_t pa;
    uint64_t value[2];
};

struct mv_arm64_state {
    uint64_t x[31];
    uint64_t sp_el0, sp_el1;
    uint64_t pc;
    uint32_t pstate;
    uint32_t fpcr, fpsr;
    uint64_t v[32][2]; /* low half first */
    struct mv_arm64_system sys;
    struct mv_arm64_id id;

    /* The counter itself is the machine's (engine.h, clock_ns). */
    uint64_t cntvoff; /* what the virtual counter is behind, in ticks */
    struct mv_arm64_timer virtual_timer, physical_timer;

    bool event; /* the event register of WFE */
    struct mv_arm64_monitor monitor;
    /* A software step that is done but not taken yet: for its syndrome (ISV, EX). */
    bool step_valid, step_exclusive;
};

extern const struct mv_arch mv_arm64;

/* --- the CPU of an index */

/*
 * Its affinity: Aff3 in bits 39-32, Aff2 to Aff0 in bits 23-0, as in MPIDR_EL1.
 * Sixteen share an Aff1, which is as far as an SGI's list of targets goes.
 */
static inline uint64_t mv_arm64_affinity(unsigned index)
{
    return (uint64_t)(index >> 4) << 8 | (index & 15);
}

/* The index of the CPU of an affinity, or -1 where it is not one of `count`. */
static inline int mv_arm64_cpu_of(uint64_t affinity, unsigned count)
{
    uint64_t index = (affinity >> 8) << 4 | (affinity & 15);
    return index < count && mv_arm64_affinity((unsigned)index) == affinity ? (int)index : -1;
}

/* MPIDR_EL1: bit 31 is RES1. */
static inline uint64_t mv_arm64_mpidr(unsigned index)
{
    return UINT64_C(0x80000000) | mv_arm64_affinity(index);
}

/*
 * The GIC CPU interface's registers that a guest at EL1 reaches: what the chip's
 * cpu_read and cpu_write (irqchip.h) are told.
 */
enum mv_icc_reg {
    MV_ICC_PMR,
    MV_ICC_IAR0,
    MV_ICC_EOIR0,
    MV_ICC_HPPIR0,
    MV_ICC_BPR0,
    MV_ICC_AP0R0,
    MV_ICC_AP1R0,
    MV_ICC_DIR,
    MV_ICC_RPR,
    MV_ICC_SGI1R,
    MV_ICC_ASGI1R,
    MV_ICC_SGI0R,
    MV_ICC_IAR1,
    MV_ICC_EOIR1,
    MV_ICC_HPPIR1,
    MV_ICC_BPR1,
    MV_ICC_CTLR,
    MV_ICC_SRE,
    MV_ICC_IGRPEN0,
    MV_ICC_IGRPEN1,
};

/* --- psci.c: the guest's calls to its firmware, which is us */

/*
 * PSCI 1.1 (Arm DEN 0022) and the discovery calls of SMCCC 1.1 (Arm DEN 0028):
 * the arguments stand in x0-x3, the result goes to x0.
 */
enum mv_arch_end mv_psci_call(void *state, const struct mv_arch_calls *calls);

#endif
