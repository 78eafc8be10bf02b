/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the migration room: what fork.c and clone.c offer each other. */
#ifndef MV_MIGRATION_FORK_PARTS_H
#define MV_MIGRATION_FORK_PARTS_H

#include "fork.h"
#include "machine.h"

#include <pthread.h>

struct mv_fork {
    struct mv_machine *machine;
    struct mv_loop *loop;
    bool has_serial;
    enum mv_config_serial serial;
    char *serial_path; /* or NULL */
    bool paused, keep_shared;
    mv_clone_run_fn *run;
    struct mv_fork_clone *clones;
    size_t count;
    struct mv_fork_block {
        char *id;
        uint64_t generation;
    } * blocks; /* whose pages are brought together before */
    size_t block_count;
    struct mv_machine_saved *saved; /* the machine's parts, while it is forked */
    size_t saved_count;
    int reports[2]; /* a pipe, of struct mv_fork_report */
    pid_t template;
    void (*told)(void *opaque);
    void *opaque;
    atomic_size_t running, failed;
    uint64_t stopped_ns; /* when it was, by mv_now_ns */
    uint64_t pause_ns;
    /* The main thread's step, and what came of it. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stepped, dropped;
    int result;
    struct mv_error err;
};

/* What a clone says, in one write that no other mixes with (PIPE_BUF). */
struct mv_fork_report {
    size_t index;
    pid_t pid;
    bool failed;
    struct mv_error failure;
};

/* clone.c: the process is a template from here on. */
_Noreturn void mv_fork_template(struct mv_fork *fork);

#endif
