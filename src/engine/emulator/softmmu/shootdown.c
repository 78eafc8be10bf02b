/* SPDX-License-Identifier: Apache-2.0 */
#include "shootdown.h"

#include "cleanup.h"
#include "code-cache.h"

#include <sched.h>
#include <string.h>

void mv_shootdown_local(struct mv_mailbox *own, const struct mv_shootdown *what)
{
    switch (what->kind) {
    case MV_SHOOTDOWN_TLB_ALL:
        mv_tlb_flush_all(own->tlb);
        break;
    case MV_SHOOTDOWN_TLB_ASID:
        mv_tlb_flush_asid(own->tlb, what->asid);
        break;
    case MV_SHOOTDOWN_TLB_VA:
        mv_tlb_flush_va(own->tlb, what->address);
        break;
    case MV_SHOOTDOWN_TLB_WRITES:
        mv_tlb_flush_writes(own->tlb);
        break;
    case MV_SHOOTDOWN_CODE_LINE:
        mv_code_cache_drop_line(own->code, what->address);
        break;
    case MV_SHOOTDOWN_CODE_ALL:
        mv_code_cache_drop_all(own->code);
        mv_tlb_flush_code(own->tlb);
        break;
    }
}

static void post(struct mv_mailbox *box, const struct mv_shootdown *what)
{
    {
        MV_LOCK_SCOPE(&box->lock);
        if (box->count < MV_MAILBOX_SIZE)
            box->mail[box->count++] = *what;
        else
            box->overflow = true;
        atomic_fetch_add(&box->posted, 1);
    }
    atomic_fetch_or(box->attention, box->attention_bit);
}

void mv_shootdown_post_all(const struct mv_mailboxes *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        post(all->box[i], &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
        post(all->box[i], &(struct mv_shootdown){.kind = MV_SHOOTDOWN_CODE_ALL});
    }
}

/*
 * Nobody waits for it: another vCPU looks at its mail at each taken branch, ISB
 * and exception, which is sooner than the context synchronization that the
 * architecture asks of it (Arm ARM, B2.2.5).  A kernel that patches 50,000
 * places would otherwise wait as often for vCPUs that have no processor.
 */
void mv_shootdown_code_line(struct mv_mailbox *own, uint64_t pa)
{
    const struct mv_shootdown what = {.kind = MV_SHOOTDOWN_CODE_LINE, .address = pa};
    mv_shootdown_local(own, &what);
    atomic_thread_fence(memory_order_seq_cst); /* between the change and the look for its readers */
    for (unsigned i = 0; i < own->all->count; i++) {
        struct mv_mailbox *other = own->all->box[i];
        if (other != own && mv_code_cache_may_hold(other->code, pa))
            post(other, &what);
    }
}

void mv_shootdown_broadcast(struct mv_mailbox *own, const struct mv_shootdown *what)
{
    bool by_va = what->kind == MV_SHOOTDOWN_TLB_VA;
    mv_shootdown_local(own, what);
    atomic_thread_fence(memory_order_seq_cst); /* as above, for changes of the tables */
    for (unsigned i = 0; i < own->all->count; i++) {
        struct mv_mailbox *other = own->all->box[i];
        if (other == own || (by_va && !mv_tlb_may_hold(other->tlb, what->address)))
            continue;
        post(other, what);
        own->unwaited = true;
    }
}

static void serve_one(struct mv_mailbox *own, const struct mv_shootdown *what)
{
    if (what->kind == MV_SHOOTDOWN_TLB_VA)
        mv_tlb_flush_va_of_other(own->tlb, what->address);
    else
        mv_shootdown_local(own, what);
}

void mv_shootdown_serve(struct mv_mailbox *own)
{
    struct mv_shootdown mail[MV_MAILBOX_SIZE];
    unsigned count;
    bool overflow;
    unsigned long long posted;
    atomic_fetch_and(own->attention, ~own->attention_bit);
    {
        MV_LOCK_SCOPE(&own->lock);
        count = own->count;
        memcpy(mail, own->mail, count * sizeof mail[0]);
        overflow = own->overflow;
        own->count = 0;
        own->overflow = false;
        posted = atomic_load(&own->posted);
    }
    if (overflow) {
        mv_tlb_flush_all(own->tlb);
        mv_code_cache_drop_all(own->code);
    } else {
        for (unsigned i = 0; i < count; i++)
            serve_one(own, &mail[i]);
    }
    atomic_store(&own->done, posted);
}

/* Has a vCPU done all of its mail up to this, or will it before it runs on? */
static bool is_done(struct mv_mailbox *box, unsigned long long ticket)
{
    return atomic_load(&box->done) >= ticket || !atomic_load(&box->running);
}

#define SPINS_BEFORE_YIELD 200

bool mv_shootdown_wait(struct mv_mailbox *own)
{
    if (!own->unwaited)
        return false;
    own->unwaited = false;
    bool served = false;
    for (unsigned i = 0; i < own->all->count; i++) {
        struct mv_mailbox *other = own->all->box[i];
        if (other == own)
            continue;
        unsigned long long ticket = atomic_load(&other->posted);
        for (unsigned spins = 0; !is_done(other, ticket); spins++) {
            /* Two that wait for each other serve each other. */
            if (atomic_load(own->attention) & own->attention_bit) {
                mv_shootdown_serve(own);
                served = true;
            }
            if (spins > SPINS_BEFORE_YIELD)
                sched_yield();
        }
    }
    return served;
}

void mv_shootdown_finish_writes(const struct mv_mailboxes *all)
{
    for (unsigned i = 0; i < all->count; i++)
        post(all->box[i], &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_WRITES});
    for (unsigned i = 0; i < all->count; i++) {
        unsigned long long ticket = atomic_load(&all->box[i]->posted);
        while (!is_done(all->box[i], ticket))
            sched_yield();
    }
}
