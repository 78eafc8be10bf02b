/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of branches and system instructions (Arm ARM C6.2, C5).  Each taken
 * branch looks at mv_cpu.attention, as does the end of a page, so a vCPU is never
 * long without.
 */
#include "alu.h"
#include "emulator.h"
#include "exception.h"

#include <sched.h>

/* A direct branch: imm counts from its PC, in the page variant in ops. */
#define DIRECT(name, condition, link, go)                                                          \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        if (condition) {                                                                           \
            link;                                                                                  \
            go(mv_op_pc(cpu, op) + op->imm);                                                       \
        }                                                                                          \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(name##_page)                                                                             \
    {                                                                                              \
        if (condition) {                                                                           \
            link;                                                                                  \
            MV_GO_PAGE(op->imm);                                                                   \
        }                                                                                          \
        MV_NEXT;                                                                                   \
    }
#define NO_LINK (void)0

DIRECT(b, true, NO_LINK, MV_GO_MARKED)
DIRECT(bl, true, cpu->x[MV_REG_LR] = mv_op_pc(cpu, op) + 4, MV_GO_MARKED)
DIRECT(b_cond, mv_cond_holds(cpu, op->aux), NO_LINK, MV_GO)
DIRECT(cbz_x, cpu->x[op->rn] == 0, NO_LINK, MV_GO)
DIRECT(cbz_w, (uint32_t)cpu->x[op->rn] == 0, NO_LINK, MV_GO)
DIRECT(cbnz_x, cpu->x[op->rn] != 0, NO_LINK, MV_GO)
DIRECT(cbnz_w, (uint32_t)cpu->x[op->rn] != 0, NO_LINK, MV_GO)
DIRECT(tbz, !(cpu->x[op->rn] >> op->aux & 1), NO_LINK, MV_GO)
DIRECT(tbnz, cpu->x[op->rn] >> op->aux & 1, NO_LINK, MV_GO)

MV_OP(br)
{
    MV_GO_MARKED(cpu->x[op->rn]);
}

MV_OP(blr)
{
    uint64_t target = cpu->x[op->rn];
    cpu->x[MV_REG_LR] = mv_op_pc(cpu, op) + 4;
    MV_GO_MARKED(target);
}

MV_OP(page_end)
{
    MV_GO(cpu->page_va + MV_PAGE_SIZE);
}

/* --- system */

/* A handler of one statement. */
#define ONE(name, statement)                                                                       \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        statement;                                                                                 \
        MV_NEXT;                                                                                   \
    }
ONE(nop, (void)0)
ONE(yield, sched_yield())
ONE(sev, mv_emulator_send_event(cpu->emulator))
ONE(sevl, atomic_store(&cpu->event, true))
ONE(clrex, cpu->monitor.armed = false)
ONE(dmb, atomic_thread_fence(memory_order_seq_cst))

MV_OP(undef)
{
    return mv_exception_undef(cpu, op);
}

/* ISS of a trapped WFI (0) or WFE (1): COND is "always". */
static uint32_t wfx_iss(unsigned instruction)
{
    return 1u << 24 | 0xeu << 20 | instruction;
}

MV_OP(wfi)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_NTWI))
        return mv_exception_at(cpu, op, MV_EC_WFX, wfx_iss(0));
    mv_cpu_wait(cpu, 0);
    return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
}

/*
 * Nothing tells that another vCPU wrote to the monitored address, so a wait
 * for an event ends by itself: first a few times at once, as a spin lock wants
 * it, then after as long as Linux's event stream would take.
 */
#define WFE_SPINS   32
#define WFE_WAIT_NS 100000

MV_OP(wfe)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_NTWE))
        return mv_exception_at(cpu, op, MV_EC_WFX, wfx_iss(1));
    if (atomic_exchange(&cpu->event, false)) {
        cpu->wfe_spins = 0;
        MV_NEXT;
    }
    if (++cpu->wfe_spins < WFE_SPINS) {
        sched_yield();
        MV_NEXT;
    }
    cpu->wfe_spins = 0;
    mv_cpu_wait(cpu, WFE_WAIT_NS);
    return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
}

MV_OP(dsb)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (mv_shootdown_wait(&cpu->mailbox))
        return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
    MV_NEXT;
}

/* Effects of system registers are immediate here; mail may change code. */
MV_OP(isb)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (mv_cpu_attention(cpu))
        return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
    MV_NEXT;
}

static bool daif_trapped(const struct mv_cpu *cpu)
{
    return cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_UMA);
}

/* ISS of MSR DAIFSet/DAIFClr, #imm (op0 0, op1 3, CRn 4, Rt 31). */
static uint32_t daif_imm_iss(const struct mv_op *op, unsigned op2)
{
    return op2 << 17 | 3u << 14 | 4u << 10 | 31u << 5 | (uint32_t)op->imm << 1;
}

MV_OP(msr_daifset)
{
    if (daif_trapped(cpu))
        return mv_exception_at(cpu, op, MV_EC_SYSREG, daif_imm_iss(op, 6));
    cpu->daif |= (uint32_t)op->imm << 6;
    MV_NEXT;
}

MV_OP(msr_daifclr)
{
    if (daif_trapped(cpu))
        return mv_exception_at(cpu, op, MV_EC_SYSREG, daif_imm_iss(op, 7));
    cpu->daif &= ~((uint32_t)op->imm << 6);
    if (mv_cpu_interruptible(cpu) || cpu->debug.on)
        return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
    MV_NEXT;
}

MV_OP(msr_spsel)
{
    if (cpu->el == 0)
        return mv_exception_undef(cpu, op);
    mv_cpu_set_spsel(cpu, (unsigned)op->imm & 1);
    MV_NEXT;
}

/*
 * The parts of MRS and MSR that call through the table stand apart, so that
 * the handlers have no call to come back from.  False: UNDEF.
 */
static __attribute__((noinline)) bool read_register(struct mv_cpu *cpu, const struct mv_op *op)
{
    const struct mv_sysreg *reg = mv_sysreg_of(op);
    uint64_t value = reg->value;
    if ((cpu->el == 0 || reg->flags & MV_SYSREG_FP) && !mv_sysreg_admits(cpu, op, true))
        return false;
    if (reg->word != 0)
        value = *(const uint32_t *)((const char *)cpu + reg->word);
    else if (reg->read != NULL && !reg->read(cpu, op, &value))
        return false;
    cpu->x[op->rd] = value;
    return true;
}

static __attribute__((noinline)) bool write_register(struct mv_cpu *cpu, const struct mv_op *op)
{
    const struct mv_sysreg *reg = mv_sysreg_of(op);
    if ((cpu->el == 0 || reg->flags & MV_SYSREG_FP) && !mv_sysreg_admits(cpu, op, false))
        return false;
    if (reg->write != NULL)
        return reg->write(cpu, op, cpu->x[op->rd]);
    uint64_t value = (cpu->x[op->rd] & ~reg->res0) | reg->res1;
    if (reg->word != 0)
        *(uint32_t *)((char *)cpu + reg->word) = (uint32_t)value;
    else if (reg->offset != 0)
        *(uint64_t *)((char *)cpu + reg->offset) = value;
    if (reg->changed != NULL)
        reg->changed(cpu);
    return true;
}

MV_OP(mrs)
{
    const struct mv_sysreg *reg = mv_sysreg_of(op);
    if (MV_LIKELY(reg->offset && !reg->read && (cpu->el == 1 || (reg->flags & MV_SYSREG_EL0_R))))
        cpu->x[op->rd] = *(const uint64_t *)((const char *)cpu + reg->offset);
    else if (!read_register(cpu, op))
        return mv_exception_undef(cpu, op);
    MV_NEXT;
}

MV_OP(msr)
{
    /* IC IALLU forgets this very op. */
    bool leaves = mv_sysreg_of(op)->flags & MV_SYSREG_EXIT;
    if (!write_register(cpu, op))
        return mv_exception_undef(cpu, op);
    if (leaves)
        return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
    MV_NEXT;
}

/* The step over it is done before it is taken (SSAdvance). */
MV_OP(svc)
{
    cpu->pstate_ss = false;
    mv_exception_take(cpu, MV_EC_SVC, (uint32_t)op->imm, mv_op_pc(cpu, op) + 4);
    return NULL;
}

MV_OP(brk)
{
    return mv_exception_at(cpu, op, MV_EC_BRK, (uint32_t)op->imm);
}

/* EL2 is the machine: it has PSCI. */
MV_OP(hvc)
{
    if (cpu->el == 0)
        return mv_exception_undef(cpu, op);
    cpu->exit = MV_EXIT_HYPERCALL;
    cpu->exit_wanted = true;
    return mv_cpu_leave(cpu, mv_op_pc(cpu, op) + 4);
}

MV_OP(eret)
{
    if (cpu->el == 0)
        return mv_exception_undef(cpu, op);
    return mv_exception_return(cpu, op);
}
