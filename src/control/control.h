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
#include "migrate-params.h"
#include "stale.h"
#include "ticker.h"
#include "track.h"

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

struct mv_qmp_call;
struct mv_restore;
struct mv_save_figures;

/* commands-migration.c: a save that is under way, and what was saved of a guest that stands still.
 */
struct mv_saving {
    struct mv_save *save;    /* NULL: none is */
    bool live;               /* as it was asked for */
    atomic_bool *cancelled;  /* its job's */
    struct mv_ticker ticker; /* tells of its progress */
    struct mv_stale_files files;
    struct mv_tracks tracks; /* what the guest wrote since it was saved, each time */
};

/* commands-migrate.c: what `migrate` goes by, and the move that is under way or was the last. */
struct mv_moving {
    struct mv_migrate_params params; /* QMP's */
    struct mv_migrate_params now;    /* of the move under way, which may have others */
    struct mv_send_limits limits;    /* the same, as the send looks at them */
    struct mv_send *send;            /* NULL: there was none */
    char *file;                      /* in its place: what `migrate` to file: writes; or NULL */
    struct mv_move_progress saved;   /* of that, once it is over */
    bool stays;                      /* the guest was saved there, and has not gone on since */
    atomic_bool *cancelled;          /* of the job; NULL: none is under way */
    char *failure;                   /* why the last one failed; or NULL */
    int told_stage;                  /* by events; -1: none of it */
    unsigned told_passes;
    struct mv_ticker ticker; /* tells of its progress */
    int fds[2];              /* that its address was given (mv_handed_place) */
};

/* A guest that comes from elsewhere: what `memvisor receive` has to do with its clients. */
struct mv_receive;
struct mv_incoming {
    struct mv_receive *receive; /* NULL: nobody listens yet */
    /* Listen, for migrate-incoming; -EBUSY where somebody does. */
    int (*listen)(void *opaque, const char *uri, const char *tls, struct mv_error *err);
    /* Give up what is awaited, for quit; called while there is no machine. */
    void (*quit)(void *opaque);
    void *opaque;
    int told_stage; /* the control's */
    unsigned told_passes;
};

/* The commands look at the machine, where it comes from and where it is saved to, and the rate. */
struct mv_control {
    struct mv_machine *machine;       /* NULL: it is awaited */
    struct mv_incoming *incoming;     /* or NULL */
    mv_clone_run_fn *run_clone;       /* what this process does as a clone; or NULL */
    const struct mv_restore *restore; /* the state that the VM goes on from; or NULL */
    const struct mv_clone *clone;     /* what this process is, of another VM; or NULL */
    struct mv_dirty_rate dirty_rate;
    struct mv_saving saving;
    struct mv_moving moving;
    struct mv_loop *loop;
    struct mv_machine_observer observer;
    struct mv_job *jobs;         /* job.c's */
    struct mv_handed_fd *handed; /* commands-fd.c's */
    struct mv_listener listeners[MV_CONTROL_SOCKETS];
    unsigned listener_count;
    struct mv_control_client *clients;
    unsigned client_count;
    bool turn_due; /* some client's input is served in the loop's next round */
    bool refusing; /* which was logged */
};

/*
 * Becomes the machine's observer.  The machine and the loop outlive it.  NULL: the machine is
 * made later, mv_control_take_machine, of a guest that comes from elsewhere.
 */
int mv_control_create(struct mv_loop *loop, struct mv_machine *machine, struct mv_control **ret,
                      struct mv_error *err);
void mv_control_take_machine(struct mv_control *control, struct mv_machine *machine);
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
/*
 * Begin to save to this file for `migrate`, after which the guest stays paused; the command is
 * answered at once, and mv_moving_saved called at the end.
 */
int mv_saving_move(struct mv_qmp_call *call, const char *path, struct mv_error *err);

/*
 * --- commands-migrate.c
 */

/* QEMU's word of a guest that is paused for a move, or after one; NULL: for none of these. */
const char *mv_moving_status(const struct mv_control *control);
bool mv_moving_is_under_way(const struct mv_moving *moving);
/* -EBUSY where one is, which must be over before something else can be done. */
int mv_moving_check(const struct mv_control *control, struct mv_error *err);
void mv_moving_init(struct mv_moving *moving);
/* commands-migration.c: `migrate` to a file is over, as `result` says. */
void mv_moving_saved(struct mv_control *control, int result, const struct mv_error *err,
                     const struct mv_save_figures *figures);
/* The guest goes on here. */
void mv_moving_resumed(struct mv_control *control);
/* No job is under way any more. */
void mv_moving_end(struct mv_control *control);

/* Whether a guest is awaited, or on its way: "inmigrate". */
bool mv_incoming_is_due(const struct mv_control *control);
/* Its stage or pass has changed: clients are told. */
void mv_incoming_changed(struct mv_control *control);
/* How far it is, for who watches. */
void mv_incoming_tell_progress(struct mv_control *control);

/*
 * --- commands-fd.c: descriptors that clients hand over
 */

/* The descriptor of this name, the caller's from here on; -1: there is none. */
int mv_handed_take(struct mv_control *control, const char *name, size_t len);
void mv_handed_clear(struct mv_control *control);
/*
 * An address with numbers in place of names of descriptors, to be freed.  The descriptors (-1:
 * none) are what a channel closes that takes them over; mv_handed_close closes those that none
 * took.
 */
int mv_handed_place(struct mv_control *control, const char *uri, int fds[2], char **ret,
                    struct mv_error *err);
void mv_handed_close(int fds[2]);

/* Listen on one more Unix socket at `path`, of MV_CONTROL_SOCKETS at most. */
int mv_control_listen(struct mv_control *control, const char *path, struct mv_error *err);

#endif
