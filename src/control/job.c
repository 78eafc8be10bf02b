/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs are a list of the control's, and the main thread's.  A thread tells its
 * end by `done` and a call that the loop makes.  Called by the commands' files.
 */
#include "job.h"

#include "control.h"
#include "fault.h"
#include "qmp-json.h"
#include "qmp-session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Wait for the thread, take the job off the list, and answer. */
static void finish(struct mv_job *job)
{
    struct mv_job **link = &job->control->jobs;
    pthread_join(job->thread, NULL);
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    if (job->result == 0 && !job->lacking && job->complete != NULL && !atomic_load(&job->cancelled))
        job->result = job->complete(job, &job->err);
    if (job->clear != NULL)
        job->clear(job);
    mv_qmp_session_finish(job);
    free(job->id);
    free(job);
}

static void on_done(void *opaque)
{
    struct mv_control *control = opaque;
    /* An answer may let the next command start a job: so begin again at the head of the list. */
    for (struct mv_job *job = control->jobs; job != NULL;) {
        bool done = atomic_load(&job->done);
        struct mv_job *next = job->next;
        if (done)
            finish(job);
        job = done ? control->jobs : next;
    }
}

static void *run_thread(void *opaque)
{
    struct mv_job *job = opaque;
    struct mv_control *control = job->control;
    job->result = job->run(job, &job->answer, &job->err);
    job->lacking = mv_json_memory_failed();
    atomic_store(&job->done, true);
    /* The job may be gone from here on; the control is not before the thread has ended. */
    mv_loop_defer(control->loop, on_done, control);
    return NULL;
}

/* Signals are for the main thread; threads inherit the mask. */
static int start_thread(struct mv_job *job)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&job->thread, NULL, run_thread, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

int mv_jobs_start(const struct mv_qmp_call *call, struct mv_job *wish, size_t size,
                  struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_job *job = malloc(size);
    int errnum = ENOMEM;
    if (job != NULL) {
        memcpy(job, wish, size);
        job->control = control;
        job->session = wish->at_once ? NULL : call->session;
        errnum = start_thread(job);
    }
    if (errnum != 0) {
        if (wish->clear != NULL)
            wish->clear(wish);
        free(job);
        return mv_error_set_errno(err, errnum, "cannot start a thread");
    }
    job->next = control->jobs;
    control->jobs = job;
    if (wish->at_once)
        return 0;
    call->session->job = job;
    return MV_QMP_LATER;
}

void mv_jobs_end(struct mv_control *control)
{
    for (struct mv_job *job = control->jobs; job != NULL; job = job->next)
        atomic_store(&job->cancelled, true);
    while (control->jobs != NULL)
        finish(control->jobs);
}
