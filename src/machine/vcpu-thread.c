/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPUs' threads: in the engine, or waiting to be let in. */
#include "board.h"
#include "cleanup.h"

#include <signal.h>
#include <stdio.h>

static void *vcpu_main(void *opaque)
{
    struct mv_vcpu_thread *thread = opaque;
    struct mv_machine *machine = thread->machine;
    struct mv_vcpu *vcpu = thread->vcpu;
    MV_LOCK_SCOPE(&machine->lock);
    while (!machine->quitting) {
        if (machine->paused || !thread->powered) {
            pthread_cond_wait(&machine->changed, &machine->lock);
            continue;
        }
        thread->running = true;
        pthread_mutex_unlock(&machine->lock);
        enum mv_exit_reason reason = vcpu->ops->vcpu_run(vcpu);
        pthread_mutex_lock(&machine->lock);
        thread->running = false;
        pthread_cond_broadcast(&machine->changed);
        if (reason == MV_EXIT_HYPERCALL)
            mv_psci_call(thread);
    }
    return NULL;
}

int mv_vcpu_threads_start(struct mv_machine *machine, struct mv_error *err)
{
    /* Signals are the main thread's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = 0;
    for (unsigned i = 0; i < machine->config->cpus && r == 0; i++) {
        struct mv_vcpu_thread *thread = &machine->vcpus[i];
        char name[16];
        int errnum = pthread_create(&thread->thread, NULL, vcpu_main, thread);
        if (errnum != 0) {
            r = mv_error_set_errno(err, errnum, "cannot start the thread of vCPU %u", i);
            break;
        }
        thread->started = true;
        snprintf(name, sizeof name, "vcpu%u", i);
        pthread_setname_np(thread->thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

static bool any_running(const struct mv_machine *machine)
{
    for (unsigned i = 0; i < machine->config->cpus; i++)
        if (machine->vcpus[i].running)
            return true;
    return false;
}

static void kick_running(struct mv_machine *machine)
{
    for (unsigned i = 0; i < machine->config->cpus; i++)
        if (machine->vcpus[i].running)
            machine->vcpus[i].vcpu->ops->vcpu_kick(machine->vcpus[i].vcpu);
}

void mv_vcpu_threads_pause(struct mv_machine *machine)
{
    MV_LOCK_SCOPE(&machine->lock);
    machine->paused = true;
    kick_running(machine);
    while (any_running(machine))
        pthread_cond_wait(&machine->changed, &machine->lock);
}

void mv_vcpu_threads_resume(struct mv_machine *machine)
{
    MV_LOCK_SCOPE(&machine->lock);
    machine->paused = false;
    pthread_cond_broadcast(&machine->changed);
}

void mv_vcpu_threads_join(struct mv_machine *machine)
{
    {
        MV_LOCK_SCOPE(&machine->lock);
        machine->quitting = true;
        kick_running(machine);
        pthread_cond_broadcast(&machine->changed);
    }
    for (unsigned i = 0; i < machine->config->cpus; i++) {
        if (machine->vcpus[i].started)
            pthread_join(machine->vcpus[i].thread, NULL);
        machine->vcpus[i].started = false;
    }
}
