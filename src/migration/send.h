/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_send: a machine on its way to another process, which has called mv_receive_*
 * (receive.h) and where it goes on.  The work is done by a thread of the caller's that is
 * neither the main thread nor a vCPU's, and by threads of its own, one for each channel; what
 * concerns the machine is done by the main thread meanwhile, whose loop has to go on.
 *
 * Memory goes over in passes while the guest runs, then the guest stands still for the rest.
 * What becomes of it:
 *
 *   - anything that fails before the other end was permitted to let it run (MV_MOVE_HANDED)
 *     lets it go on here, if it ran, and its files are this process's as before;
 *   - from there on it stays paused and whole here until the other end has said that it runs
 *     (completed), or that it will not (it goes on here, which is a failed move).  A line that
 *     breaks before it said either leaves it paused: the message says so, and that `cont` is
 *     for when the other does not run;
 *   - where the move is completed it stays paused, too.
 *
 * While it stands still for that nobody lets it go on, resets it or changes its memory: the
 * send is an observer of the machine and refuses (-EBUSY).  Once it is paused for good,
 * whoever lets it go on takes its shared files back first, and is refused where the other end
 * has them.  So the send has to stay until the guest went on, or the machine ends.
 */
#ifndef MV_MIGRATION_SEND_H
#define MV_MIGRATION_SEND_H

#include "error.h"
#include "move.h"

#include <limits.h>
#include <stdatomic.h>

struct mv_loop;
struct mv_machine;
struct mv_send;

/* What may be changed while it runs, by any thread. */
struct mv_send_limits {
    _Atomic uint64_t bandwidth;        /* bytes a second over all channels; 0: as fast as it goes */
    _Atomic uint64_t follow_bandwidth; /* the same of what follows and nobody waits for */
    _Atomic uint64_t downtime_ns;      /* that is wished for */
    /* Percent of their time that vCPUs are kept from running where passes do not get shorter. */
    atomic_bool throttles;
    atomic_uint throttle_initial, throttle_increment, throttle_max;
};
/* QEMU's values: no limit, 300 ms, throttling on with 20, 10, 99. */
void mv_send_limits_init(struct mv_send_limits *limits);

#define MV_SEND_WHEN_ASKED UINT_MAX

struct mv_send_params {
    struct mv_machine *machine;
    struct mv_loop *loop;
    const char *uri;   /* as mv_channel_connect has it; not kept */
    const char *tls;   /* as mv_channel_tls_open has it, or NULL; not kept */
    unsigned channels; /* 1 to MV_MOVE_CHANNELS_MAX */
    bool zstd;         /* pages are compressed */
    /*
     * Memory may follow the guest, after so many passes, MV_SEND_WHEN_ASKED: once
     * mv_send_follow_now says so.  Where addresses take several channels there is one more.
     */
    bool follows;
    unsigned follow_after;
    const struct mv_send_limits *limits; /* outlives the send */
    /*
     * In the main thread, soon after the stage changed or a pass began; or NULL.  It may look
     * at the progress and must not destroy the send.
     */
    void (*changed)(void *opaque);
    void *opaque;
};

/*
 * Main thread.  No connection is made yet.  -EINVAL for an address that is none, or for several
 * channels over exec: or fd:; what mv_channel_tls_open says.
 */
int mv_send_create(const struct mv_send_params *params, struct mv_send **ret, struct mv_error *err);
/* Main thread, once the other one is done; at the machine's end at the latest.  May be NULL. */
void mv_send_destroy(struct mv_send *send);

/*
 * Do it, in the other thread.  `cancelled` may become true at any time: -ECANCELED, soon, and
 * the guest goes on, unless it was handed over by then; then what is waited for is given up
 * (process ends), and the guest stays paused.  -ESHUTDOWN where the guest ended meanwhile,
 * -ECONNREFUSED and its kin, -EPROTO where the other end breaks the protocol, -EREMOTEIO with
 * its own words where it refuses or fails.  0: it runs there, and all of it is there.
 */
int mv_send_run(struct mv_send *send, const atomic_bool *cancelled, struct mv_error *err);

/*
 * --- memory that follows its guest (postcopy)
 *
 * The guest is stopped at once and runs there, and what was not sent before follows.  From the
 * hand-over on this process has old memory of it: the guest cannot go on here.  A line that
 * breaks then (MV_MOVE_BROKEN) leaves all that did not arrive here, until mv_send_run is called
 * again after mv_send_take_up, over a new line to a receiver that was told to wait for that
 * (mv_receive_take_up); or it is given up, and then the guest may go on here as it was handed
 * over.
 */

/* Any thread.  -EINVAL where it may not follow, or does, or went whole. */
int mv_send_follow_now(struct mv_send *send, struct mv_error *err);
/* Main thread; mv_send_run is not running.  -EINVAL where it is not broken. */
int mv_send_take_up(struct mv_send *send, const char *uri, struct mv_error *err);
/* mv_send_run was not called after all. */
void mv_send_take_up_undo(struct mv_send *send);
int mv_send_give_up(struct mv_send *send, struct mv_error *err);
/* Any thread: end the lines while memory follows, as if they had broken.  -EINVAL where none does.
 */
int mv_send_break(struct mv_send *send, struct mv_error *err);

/* --- any thread, while it runs and after */

void mv_send_progress(struct mv_send *send, struct mv_move_progress *ret);

/* --- the main thread's, while it runs and after */

/* Where it goes, as it was given. */
const char *mv_send_uri(const struct mv_send *send);
/* Whether the guest has to stand still for it now ("finish-migrate"). */
bool mv_send_needs_pause(const struct mv_send *send);
/*
 * Whether the guest was handed over and has not gone on here since ("postmigrate"): it may run,
 * or runs, elsewhere.  Another send is to be refused.
 */
bool mv_send_is_handed_over(const struct mv_send *send);

#endif
