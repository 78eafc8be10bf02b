/* SPDX-License-Identifier: Apache-2.0 */
#include "main-step.h"

#include "cleanup.h"
#include "loop.h"
#include "os.h"

#define CANCEL_NS (20 * 1000 * 1000)

void mv_main_step_init(struct mv_main_step *step, struct mv_loop *loop)
{
    *step = (struct mv_main_step){.loop = loop};
    pthread_mutex_init(&step->lock, NULL);
    pthread_cond_init(&step->turned, NULL);
}

void mv_main_step_end(struct mv_main_step *step)
{
    mv_loop_forget(step->loop, step);
    pthread_cond_destroy(&step->turned);
    pthread_mutex_destroy(&step->lock);
}

static void take_step(void *opaque)
{
    struct mv_main_step *step = opaque;
    pthread_mutex_lock(&step->lock);
    bool asked = step->turn == MV_STEP_ASKED;
    if (asked)
        step->turn = MV_STEP_UNDER_WAY;
    pthread_mutex_unlock(&step->lock);
    if (!asked)
        return; /* it was cancelled meanwhile */
    int r = step->fn(step->opaque, step->err);
    MV_LOCK_SCOPE(&step->lock);
    step->result = r;
    step->turn = MV_STEP_DONE;
    pthread_cond_signal(&step->turned);
}

int mv_main_step_do(struct mv_main_step *step, mv_main_step_fn *fn, void *opaque,
                    const atomic_bool *cancelled, struct mv_error *err)
{
    MV_LOCK_SCOPE(&step->lock);
    step->fn = fn;
    step->opaque = opaque;
    step->err = err;
    step->turn = MV_STEP_ASKED;
    mv_loop_defer(step->loop, take_step, step);
    while (step->turn != MV_STEP_DONE) {
        uint64_t until = mv_now_ns() + CANCEL_NS;
        struct timespec when = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_clockwait(&step->turned, &step->lock, CLOCK_MONOTONIC, &when);
        if (step->turn == MV_STEP_ASKED && atomic_load(cancelled)) {
            step->turn = MV_STEP_NOTHING;
            return mv_error_set(err, ECANCELED, "cancelled");
        }
    }
    step->turn = MV_STEP_NOTHING;
    return step->result;
}
