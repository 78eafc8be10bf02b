/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of a vCPU: what happens between stretches of handlers.
 * Interrupts are taken here, mail is served, and an access that aborted comes
 * back here with the exception already taken.
 */
#include "cleanup.h"
#include "code-cache.h"
#include "debug.h"
#include "exception.h"
#include "jit.h"
#include "memory.h"

#include <time.h>

#define CPU_OF_WAITER(pointer)                                                                     \
    ((struct mv_cpu *)((char *)(pointer)-offsetof(struct mv_cpu, waiter)))

mv_op_fn *const mv_op_handlers[MV_OPCODE_COUNT] = {
#define OP(name, ...) mv_op_##name,
#include "opcodes.h"
#undef OP
};

void mv_cpu_attend(struct mv_cpu *cpu, unsigned bits)
{
    atomic_fetch_or(&cpu->attention, bits);
    if (atomic_load(&cpu->waiting)) {
        MV_LOCK_SCOPE(&cpu->wait_lock);
        pthread_cond_signal(&cpu->wait_cond);
    }
}

static bool must_wake(struct mv_cpu *cpu, bool for_event)
{
    return atomic_load(&cpu->irq_line) || atomic_load(&cpu->fiq_line) ||
           (atomic_load(&cpu->attention) & (MV_ATTENTION_KICK | MV_ATTENTION_STEP)) ||
           (for_event && atomic_load(&cpu->event));
}

void mv_cpu_wait(struct mv_cpu *cpu, uint64_t timeout_ns)
{
    struct timespec until;
    if (timeout_ns != 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)timeout_ns;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    }
    MV_LOCK_SCOPE(&cpu->wait_lock);
    atomic_store(&cpu->waiting, true);
    atomic_store(&cpu->mailbox.running, false);
    while (!must_wake(cpu, timeout_ns != 0)) {
        if (timeout_ns == 0)
            pthread_cond_wait(&cpu->wait_cond, &cpu->wait_lock);
        else if (pthread_cond_timedwait(&cpu->wait_cond, &cpu->wait_lock, &until) != 0)
            break;
    }
    /* From here on others wait for us again; the run loop serves our mail. */
    atomic_store(&cpu->mailbox.running, true);
    atomic_store(&cpu->waiting, false);
}

/* A debugger's step, or its going on from a point, is of the code it looks at. */
static bool takes_interrupt(const struct mv_cpu *cpu)
{
    return mv_cpu_interruptible(cpu) && !cpu->debug.host_step && !cpu->debug.pass;
}

/* --- waiting for memory: others' DSBs do not wait for that, and mail is served behind it */

static void wait_for_memory(struct mv_fault_waiter *waiter)
{
    struct mv_cpu *cpu = CPU_OF_WAITER(waiter);
    MV_LOCK_SCOPE(&cpu->wait_lock);
    atomic_store(&cpu->waiting, true);
    atomic_store(&cpu->mailbox.running, false);
    while (!(atomic_load(&cpu->attention) & (MV_ATTENTION_KICK | MV_ATTENTION_MEMORY)) &&
           !takes_interrupt(cpu))
        pthread_cond_wait(&cpu->wait_cond, &cpu->wait_lock);
    atomic_store(&cpu->mailbox.running, true);
    atomic_store(&cpu->waiting, false);
}

static void memory_is_there(struct mv_fault_waiter *waiter)
{
    mv_cpu_attend(CPU_OF_WAITER(waiter), MV_ATTENTION_MEMORY);
}

/* --- the loop */

/* Take what is pending; true where the machine wants the thread. */
static bool attend(struct mv_cpu *cpu)
{
    unsigned bits = atomic_load(&cpu->attention);
    if (bits & MV_ATTENTION_SHOOTDOWN)
        mv_shootdown_serve(&cpu->mailbox);
    /* The lines themselves are looked at after the bit is gone. */
    if (bits & (MV_ATTENTION_IRQ | MV_ATTENTION_MEMORY))
        atomic_fetch_and(&cpu->attention, ~(MV_ATTENTION_IRQ | MV_ATTENTION_MEMORY));
    if (cpu->exit_wanted) {
        cpu->exit_wanted = false;
        return true;
    }
    if (bits & MV_ATTENTION_KICK) {
        atomic_fetch_and(&cpu->attention, ~MV_ATTENTION_KICK);
        cpu->exit = MV_EXIT_KICK;
        return true;
    }
    if (takes_interrupt(cpu)) {
        bool fiq = atomic_load(&cpu->fiq_line) && !(cpu->daif & MV_DAIF_F);
        mv_exception_enter(cpu, fiq ? MV_VECTOR_FIQ : MV_VECTOR_IRQ, cpu->pc);
    }
    return false;
}

const struct mv_op *mv_cpu_fetch(struct mv_cpu *cpu, uint64_t pc)
{
    const struct mv_itlb_entry *entry =
        &cpu->mmu.set[pc >> 55 & 1]->i[(pc >> 12) % MV_ITLB_ENTRIES];
    if (entry->tag == (pc & ~UINT64_C(0xffc)))
        return entry->ops;
    struct mv_softmmu_code code;
    mv_access_begin(cpu, NULL);
    const struct mv_mmu_fault *fault = mv_softmmu_fetch(&cpu->mmu, pc, &code);
    if (fault != NULL) {
        mv_exception_fault(cpu, fault, pc);
        return NULL;
    }
    bool dropped;
    const struct mv_op *ops = mv_code_cache_page(cpu->code, code.pa, code.host, &dropped);
    if (dropped)
        mv_tlb_flush_code(&cpu->mmu.tlb);
    if (MV_LIKELY(!cpu->debug.on) || !mv_debug_in_page(cpu, pc))
        mv_softmmu_keep_code(&cpu->mmu, pc, &code, ops);
    return ops;
}

MV_OP(decode)
{
    mv_access_begin(cpu, op);
    mv_code_cache_decode(cpu->code, cpu->page_ops, op);
    MV_DISPATCH(op);
}

void mv_cpu_run_from(struct mv_cpu *cpu, const struct mv_op *ops)
{
    cpu->page_va = cpu->pc & MV_PAGE_MASK;
    cpu->page_ops = ops;
    const struct mv_op *op = &ops[(cpu->pc & ~MV_PAGE_MASK) / 4];
    mv_cpu_mark(cpu, op);
    while (op != NULL)
        op = mv_op_handlers[op->code](cpu, op);
}

/* The op whose access in translated code met a fault, if there it was. */
static const struct mv_op *translated_access(struct mv_cpu *cpu)
{
#ifdef MV_HAS_JIT
    if (cpu->jit != NULL)
        return mv_jit_take_access(cpu, &cpu->unwind);
#endif
    return NULL;
}

/* Come back before the instruction that met the fault, or waited for memory. */
static void go_back(struct mv_cpu *cpu, bool caught)
{
    const struct mv_op *op = caught ? translated_access(cpu) : NULL;
    if (op == NULL)
        op = cpu->access_op;
    cpu->pc = op != NULL ? mv_op_pc(cpu, op) : cpu->mmu.access_pc;
    mv_debug_forget_step(cpu);
}

static void run_until_exit(struct mv_cpu *cpu)
{
    int why = sigsetjmp(cpu->unwind.jump, 0);
    mv_cpu_take_back(cpu); /* out of the middle of translated code */
    if (why == MV_FAULT_CAUGHT || why == MV_FAULT_WAITED)
        go_back(cpu, why == MV_FAULT_CAUGHT);
    if (why == MV_FAULT_CAUGHT) {
        cpu->exit = MV_EXIT_FAULT;
        return;
    }
    if (why != 0 && why != MV_FAULT_WAITED && cpu->debug.on)
        mv_debug_end_step(cpu);
    while (!attend(cpu)) {
        if (MV_UNLIKELY(cpu->debug.on)) {
            mv_debug_run(cpu);
            continue;
        }
        if (cpu->pstate_il) {
            mv_exception_take(cpu, MV_EC_ILLEGAL_STATE, 0, cpu->pc);
            continue;
        }
        const struct mv_op *ops = mv_cpu_fetch(cpu, cpu->pc);
        if (ops == NULL)
            continue;
        mv_cpu_run_from(cpu, ops);
    }
}

enum mv_exit_reason mv_cpu_run(struct mv_vcpu *vcpu)
{
    struct mv_cpu *cpu = mv_cpu_of(vcpu);
    atomic_store(&cpu->mailbox.running, true);
    mv_fault_enter(&cpu->unwind);
    cpu->waiter = (struct mv_fault_waiter){wait_for_memory, memory_is_there};
    cpu->unwind.waiter = &cpu->waiter;
    run_until_exit(cpu);
    mv_fault_leave(&cpu->unwind);
    atomic_store(&cpu->mailbox.running, false);
    return cpu->exit;
}
