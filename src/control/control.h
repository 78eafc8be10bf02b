/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_control: the control sockets of a VM and the clients that are
 * connected to them.  Speaks QMP (docs/man/memvisor-qmp.1).  Main thread.
 */
#ifndef MV_CONTROL_CONTROL_H
#define MV_CONTROL_CONTROL_H

#include "error.h"
#include "fork.h"
#include "loop.h"
#include "machine.h"
#include "stale.h"

#include <stdatomic.h>

#define MV_CONTROL_SOCKETS 2

/* What calc-dirty-rate left for query-dirty-rate. */
struct mv_dirty_rate {
    enum {
        MV_DIRTY_RATE_UNSTARTED,
        MV_DIRTY_RATE_MEASURING,
        MV_DIRTY_RATE_MEASURED,
    } state;
    uint64_t start_s; /* since the host was started */
    uint64_t calc_s;
    uint64_t bytes_per_second;
};

struct mv_restore;
struct mv_track;

/* commands-migration.c: a save that is under way, and what was saved of a guest that stands still.
 */
struct mv_saving {
    struct mv_save *save;   /* NULL: none is */
    bool live;              /* as it was asked for */
    atomic_bool *cancelled; /* its job's */
    int timer_fd;           /* tells of its progress; -1 while there is none */
    struct mv_loop_source *timer;
    struct mv_stale_files files;
    struct mv_track *track; /* what the guest wrote since it was saved last; or NULL */
};

/* The commands look at the machine, where it comes from and where it is saved to, and the rate. */
struct mv_control {
    struct mv_machine *machine;
    mv_clone_run_fn *run_clone;       /* what this process does as a clone; or NULL */
    const struct mv_restore *restore; /* the state that the VM goes on from; or NULL */
    struct mv_dirty_rate dirty_rate;
    struct mv_saving saving;
    struct mv_loop *loop;
    struct mv_machine_observer observer;
    struct mv_job *jobs; /* job.c's */
    struct mv_listener listeners[MV_CONTROL_SOCKETS];
    unsigned listener_count;
    struct mv_control_client *clients;
    unsigned client_count;
    bool turn_due; /* some client's input is served in the loop's next round */
    bool refusing; /* which was logged */
};

/* Becomes the machine's observer.  The machine and the loop outlive it. */
int mv_control_create(struct mv_loop *loop, struct mv_machine *machine, struct mv_control **ret,
                      struct mv_error *err);
/* May be NULL.  Clients get what is left for them as far as it fits.  The loop's thread. */
void mv_control_destroy(struct mv_control *control);

/*
 * Tell all clients of an event with json_pack's format and values: false where a value is no
 * UTF-8.  For the commands.
 */
bool mv_control_send_event(struct mv_control *control, const char *name, const char *format, ...);

/*
 * --- commands-migration.c
 */

/* QEMU's word of a guest that is paused for a save, or after one; NULL: for none of these. */
const char *mv_saving_status(const struct mv_control *control);
/* What the guest's memory was saved to is not good any more; -EBUSY while that is under way. */
int mv_saving_end_pause(struct mv_control *control, struct mv_error *err);
void mv_saving_end(struct mv_control *control);

/* Listen on one more Unix socket at `path`, of MV_CONTROL_SOCKETS at most. */
int mv_control_listen(struct mv_control *control, const char *path, struct mv_error *err);

#endif
