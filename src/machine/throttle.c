/* SPDX-License-Identifier: Apache-2.0 */
#include "throttle.h"

#include "cleanup.h"
#include "fault.h"
#include "os.h"
#include "vcpu-thread.h"

#include <signal.h>
#include <stdbool.h>

/* A turn, in which they run and are held once: a few of a guest's ticks, so that it hardly shows. */
#define TURN_NS (20 * 1000 * 1000)

struct mv_throttle {
    struct mv_vcpus *vcpus;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned percent;
    bool quit;
};

static void wait_ns(struct mv_throttle *throttle, uint64_t ns)
{
    uint64_t until = mv_now_ns() + ns;
    struct timespec when = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    MV_LOCK_SCOPE(&throttle->lock);
    if (!throttle->quit)
        pthread_cond_clockwait(&throttle->changed, &throttle->lock, CLOCK_MONOTONIC, &when);
}

/* How long they are held in the next turn; false at the end. */
static bool next_turn(struct mv_throttle *throttle, uint64_t *ret_held_ns)
{
    MV_LOCK_SCOPE(&throttle->lock);
    while (!throttle->quit && throttle->percent == 0)
        pthread_cond_wait(&throttle->changed, &throttle->lock);
    if (!throttle->quit)
        *ret_held_ns = TURN_NS / 100 * throttle->percent;
    return !throttle->quit;
}

static void *run_thread(void *opaque)
{
    struct mv_throttle *throttle = opaque;
    uint64_t held_ns;
    while (next_turn(throttle, &held_ns)) {
        mv_vcpus_hold(throttle->vcpus, true);
        wait_ns(throttle, held_ns);
        mv_vcpus_hold(throttle->vcpus, false);
        wait_ns(throttle, TURN_NS - held_ns);
    }
    return NULL;
}

int mv_throttle_create(struct mv_vcpus *vcpus, struct mv_throttle **ret, struct mv_error *err)
{
    struct mv_throttle *throttle = calloc(1, sizeof *throttle);
    sigset_t all, before;
    if (throttle == NULL)
        return mv_error_set_errno(err, ENOMEM, "slowing the vCPUs");
    throttle->vcpus = vcpus;
    pthread_mutex_init(&throttle->lock, NULL);
    pthread_cond_init(&throttle->changed, NULL);
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&throttle->thread, NULL, run_thread, throttle);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errnum != 0) {
        pthread_cond_destroy(&throttle->changed);
        pthread_mutex_destroy(&throttle->lock);
        free(throttle);
        return mv_error_set_errno(err, errnum, "cannot start the thread that slows the vCPUs");
    }
    *ret = throttle;
    return 0;
}

void mv_throttle_set(struct mv_throttle *throttle, unsigned percent)
{
    MV_LOCK_SCOPE(&throttle->lock);
    throttle->percent = percent < 99 ? percent : 99;
    pthread_cond_signal(&throttle->changed);
}

void mv_throttle_destroy(struct mv_throttle *throttle)
{
    if (throttle == NULL)
        return;
    {
        MV_LOCK_SCOPE(&throttle->lock);
        throttle->quit = true;
        pthread_cond_signal(&throttle->changed);
    }
    pthread_join(throttle->thread, NULL);
    pthread_cond_destroy(&throttle->changed);
    pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}
