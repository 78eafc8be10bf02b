/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_job: work for a command that takes long, done in a thread, so that
 * the loop and the guest's console go on.  Its answer is sent by the main
 * thread once it is done.
 */
#ifndef MV_CONTROL_JOB_H
#define MV_CONTROL_JOB_H

#include "error.h"
#include "qmp-session.h"

#include <pthread.h>
#include <stdatomic.h>

struct mv_loop;
struct mv_jobs;

struct mv_job {
    /*
     * Do it, in the thread: 0, and the answer in *ret (NULL: an empty object),
     * or a negative errno; soon where `cancelled` gets true.
     */
    int (*run)(struct mv_job *job, json_t **ret, struct mv_error *err);
    /* The rest of the work, in the main thread, for a job that has not failed; or NULL. */
    int (*complete)(struct mv_job *job, struct mv_error *err);
    void (*destroy)(struct mv_job *job);
    atomic_bool cancelled;
    /* The rest is job.c's own. */
    struct mv_jobs *jobs;
    struct mv_job *next;
    struct mv_qmp_later *later;
    pthread_t thread;
    atomic_bool done;
    int result;
    json_t *answer;
    struct mv_error err;
};

int mv_jobs_create(struct mv_loop *loop, struct mv_jobs **ret, struct mv_error *err);
/* Cancels those that run, and waits for them; may be NULL. */
void mv_jobs_destroy(struct mv_jobs *jobs);

/*
 * Start a job for the session's command, which is to return what this does:
 * MV_QMP_LATER, or a negative errno.  Owns the job in either case.  Without a
 * session (NULL) the command is answered at once: 0, and `run` leaves *ret alone.
 */
int mv_jobs_start(struct mv_jobs *jobs, struct mv_job *job, struct mv_qmp_session *session,
                  struct mv_error *err);

#endif
