/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: how a thread that saves or moves a machine has the main thread
 * do a step of it, by its loop, and waits for the end of that: so what both look at needs no
 * lock.  One thread asks at a time.
 */
#ifndef MV_MIGRATION_MAIN_STEP_H
#define MV_MIGRATION_MAIN_STEP_H

#include "error.h"

#include <pthread.h>
#include <stdatomic.h>

struct mv_loop;

typedef int mv_main_step_fn(void *opaque, struct mv_error *err);

struct mv_main_step {
    struct mv_loop *loop;
    pthread_mutex_t lock; /* of the rest: who has the turn */
    pthread_cond_t turned;
    enum { MV_STEP_NOTHING, MV_STEP_ASKED, MV_STEP_UNDER_WAY, MV_STEP_DONE } turn;
    mv_main_step_fn *fn;
    void *opaque;
    int result;
    struct mv_error *err;
};

/* Main thread; the end, once nobody asks any more, too. */
void mv_main_step_init(struct mv_main_step *step, struct mv_loop *loop);
void mv_main_step_end(struct mv_main_step *step);

/*
 * What fn returns.  -ECANCELED where `cancelled` got true before it began: the main thread may
 * be waiting for this one.  A step that has begun is always waited for.
 */
int mv_main_step_do(struct mv_main_step *step, mv_main_step_fn *fn, void *opaque,
                    const atomic_bool *cancelled, struct mv_error *err);

#endif
