/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_job: work for a command that takes long, done in a thread, so that
 * the loop and the guest's console go on.  Its answer is sent by the main
 * thread once it is done.
 */
#ifndef MV_CONTROL_JOB_H
#define MV_CONTROL_JOB_H

#include "error.h"
#include "qmp-command.h"

#include <pthread.h>
#include <stdatomic.h>

struct mv_job {
    /*
     * Do it, in the thread: 0, and the answer in *ret (NULL: an empty object),
     * or a negative errno; soon where `cancelled` gets true.
     */
    int (*run)(struct mv_job *job, json_t **ret, struct mv_error *err);
    /* The rest of the work, in the main thread, for a job that has not failed; or NULL. */
    int (*complete)(struct mv_job *job, struct mv_error *err);
    /* Of what it holds, in the main thread; or NULL. */
    void (*clear)(struct mv_job *job);
    /*
     * The error (MV_QMP_ERROR) that is told where the work was done and there is no memory for
     * what is to be told of it; NULL: that alone.
     */
    const char *lost;
    bool at_once; /* the command is answered when the job has begun, and `run` leaves *ret alone */
    atomic_bool cancelled;
    /* The rest is job.c's and the session's own. */
    struct mv_control *control;
    struct mv_job *next;
    struct mv_qmp_session *session; /* NULL: nobody waits for the answer, or no more */
    const struct mv_qmp_command *command;
    char *id; /* as JSON; or NULL */
    pthread_t thread;
    atomic_bool done;
    int result;
    bool lacking; /* memory for the answer */
    json_t *answer;
    struct mv_error err;
};

/*
 * Start a job, a copy of `wish` of `size` bytes, for a command, which is to return what this
 * does: MV_QMP_LATER, 0 where it is answered at once, or a negative errno.  Owns what the job
 * holds in either case.
 */
int mv_jobs_start(const struct mv_qmp_call *call, struct mv_job *wish, size_t size,
                  struct mv_error *err);
/* Cancels those that run, and waits for them. */
void mv_jobs_end(struct mv_control *control);

#endif
