/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs are a list of the main thread's.  A thread tells its end by `done` and
 * an eventfd, which the loop watches.  Called by the commands' files.
 */
#include "job.h"

#include "cleanup.h"
#include "loop.h"
#include "qmp-command.h"
#include "qmp-json.h"

#include "fault.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct mv_jobs {
    struct mv_job *first;
    int fd;
    struct mv_loop_source *source;
};

static void *run_thread(void *opaque)
{
    struct mv_job *job = opaque;
    uint64_t one = 1;
    int fd = job->jobs->fd;
    job->result = job->run(job, &job->answer, &job->err);
    if (mv_json_memory_failed() && job->result == 0)
        job->result = mv_error_set(&job->err, ENOMEM, "out of memory");
    atomic_store(&job->done, true);
    /* The job may be gone from here on. */
    ssize_t n = write(fd, &one, sizeof one);
    (void)n;
    return NULL;
}

/* Wait for the thread, take the job off the list, and answer. */
static void finish(struct mv_job *job)
{
    struct mv_job **link = &job->jobs->first;
    pthread_join(job->thread, NULL);
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    if (job->result == 0 && job->complete != NULL && !atomic_load(&job->cancelled))
        job->result = job->complete(job, &job->err);
    if (job->later != NULL)
        mv_qmp_later_finish(job->later, job->result, job->answer, &job->err);
    job->destroy(job);
}

static void on_done(void *opaque, uint32_t events)
{
    struct mv_jobs *jobs = opaque;
    uint64_t count;
    (void)events;
    ssize_t n = read(jobs->fd, &count, sizeof count);
    (void)n;
    /* An answer may let the next command start a job: so begin again at the head of the list. */
    for (struct mv_job *job = jobs->first; job != NULL;) {
        bool done = atomic_load(&job->done);
        struct mv_job *next = job->next;
        if (done)
            finish(job);
        job = done ? jobs->first : next;
    }
}

int mv_jobs_create(struct mv_loop *loop, struct mv_jobs **ret, struct mv_error *err)
{
    struct mv_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return mv_error_set_errno(err, ENOMEM, "jobs");
    jobs->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = jobs->fd < 0 ? mv_error_set_errno(err, errno, "jobs")
                         : mv_loop_add(loop, jobs->fd, EPOLLIN, on_done, jobs, &jobs->source, err);
    if (r < 0) {
        mv_jobs_destroy(jobs);
        return r;
    }
    *ret = jobs;
    return 0;
}

void mv_jobs_destroy(struct mv_jobs *jobs)
{
    if (jobs == NULL)
        return;
    for (struct mv_job *job = jobs->first; job != NULL; job = job->next)
        atomic_store(&job->cancelled, true);
    while (jobs->first != NULL)
        finish(jobs->first);
    if (jobs->source != NULL)
        mv_loop_remove(jobs->source);
    mv_cleanup_close(&jobs->fd);
    free(jobs);
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

int mv_jobs_start(struct mv_jobs *jobs, struct mv_job *job, struct mv_qmp_session *session,
                  struct mv_error *err)
{
    job->jobs = jobs;
    job->later = session == NULL ? NULL : mv_qmp_session_later(session);
    int errnum = session != NULL && job->later == NULL ? ENOMEM : start_thread(job);
    if (errnum != 0) {
        mv_qmp_later_forget(job->later);
        job->destroy(job);
        return mv_error_set_errno(err, errnum, "cannot start a thread");
    }
    job->next = jobs->first;
    jobs->first = job;
    return session == NULL ? 0 : MV_QMP_LATER;
}
