/* SPDX-License-Identifier: Apache-2.0 */
#include "shootdown.h"

#include "cleanup.h"
#include "code-cache.h"
#include "cpu.h"
#include "emulator.h"

#include <sched.h>
#include <string.h>

void mv_shootdown_local(struct mv_cpu *cpu, const struct mv_shootdown *what)
{
    switch (what->kind) {
    case MV_SHOOTDOWN_TLB_ALL:
        mv_tlb_flush_all(cpu);
        break;
    case MV_SHOOTDOWN_TLB_ASID:
        mv_tlb_flush_asid(cpu, what->asid);
        break;
    case MV_SHOOTDOWN_TLB_VA:
        mv_tlb_flush_va(cpu, what->address);
        break;
    case MV_SHOOTDOWN_TLB_WRITES:
        mv_tlb_flush_writes(cpu);
        break;
    case MV_SHOOTDOWN_CODE_LINE:
        mv_code_cache_drop_line(cpu->code, what->address);
        break;
    case MV_SHOOTDOWN_CODE_ALL:
        mv_code_cache_drop_all(cpu->code);
        mv_tlb_flush_code(cpu);
        break;
    }
}

static void post(struct mv_cpu *target, const struct mv_shootdown *what)
{
    struct mv_mailbox *box = &target->mailbox;
    {
        MV_LOCK_SCOPE(&box->lock);
        if (box->count < MV_MAILBOX_SIZE)
            box->mail[box->count++] = *what;
        else
            box->overflow = true;
        atomic_fetch_add(&box->posted, 1);
    }
    atomic_fetch_or(&target->attention, MV_ATTENTION_SHOOTDOWN);
}

void mv_shootdown_post_all(struct mv_cpu *target)
{
    post(target, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
    post(target, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_CODE_ALL});
}

/*
 * Nobody waits for it: another vCPU looks at its mail at each taken branch, ISB
 * and exception, which is sooner than the context synchronization that the
 * architecture asks of it (Arm ARM, B2.2.5).  A kernel that patches 50,000
 * places would otherwise wait as often for vCPUs that have no processor.
 */
void mv_shootdown_code_line(struct mv_cpu *cpu, uint64_t pa)
{
    const struct mv_shootdown what = {.kind = MV_SHOOTDOWN_CODE_LINE, .address = pa};
    struct mv_emulator *emulator = cpu->emulator;
    mv_shootdown_local(cpu, &what);
    atomic_thread_fence(memory_order_seq_cst); /* between the change and the look for its readers */
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        struct mv_cpu *other = emulator->cpus[i];
        if (other != cpu && mv_code_cache_may_hold(other->code, pa))
            post(other, &what);
    }
}

void mv_shootdown_broadcast(struct mv_cpu *cpu, const struct mv_shootdown *what)
{
    struct mv_emulator *emulator = cpu->emulator;
    bool by_va = what->kind == MV_SHOOTDOWN_TLB_VA;
    mv_shootdown_local(cpu, what);
    atomic_thread_fence(memory_order_seq_cst); /* as above, for changes of the tables */
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        struct mv_cpu *other = emulator->cpus[i];
        if (other == cpu || (by_va && !mv_tlb_may_hold(other, what->address)))
            continue;
        post(other, what);
        cpu->mailbox.unwaited = true;
    }
}

static void serve_one(struct mv_cpu *cpu, const struct mv_shootdown *what)
{
    if (what->kind == MV_SHOOTDOWN_TLB_VA)
        mv_tlb_flush_va_of_other(cpu, what->address);
    else
        mv_shootdown_local(cpu, what);
}

void mv_shootdown_serve(struct mv_cpu *cpu)
{
    struct mv_mailbox *box = &cpu->mailbox;
    struct mv_shootdown mail[MV_MAILBOX_SIZE];
    unsigned count;
    bool overflow;
    unsigned long long posted;
    atomic_fetch_and(&cpu->attention, ~MV_ATTENTION_SHOOTDOWN);
    {
        MV_LOCK_SCOPE(&box->lock);
        count = box->count;
        memcpy(mail, box->mail, count * sizeof mail[0]);
        overflow = box->overflow;
        box->count = 0;
        box->overflow = false;
        posted = atomic_load(&box->posted);
    }
    if (overflow) {
        mv_tlb_flush_all(cpu);
        mv_code_cache_drop_all(cpu->code);
    } else {
        for (unsigned i = 0; i < count; i++)
            serve_one(cpu, &mail[i]);
    }
    atomic_store(&box->done, posted);
}

#define SPINS_BEFORE_YIELD 200

bool mv_shootdown_wait(struct mv_cpu *cpu)
{
    if (!cpu->mailbox.unwaited)
        return false;
    cpu->mailbox.unwaited = false;
    bool served = false;
    struct mv_emulator *emulator = cpu->emulator;
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        struct mv_cpu *target = emulator->cpus[i];
        if (target == cpu)
            continue;
        unsigned long long ticket = atomic_load(&target->mailbox.posted);
        for (unsigned spins = 0;
             atomic_load(&target->mailbox.done) < ticket && atomic_load(&target->running);
             spins++) {
            /* Two that wait for each other serve each other. */
            if (atomic_load(&cpu->attention) & MV_ATTENTION_SHOOTDOWN) {
                mv_shootdown_serve(cpu);
                served = true;
            }
            if (spins > SPINS_BEFORE_YIELD)
                sched_yield();
        }
    }
    return served;
}

void mv_shootdown_settle(struct mv_emulator *emulator)
{
    for (unsigned i = 0; i < emulator->cpu_count; i++)
        post(emulator->cpus[i], &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_WRITES});
    for (unsigned i = 0; i < emulator->cpu_count; i++) {
        struct mv_cpu *target = emulator->cpus[i];
        unsigned long long ticket = atomic_load(&target->mailbox.posted);
        while (atomic_load(&target->mailbox.done) < ticket && atomic_load(&target->running))
            sched_yield();
    }
}
