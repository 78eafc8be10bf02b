/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_fork: a running guest becomes several.  The guest stands still while its devices
 * are saved to memory and this process forks; then it goes on.  The new process, a template,
 * forks once for each clone, so that no guest waits for that.  A clone drops all descriptors
 * but those of its memory and of what a reset boots, builds a machine of its own, whose blocks
 * take over the mappings that came along, and loads the devices into it.  Clone and guest
 * share each page of memory until one of them writes it.
 *
 * struct mv_clone: this process as a clone, from its beginning to its end.
 */
#ifndef MV_MIGRATION_FORK_H
#define MV_MIGRATION_FORK_H

#include "config.h"
#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mv_clone;
struct mv_fork;
struct mv_loop;
struct mv_machine;
struct mv_serial_backend;

/* Be the VM, until it ends; the process's exit status.  Main thread, deep in its stack. */
typedef int mv_clone_run_fn(struct mv_clone *clone);

#define MV_FORK_CLONES_MAX 4096

struct mv_fork_params {
    struct mv_machine *machine;
    struct mv_loop *loop;
    const char *const *names; /* of the clones */
    size_t count;             /* 1..MV_FORK_CLONES_MAX */
    /*
     * Of their consoles; NULL: sockets in their run-time folders.  Each %n in the path is
     * the clone's name.
     */
    const struct mv_config *serial;
    bool paused;      /* the clones do not run yet */
    bool keep_shared; /* memory that others can write is theirs, too */
    mv_clone_run_fn *run;
    /* NULL, or: another clone runs, or does not.  In the thread of mv_fork_run. */
    void (*told)(void *opaque);
    void *opaque;
};

/*
 * Main thread.  -EEXIST where a name is there twice, -EBUSY where memory is shared and that
 * is not meant.  Nothing of `params` is kept but the machine and the loop.
 */
int mv_fork_create(const struct mv_fork_params *params, struct mv_fork **ret, struct mv_error *err);
/* Main thread, once mv_fork_run has returned. */
void mv_fork_destroy(struct mv_fork *fork);

struct mv_fork_clone {
    char *name;
    pid_t pid;               /* 0: there is none */
    struct mv_error failure; /* why it does not run; empty where it does */
};

struct mv_fork_result {
    const struct mv_fork_clone *clones; /* the fork's, as many as there were names */
    size_t failed;                      /* how many of them do not run */
    uint64_t pause_ns;                  /* that a guest which ran stood still */
    uint64_t ns;                        /* until all clones were there */
};

/*
 * Do it, in a thread that is neither the main thread nor a vCPU's; the main thread's loop
 * goes on meanwhile.  Returns once each clone runs, or does not.  `cancelled` may become true
 * at any time: -ECANCELED, where no clone was made.
 */
int mv_fork_run(struct mv_fork *fork, const atomic_bool *cancelled, struct mv_fork_result *ret,
                struct mv_error *err);

/* How many clones run, and do not, until now.  Any thread. */
void mv_fork_progress(struct mv_fork *fork, size_t *ret_running, size_t *ret_failed);

/* --- in a clone */

struct mv_config *mv_clone_config(struct mv_clone *clone);
/* Whether its console is to be where nobody said. */
bool mv_clone_has_own_serial(const struct mv_clone *clone);
/* As mv_machine_create; its state is loaded. */
int mv_clone_machine(struct mv_clone *clone, struct mv_loop *loop, struct mv_serial_backend *serial,
                     struct mv_machine **ret, struct mv_error *err);
struct mv_clone_info {
    const char *parent; /* name of the guest that was forked */
    bool has_begun;     /* the clone was let go once: */
    uint64_t first_ns;  /* how long after that guest was stopped for it, nanoseconds */
    /* Page faults since then. */
    uint64_t minor_faults, major_faults;
};
/* The text is the clone's. */
void mv_clone_describe(const struct mv_clone *clone, struct mv_clone_info *ret);
/*
 * It runs, or what kept it from that (NULL: nothing): told to the process that forked it, once.
 * False where it was told before.
 */
bool mv_clone_tell(struct mv_clone *clone, const struct mv_error *failure);

#endif
