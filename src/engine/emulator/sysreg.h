/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System registers (Arm ARM DDI 0487, D17): one table describes each, the
 * decoder looks MRS, MSR and SYS up in it, and the state table is made of it.
 */
#ifndef MV_EMULATOR_SYSREG_H
#define MV_EMULATOR_SYSREG_H

#include "op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_cpu;

/* Bits 20-5 of the instruction. */
#define MV_SYSREG_ENC(op0, op1, crn, crm, op2)                                                     \
    ((uint16_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))
#define MV_SYSREG_DC_ZVA MV_SYSREG_ENC(1, 3, 7, 4, 1)
#define MV_SYSREG_SP_EL0 MV_SYSREG_ENC(3, 0, 4, 1, 0)

enum {
    MV_SYSREG_RO = 1,    /* writes are UNDEF */
    MV_SYSREG_WO = 2,    /* reads are UNDEF */
    MV_SYSREG_EL0_R = 4, /* readable at EL0 */
    MV_SYSREG_EL0_W = 8, /* writable at EL0 */
    MV_SYSREG_EXIT = 16, /* a write may change what runs next: leave the handlers */
    MV_SYSREG_FP = 32,   /* trapped as V registers are (CPACR_EL1.FPEN) */
    MV_SYSREG_SHUT = 64, /* the gate's bits keep EL0 out, instead of letting it in */
    MV_SYSREG_CODE = 128, /* a write may forget translated code, that which makes it too */
};

struct mv_sysreg {
    const char *name;
    uint16_t encoding;
    uint16_t flags;
    size_t offset;       /* of a uint64_t in mv_cpu, or 0 */
    size_t word;         /* of a uint32_t there instead, or 0 */
    uint64_t value;      /* reset value, or the value of a constant one */
    uint64_t res0, res1; /* bits that a write clears, and sets */
    /* EL0 is trapped unless one of these bits of the uint64_t there is set; an offset, or 0. */
    size_t gate;
    uint32_t gate_bits;
    void (*changed)(struct mv_cpu *cpu); /* what follows from a write, or NULL */
    /* Where storage alone is not enough.  False: the access is UNDEF. */
    bool (*read)(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret);
    bool (*write)(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value);
};

#define MV_SYSREG_AT(field)         offsetof(struct mv_cpu, field)
#define MV_SYSREG_GATE(field, bits) .gate = MV_SYSREG_AT(sys.field), .gate_bits = bits
#define MV_SYSREG_EL0_RW            (MV_SYSREG_EL0_R | MV_SYSREG_EL0_W)

struct mv_sysreg_table {
    const struct mv_sysreg *rows;
    size_t count;
};
extern const struct mv_sysreg_table mv_sysreg_control;     /* sysreg.c */
extern const struct mv_sysreg_table mv_sysreg_id;          /* sysreg-id.c */
extern const struct mv_sysreg_table mv_sysreg_device;      /* sysreg-device.c: timers, GIC */
extern const struct mv_sysreg_table mv_sysreg_debug;       /* sysreg-debug.c */
extern const struct mv_sysreg_table mv_sysreg_maintenance; /* sysreg-maintenance.c: SYS */

static inline const struct mv_sysreg *mv_sysreg_of(const struct mv_op *op)
{
    return (const struct mv_sysreg *)(uintptr_t)op->imm;
}

#define MV_SYSREG_TABLE(variable, array)                                                           \
    const struct mv_sysreg_table variable = {.rows = array,                                        \
                                             .count = sizeof(array) / sizeof(array[0])}

/* NULL where the encoding is unallocated. */
const struct mv_sysreg *mv_sysreg_find(uint16_t encoding);
void mv_sysreg_reset(struct mv_cpu *cpu);
/* They were set all at once: what follows from them is made anew. */
void mv_sysreg_loaded(struct mv_cpu *cpu);
/*
 * Whether an access from EL0, or to one that is MV_SYSREG_FP, is allowed; false: it is
 * UNDEF.  Where it is trapped the exception is taken, and this unwinds.
 */
bool mv_sysreg_admits(struct mv_cpu *cpu, const struct mv_op *op, bool is_read);

/* SCTLR_EL1, beyond what softmmu.h has. */
#define MV_SCTLR_SA (1u << 3)
#define MV_SCTLR_SA0 (1u << 4)
#define MV_SCTLR_UMA (1u << 9)
#define MV_SCTLR_DZE (1u << 14)
#define MV_SCTLR_UCT (1u << 15)
#define MV_SCTLR_NTWI (1u << 16)
#define MV_SCTLR_NTWE (1u << 18)
#define MV_SCTLR_UCI (1u << 26)

#endif
