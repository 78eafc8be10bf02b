/* SPDX-License-Identifier: Apache-2.0 */
#include "exception.h"

#include "interpreter.h"

void mv_exception_enter(struct mv_cpu *cpu, unsigned vector, uint64_t pc)
{
    uint32_t spsr = mv_cpu_pstate(cpu);
    /* Arm ARM D1.3.4: from EL0 the lower-EL vectors, else by SPSel. */
    unsigned base = cpu->el == 0 ? 0x400 : cpu->spsel ? 0x200 : 0x000;
    cpu->sys.spsr = spsr;
    cpu->sys.elr = pc;
    cpu->monitor.armed = false;
    mv_cpu_set_pstate(cpu, 0x5 | MV_DAIF_ALL | (spsr & MV_NZCV_ALL));
    cpu->pc = (cpu->sys.vbar & ~UINT64_C(0x7ff)) + base + vector;
}

void mv_exception_take(struct mv_cpu *cpu, unsigned ec, uint32_t iss, uint64_t pc)
{
    bool from_el1 = cpu->el == 1;
    if (from_el1 && (ec == MV_EC_INSN_ABORT || ec == MV_EC_DATA_ABORT || ec == MV_EC_BREAKPOINT ||
                     ec == MV_EC_STEP || ec == MV_EC_WATCHPOINT))
        ec++;
    mv_exception_enter(cpu, MV_VECTOR_SYNC, pc);
    cpu->sys.esr = (uint64_t)ec << 26 | 1u << 25 | iss;
}

const struct mv_op *mv_exception_at(struct mv_cpu *cpu, const struct mv_op *op, unsigned ec,
                                    uint32_t iss)
{
    mv_exception_take(cpu, ec, iss, mv_op_pc(cpu, op));
    return NULL;
}

const struct mv_op *mv_exception_undef(struct mv_cpu *cpu, const struct mv_op *op)
{
    return mv_exception_at(cpu, op, MV_EC_UNKNOWN, 0);
}

const struct mv_op *mv_exception_fp(struct mv_cpu *cpu, const struct mv_op *op)
{
    return mv_exception_at(cpu, op, MV_EC_FP_ACCESS, 1u << 24 | 0xeu << 20);
}

_Noreturn void mv_exception_unwind(struct mv_cpu *cpu)
{
    siglongjmp(cpu->unwind.jump, 1);
}

void mv_exception_fault(struct mv_cpu *cpu, const struct mv_mmu_fault *fault, uint64_t pc)
{
    static const uint8_t classes[] = {
        [MV_MMU_FAULT_DATA] = MV_EC_DATA_ABORT,
        [MV_MMU_FAULT_FETCH] = MV_EC_INSN_ABORT,
        [MV_MMU_FAULT_PC_ALIGNMENT] = MV_EC_PC_ALIGNMENT,
        [MV_MMU_FAULT_WATCHPOINT] = MV_EC_WATCHPOINT,
    };
    if (fault->kind == MV_MMU_FAULT_STOP) {
        mv_debug_stop_at(cpu, pc);
        return;
    }
    cpu->sys.far = fault->address;
    mv_exception_take(cpu, classes[fault->kind],
                      fault->fsc | (fault->write ? MV_ISS_WNR : 0) | (fault->cm ? MV_ISS_CM : 0),
                      pc);
}

/* Is this SPSR one that ERET at EL1 may take (Arm ARM D1.4.4)? */
static bool spsr_legal(uint64_t spsr)
{
    unsigned mode = spsr & 0x1f;
    return mode == 0x0 || mode == 0x4 || mode == 0x5;
}

const struct mv_op *mv_exception_return(struct mv_cpu *cpu, const struct mv_op *op)
{
    uint64_t spsr = cpu->sys.spsr;
    uint64_t pc = cpu->sys.elr;
    cpu->monitor.armed = false;
    bool step = mv_debug_step_on_return(cpu, spsr);
    if (spsr_legal(spsr)) {
        mv_cpu_set_pstate(cpu, (uint32_t)spsr);
        cpu->pstate_ss = step;
    } else {
        /* Illegal return: EL, SPSel stay; IL is set, and the next
         * instruction takes the Illegal State exception. */
        cpu->nzcv = (uint32_t)spsr & 0xf0000000;
        cpu->daif = (uint32_t)spsr & MV_DAIF_ALL;
        cpu->pstate_il = true;
    }
    if (cpu->pstate_il || cpu->debug.on || mv_cpu_interruptible(cpu))
        return mv_cpu_leave(cpu, pc);
    MV_GO(pc);
}
