/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcast maintenance: TLBI …IS and IC on all vCPUs.  The issuing vCPU posts
 * to the mailbox of each other one and goes on; its DSB waits until all that
 * run have emptied theirs (but see mv_shootdown_code_line).  A vCPU that does
 * not run empties its own before it runs again, so nobody waits for it.
 */
#ifndef MV_SOFTMMU_SHOOTDOWN_H
#define MV_SOFTMMU_SHOOTDOWN_H

#include "engine.h"
#include "tlb.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_code_cache;

enum mv_shootdown_kind {
    MV_SHOOTDOWN_TLB_ALL,
    MV_SHOOTDOWN_TLB_ASID,    /* asid */
    MV_SHOOTDOWN_TLB_VA,      /* address; any ASID */
    MV_SHOOTDOWN_TLB_WRITES,  /* which pages may be written without a look-up */
    MV_SHOOTDOWN_CODE_LINE,   /* physical address */
    MV_SHOOTDOWN_CODE_ALL,
};

struct mv_shootdown {
    enum mv_shootdown_kind kind;
    uint16_t asid;
    uint64_t address;
};

/* The vCPUs that hear each other.  Does not change while any of them runs. */
struct mv_mailboxes {
    struct mv_mailbox *box[MV_VCPU_MAX];
    unsigned count;
};

/* A vCPU's; guarded by its lock, but for what is atomic, and `unwaited`, which is the owner's. */
#define MV_MAILBOX_SIZE 64
struct mv_mailbox {
    pthread_mutex_t lock;
    unsigned count;
    bool overflow; /* too much mail: flush everything */
    struct mv_shootdown mail[MV_MAILBOX_SIZE];
    atomic_ullong posted;
    atomic_ullong done;
    atomic_bool running; /* the owner executes guest code, so others wait for it */
    bool unwaited;       /* the owner has posted to others since its last DSB */
    /* --- set at its start, as is the lock */
    const struct mv_mailboxes *all;
    atomic_uint *attention; /* where the owner looks, by which bit it has mail */
    unsigned attention_bit;
    struct mv_tlb *tlb; /* the owner's, as is the code */
    struct mv_code_cache *code;
};

/* Do it on this vCPU, now. */
void mv_shootdown_local(struct mv_mailbox *own, const struct mv_shootdown *what);
/* Do it here and post it to all others. */
void mv_shootdown_broadcast(struct mv_mailbox *own, const struct mv_shootdown *what);
/* Have all vCPUs decode the 64-byte line at pa anew; the DSB does not wait for that. */
void mv_shootdown_code_line(struct mv_mailbox *own, uint64_t pa);
/* Have all vCPUs forget all translations and code before they run on; any thread. */
void mv_shootdown_post_all(const struct mv_mailboxes *all);
/*
 * Have all vCPUs look pages up again before they write to them, and return
 * once no write by an earlier look-up is under way.  Any thread but a vCPU's.
 */
void mv_shootdown_finish_writes(const struct mv_mailboxes *all);
/*
 * Wait until all that was posted before has been done (DSB).  True where this
 * vCPU has done others' mail meanwhile: it then has to leave its handlers, as
 * the page of code that it runs may be forgotten.
 */
bool mv_shootdown_wait(struct mv_mailbox *own);
/* Empty this vCPU's own mailbox. */
void mv_shootdown_serve(struct mv_mailbox *own);

#endif
