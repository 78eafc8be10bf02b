/* SPDX-License-Identifier: Apache-2.0 */
/* Taking exceptions to EL1 (Arm ARM D1.3) and their syndromes (D17.2.37). */
#ifndef MV_EMULATOR_EXCEPTION_H
#define MV_EMULATOR_EXCEPTION_H

#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;
struct mv_mmu_fault;
struct mv_op;

enum mv_exception_class {
    MV_EC_UNKNOWN = 0x00,
    MV_EC_WFX = 0x01,
    MV_EC_FP_ACCESS = 0x07,
    MV_EC_ILLEGAL_STATE = 0x0e,
    MV_EC_SVC = 0x15,
    MV_EC_SYSREG = 0x18,
    MV_EC_INSN_ABORT = 0x20, /* from EL0; +1 from EL1 */
    MV_EC_PC_ALIGNMENT = 0x22,
    MV_EC_DATA_ABORT = 0x24, /* from EL0; +1 from EL1 */
    MV_EC_SP_ALIGNMENT = 0x26,
    MV_EC_BREAKPOINT = 0x30, /* these three: from EL0; +1 from EL1 */
    MV_EC_STEP = 0x32,
    MV_EC_WATCHPOINT = 0x34,
    MV_EC_BRK = 0x3c,
};

#define MV_ISS_WNR (1u << 6)
#define MV_ISS_CM  (1u << 8)

#define MV_VECTOR_SYNC 0x000
#define MV_VECTOR_IRQ  0x080
#define MV_VECTOR_FIQ  0x100

/*
 * Take a synchronous exception whose preferred return address is `pc`: sets
 * ESR, ELR, SPSR and goes to the vector.  FAR is the caller's.
 */
void mv_exception_take(struct mv_cpu *cpu, unsigned ec, uint32_t iss, uint64_t pc);
/* The same but for ESR, which is the caller's: an interrupt has none. */
void mv_exception_enter(struct mv_cpu *cpu, unsigned vector, uint64_t pc);

/* For handlers: take it at op and return what the handler has to return. */
const struct mv_op *mv_exception_at(struct mv_cpu *cpu, const struct mv_op *op, unsigned ec,
                                    uint32_t iss);
const struct mv_op *mv_exception_undef(struct mv_cpu *cpu, const struct mv_op *op);
/* V registers used where CPACR_EL1.FPEN traps them. */
const struct mv_op *mv_exception_fp(struct mv_cpu *cpu, const struct mv_op *op);

/* What comes of a fault of the instruction at pc: an exception, or the debugger's stop. */
void mv_exception_fault(struct mv_cpu *cpu, const struct mv_mmu_fault *fault, uint64_t pc);
/* To the run loop, out of an instruction that was not done. */
_Noreturn void mv_exception_unwind(struct mv_cpu *cpu);

/* ERET. */
const struct mv_op *mv_exception_return(struct mv_cpu *cpu, const struct mv_op *op);

#endif
