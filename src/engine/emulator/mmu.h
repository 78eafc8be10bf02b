/* SPDX-License-Identifier: Apache-2.0 */
/* Address translation: stage 1 of EL1&0 (Arm ARM D8). */
#ifndef MV_EMULATOR_MMU_H
#define MV_EMULATOR_MMU_H

#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;
struct mv_op;

struct mv_translation {
    uint64_t pa;       /* of the address itself */
    uint32_t fsc;      /* where it failed: fault status code with level */
    uint8_t attr;      /* MAIR's byte; 0 is Device-nGnRnE */
    uint8_t sh;        /* shareability field */
    uint8_t log_size;  /* of the page or block */
    bool device;
    bool global;
    bool readable;     /* for the exception level asked for */
    bool writable;     /* now, with no dirty state to record */
    bool executable;
};

/*
 * Translate va for an access (MV_ACCESS_* of memory.h) from exception level
 * `el`.  Updates the access flag and dirty state where TCR_EL1.HA and HD ask
 * for it.  False with ret->fsc where the access faults.
 */
bool mv_mmu_translate(struct mv_cpu *cpu, uint64_t va, unsigned el, unsigned access,
                      struct mv_translation *ret);

/* The TLB entry for a data access, filled if need be; aborts and unwinds. */
struct mv_dtlb_entry *mv_mmu_data(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                  unsigned access);

/* The ops of the page at PC; NULL where an abort was taken instead. */
const struct mv_op *mv_mmu_fetch(struct mv_cpu *cpu, uint64_t pc);

#endif
