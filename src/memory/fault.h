/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to guest memory that the host cannot serve: the file behind a block
 * was shrunk, its disk is full or failing, no huge page is left.  The kernel
 * says so with SIGBUS in the thread that made the access.
 *
 * A thread that touches guest memory has a fault point around it, to which it
 * comes back by siglongjmp; what it does then is its own business.  Points
 * nest, the innermost counts.  The chain is the thread's own, and the handler runs in the
 * thread that made the access, so there is nothing to lock.  A SIGBUS with no point around it is
 * none of this file's: whoever handled it before does.
 */
#ifndef MV_MEMORY_FAULT_H
#define MV_MEMORY_FAULT_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

/*
 * How a thread waits for memory that is on its way (paging.h) where others may want it
 * meanwhile.
 */
struct mv_fault_waiter {
    /* Return once it was woken, which may have been before, or somebody wants the thread. */
    void (*wait)(struct mv_fault_waiter *waiter);
    void (*wake)(struct mv_fault_waiter *waiter); /* any thread, with a lock held */
};

struct mv_fault_point {
    sigjmp_buf jump;
    const uint8_t *address;         /* what could not be accessed; set before the jump */
    const void *code;               /* the host's instruction that did; NULL: it is not known */
    /* and the host's registers then: x86-64's general ones and SSE's, by their numbers */
    uint64_t registers[16], vectors[16][2];
    struct mv_fault_waiter *waiter; /* NULL: the thread waits for as long as it takes */
    struct mv_fault_point *outer;
};

/* What sigsetjmp returns after a fault, and after having waited for memory: try again. */
#define MV_FAULT_CAUGHT 2
#define MV_FAULT_WAITED 3

/* Handle SIGBUS from now on; once is enough, more do no harm. */
void mv_fault_init(void);
/*
 * For another handler of SIGBUS, as its first call with what it was called with: where a fault point is around the
 * access it jumps there and does not return.
 */
void mv_fault_catch(const siginfo_t *info, const void *context);

/*
 * This thread's faults go to the point, whose `jump` is set (savesigs 0 will
 * do) before an access is made, and its waiter, where it is to have one, behind this.
 */
void mv_fault_enter(struct mv_fault_point *point);
/* The innermost point, which is this one, is no more. */
void mv_fault_leave(const struct mv_fault_point *point);

/* --- for paging.c: the innermost point's */

struct mv_fault_waiter *mv_fault_waiter_of_thread(void);
/* Go there as after a fault at `address`; returns where there is no point. */
void mv_fault_jump(int why, const uint8_t *address);

/* All signals but SIGBUS: the mask for threads that are not to handle signals. */
void mv_fault_fill_mask(sigset_t *ret);

#endif
