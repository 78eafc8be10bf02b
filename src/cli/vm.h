/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM in this process, for the verbs that make one: its run-time folder, its console, its
 * machine, its sockets; it runs until it ends or a signal ends it.  Main thread.
 */
#ifndef MV_CLI_VM_H
#define MV_CLI_VM_H

#include "error.h"

#include <stdbool.h>

struct mv_clone;
struct mv_config;
struct mv_control;
struct mv_loop;
struct mv_machine;
struct mv_restore;
struct mv_serial_backend;

struct mv_vm {
    struct mv_config *config;         /* gets a name where it has none; outlives the call */
    const struct mv_restore *restore; /* the state that it comes from; or NULL */
    /* Make the machine of it, as mv_machine_create does; or MV_VM_NONE. */
    int (*make)(void *opaque, struct mv_loop *loop, struct mv_serial_backend *serial,
                struct mv_machine **ret, struct mv_error *err);
    /* Its vCPUs are about to be let go.  May be NULL. */
    int (*begin)(void *opaque, struct mv_error *err);
    /* They were, or are paused.  May be NULL. */
    void (*begun)(void *opaque);
    /* The machine, where it was made, is about to be destroyed.  May be NULL. */
    void (*ending)(void *opaque);
    /* What went wrong, in place of its being said.  May be NULL. */
    void (*failed)(void *opaque, const struct mv_error *err);
    /*
     * Its guest comes from elsewhere: the control sockets are there first, and `make`, which may
     * run the loop, may come to another `config`.  The machine is started paused, and who brings
     * the guest lets it go; from then on the console is its.
     */
    bool awaits;
    void (*controlled)(void *opaque, struct mv_control *control); /* before clients come */
    void (*interrupted)(void *opaque); /* by a signal, while there is no machine */
    /* Its folder and socket are all that anybody has of a clone: it needs both.  Or NULL. */
    const struct mv_clone *clone;
    bool own_serial; /* the console is a socket in the run-time folder, whatever `config` says */
    void *opaque;
};

/* Of `make`: there is no machine, and that is no error, since the user gave up. */
#define MV_VM_NONE 1

/* Returns the exit status; what went wrong is said.  The machine is no more then. */
int mv_vm_run(const struct mv_vm *vm);

/* fork.c: be a clone, as fork.h has it. */
int mv_clone_run(struct mv_clone *clone);

#endif
