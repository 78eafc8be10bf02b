/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM in this process: from a configuration to an exit status.  Everything here is the
 * main thread's.
 */
#include "vm.h"

#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "control.h"
#include "gdb.h"
#include "log.h"
#include "loop.h"
#include "machine.h"
#include "rundir.h"
#include "serial.h"
#include "signals.h"
#include "verb.h"
#include "vm-notify.h"

#include <string.h>

/* After the end of a guest that nobody waits for, its last output gets this long. */
#define DRAIN_MS 1000

struct run {
    const struct mv_vm *vm;
    struct mv_config *config;
    struct mv_loop *loop;
    struct mv_serial *serial;
    struct mv_rundir *rundir;
    struct mv_machine *machine;
    struct mv_control *control;
    struct mv_gdb *gdb;
    struct mv_machine_observer observer;
    struct mv_vm_notify notify;
    bool has_console; /* the guest has it */
    enum mv_machine_end end;
    enum mv_machine_cause cause;
};

static void end_by_signal(void *opaque)
{
    struct run *run = opaque;
    if (run->machine != NULL)
        mv_machine_request_quit(run->machine, MV_CAUSE_HOST_SIGNAL);
    else if (run->vm->interrupted != NULL)
        run->vm->interrupted(run->vm->opaque);
}

static void take_key(void *opaque, enum mv_escape_action action)
{
    struct run *run = opaque;
    if (action == MV_ESCAPE_QUIT)
        mv_machine_request_quit(run->machine, MV_CAUSE_HOST_UI);
    else if (action == MV_ESCAPE_POWER)
        mv_machine_request_powerdown(run->machine);
    else
        mv_machine_request_reset(run->machine, MV_CAUSE_HOST_UI);
}

/* A name that is taken is an error; without a folder for other reasons the VM runs all the same. */
static int make_rundir(struct run *run, struct mv_error *err)
{
    int r = mv_rundir_create(run->config->name, &run->rundir, err);
    if (r == -EEXIST || (r < 0 && run->vm->clone != NULL))
        return r;
    if (r < 0)
        mv_warn("no run-time folder, other programs will not find this VM: %s", err->text);
    return 0;
}

/* The VM's own socket may fail, with a warning; one that --qmp asked for may not. */
static int open_control(struct run *run, struct mv_error *err)
{
    int r = mv_control_create(run->loop, run->machine, &run->control, err);
    if (r == 0) {
        run->control->restore = run->vm->restore;
        run->control->clone = run->vm->clone;
        run->control->run_clone = mv_clone_run;
    }
    if (r == 0 && run->vm->controlled != NULL)
        run->vm->controlled(run->vm->opaque, run->control);
    if (r == 0 && run->config->qmp_path != NULL)
        r = mv_control_listen(run->control, run->config->qmp_path, err);
    if (r < 0 || run->rundir == NULL)
        return r;
    CLEANUP_FREE char *path = mv_rundir_file(run->rundir, MV_RUNDIR_QMP);
    if (path == NULL)
        return mv_error_set_errno(err, ENOMEM, "control socket");
    r = mv_control_listen(run->control, path, err);
    if (r < 0 && run->vm->clone != NULL)
        return r;
    if (r < 0)
        mv_warn("other verbs will not reach this VM: %s", err->text);
    return 0;
}

struct owner {
    struct mv_rundir *rundir;
    const char *path; /* NULL: any device's, or nobody's */
};

static void link_block(struct mv_block *block, void *opaque)
{
    const struct owner *owner = opaque;
    struct mv_error err;
    if (owner->path != NULL && strcmp(block->path, owner->path) != 0)
        return;
    CLEANUP_FREE char *target = mv_block_map_path(block);
    if (target != NULL && mv_rundir_link_block(owner->rundir, block->id, target, &err) < 0)
        mv_warn("%s", err.text);
}

/* Others find by these what they can map. */
static void link_device(void *opaque, const char *path, const char *id, bool is_there)
{
    struct run *run = opaque;
    struct owner owner = {run->rundir, path};
    if (is_there)
        mv_block_for_each(mv_machine_blocks(run->machine), link_block, &owner);
    else
        mv_rundir_unlink_blocks(run->rundir, path);
}

/* Without a folder there is no console either. */
static int place_serial(struct run *run, struct mv_error *err)
{
    if (!run->vm->own_serial || run->rundir == NULL)
        return 0;
    run->config->serial = MV_SERIAL_UNIX;
    run->config->serial_path = mv_rundir_file(run->rundir, MV_RUNDIR_SERIAL);
    return run->config->serial_path == NULL ? mv_error_set_errno(err, ENOMEM, "console") : 0;
}

static int start_console(struct run *run, struct mv_error *err)
{
    if (run->serial == NULL || run->has_console)
        return 0;
    run->has_console = true;
    return run->serial->ops->start(run->serial, mv_machine_uart(run->machine), err);
}

/* Until a guest is here its user talks to memvisor: Ctrl-C ends the wait. */
static void on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct run *run = opaque;
    struct mv_error err;
    if (event == MV_MACHINE_EVENT_RESUME && start_console(run, &err) < 0)
        mv_warn("the guest runs without its console: %s", err.text);
}

static int make_machine(struct run *run, struct mv_error *err)
{
    int r = run->vm->make(run->vm->opaque, run->loop,
                          run->serial == NULL ? NULL : &run->serial->backend, &run->machine, err);
    run->config = run->vm->config;
    if (r == 0 && run->rundir != NULL)
        link_device(run, NULL, NULL, true);
    return r;
}

static int make_controlled(struct run *run, struct mv_error *err)
{
    if (!run->vm->awaits) {
        int r = make_machine(run, err);
        return r == 0 ? open_control(run, err) : r;
    }
    int r = open_control(run, err);
    if (r == 0)
        mv_vm_notify_await(&run->notify);
    if (r == 0)
        r = make_machine(run, err);
    if (r == 0)
        mv_control_take_machine(run->control, run->machine);
    return r;
}

static int set_up(struct run *run, struct mv_error *err)
{
    int r = make_rundir(run, err);
    if (r == 0)
        r = place_serial(run, err);
    if (r == 0)
        r = mv_serial_create(run->config, run->loop, take_key, run, &run->serial, err);
    if (r == 0)
        r = make_controlled(run, err);
    /* Behind the control socket's, so that links are right when clients hear of a device. */
    run->observer = (struct mv_machine_observer){.event = run->vm->awaits ? on_event : NULL,
                                                 .device = run->rundir != NULL ? link_device : NULL,
                                                 .opaque = run};
    if (r == 0)
        mv_machine_observe(run->machine, &run->observer);
    if (r == 0 && run->config->gdb != NULL)
        r = mv_gdb_create(run->loop, run->machine, run->config->gdb, &run->gdb, err);
    return r;
}

static int start(struct run *run, struct mv_error *err)
{
    bool paused = run->config->paused || run->vm->awaits;
    int r = run->vm->awaits ? 0 : start_console(run, err);
    if (r == 0 && run->vm->begin != NULL)
        r = run->vm->begin(run->vm->opaque, err);
    if (r == 0)
        r = mv_machine_start(run->machine, paused, err);
    if (r == 0 && run->vm->begun != NULL)
        run->vm->begun(run->vm->opaque);
    /* A clone belongs to its parent's service. */
    if (r == 0 && run->vm->clone == NULL)
        mv_vm_notify_begin(&run->notify, run->machine);
    if (r == 0 && paused && !run->vm->awaits && run->vm->clone == NULL)
        mv_log("the virtual CPUs are paused: 'memvisor cont %s' lets them run", run->config->name);
    return r;
}

/* A guest that ended by itself may have a slow reader: wait, until a signal says no. */
static void drain(struct run *run)
{
    if (run->serial == NULL)
        return;
    if (run->end == MV_MACHINE_QUIT)
        run->serial->ops->drain(run->serial, DRAIN_MS);
    while (run->end != MV_MACHINE_QUIT && mv_signals_caught() == 0 &&
           !run->serial->ops->drain(run->serial, DRAIN_MS / 10))
        ;
}

static void tear_down(struct run *run)
{
    mv_vm_notify_end(&run->notify);
    mv_signals_release();
    if (run->serial != NULL)
        run->serial->ops->stop(run->serial);
    mv_gdb_destroy(run->gdb);
    mv_control_destroy(run->control);
    if (run->machine != NULL && run->vm->ending != NULL)
        run->vm->ending(run->vm->opaque);
    mv_machine_destroy(run->machine);
    if (run->serial != NULL)
        run->serial->ops->destroy(run->serial);
    mv_rundir_destroy(run->rundir);
    mv_loop_destroy(run->loop);
}

static int status_of(const struct run *run)
{
    int number = mv_signals_caught();
    if (run->end == MV_MACHINE_FAILED)
        return MV_STATUS_ERROR;
    if (run->end == MV_MACHINE_RESET) {
        mv_log("the guest reset itself, which ends it under --no-reboot");
        return MV_STATUS_GUEST_RESET;
    }
    if (run->end == MV_MACHINE_QUIT && number != 0) {
        mv_log("ended by SIG%s", sigabbrev_np(number));
        return MV_STATUS_SIGNAL + number;
    }
    if (run->end == MV_MACHINE_QUIT && run->cause != MV_CAUSE_HOST_MOVE)
        mv_log("ended by %s", run->cause == MV_CAUSE_HOST_QMP        ? "the command quit"
                              : run->cause == MV_CAUSE_HOST_DEBUGGER ? "the debugger"
                                                                     : "Ctrl-A X");
    return MV_STATUS_OK;
}

/* What is lost of the guest's memory is an error, however the guest ended. */
static int write_back(struct run *run, int result, struct mv_error *err)
{
    struct mv_error why;
    int r = mv_block_registry_write_back(mv_machine_blocks(run->machine), &why);
    if (r == 0)
        return result;
    mv_log("the guest's changes are lost: %s", why.text);
    return result < 0 ? result : mv_error_set(err, -r, "its memory is not all kept");
}

static int run_machine(struct run *run, struct mv_error *err)
{
    run->end = MV_MACHINE_QUIT;
    run->cause = MV_CAUSE_HOST_SIGNAL;
    int r = mv_signals_catch(run->loop, end_by_signal, run, err);
    if (r == 0)
        r = set_up(run, err);
    /* A signal that came while the guest was being loaded found no machine. */
    if (r == 0 && mv_signals_caught() == 0) {
        r = start(run, err);
        if (r == 0)
            run->end = mv_machine_wait(run->machine);
        run->cause = mv_machine_end_cause(run->machine);
        drain(run);
        r = write_back(run, r, err);
    }
    if (r == MV_VM_NONE) {
        run->cause = MV_CAUSE_HOST_QMP;
        return 0;
    }
    return r == -ECANCELED && mv_signals_caught() != 0 ? 0 : r;
}

int mv_vm_run(const struct mv_vm *vm)
{
    struct run run = {.vm = vm, .config = vm->config, .end = MV_MACHINE_POWERED_OFF};
    struct mv_error err;
    int r = 0;
    if (run.config->name == NULL && asprintf(&run.config->name, "vm-%d", (int)getpid()) < 0) {
        run.config->name = NULL;
        r = mv_error_set_errno(&err, ENOMEM, "the VM's name");
    }
    if (r == 0)
        r = mv_log_begin(&err);
    if (r == 0)
        r = mv_loop_create(&run.loop, &err);
    if (r == 0)
        r = run_machine(&run, &err);
    tear_down(&run);
    if (r < 0 && vm->failed != NULL)
        vm->failed(vm->opaque, &err);
    else if (r < 0)
        mv_log("%s", err.text);
    int status = r < 0 ? MV_STATUS_ERROR : status_of(&run);
    mv_log_end();
    return status;
}
