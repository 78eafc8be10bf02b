/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_receive: a machine that comes from another process (send.h), from the wait for
 * that until the machine has ended.  The main thread's, but for what says otherwise.
 *
 *     mv_receive_listen    others can connect; where to, says mv_receive_uri
 *     mv_receive_accept    waits for the sender, and for what it says of the machine, which
 *                          with the options that replace it comes to a configuration.  The
 *                          loop need not run
 *     mv_receive_machine   the machine, every block and device matched by its identity; the
 *                          sender hears that it may send, or why it is refused
 *     mv_receive_begin     memory and devices come in, by threads, while the loop runs: clients
 *                          of the control socket are served ("inmigrate").  The machine has
 *                          been or will be started, paused, whatever its configuration says.
 *                          When all has come, and the sender permits it, the guest is let go
 *                          from the loop; `ended` is called then, or when that has failed
 *     mv_receive_stop      the machine is about to be destroyed
 *     mv_receive_end       it is no more
 *
 * Until the guest is let go nobody else lets it go on, resets it or changes its memory: the
 * receive is an observer of the machine and refuses (-EBUSY).  Where the move fails, the
 * machine is asked to end with MV_CAUSE_HOST_ERROR, of which comes MV_MACHINE_FAILED: it never
 * ran.
 */
#ifndef MV_MIGRATION_RECEIVE_H
#define MV_MIGRATION_RECEIVE_H

#include "config.h"
#include "error.h"
#include "move.h"

#include <stdatomic.h>

struct mv_loop;
struct mv_machine;
struct mv_receive;
struct mv_serial_backend;

struct mv_receive_params {
    const char *uri; /* as mv_channel_listen has it; not kept */
    const char *tls; /* as mv_channel_tls_open has it, or NULL; not kept */
    bool insecure;   /* without TLS on any address */
    /*
     * Main thread: all that was tried is over.  result 0: the guest runs, or is here and stays
     * paused (as it was at the sender, or `paused` was given); else a negative errno, with a
     * message that nobody has said yet.  Or NULL.
     */
    void (*ended)(void *opaque, int result, const struct mv_error *err);
    /* Main thread, soon after the stage changed or a pass began; or NULL. */
    void (*changed)(void *opaque);
    void *opaque;
};

/* What mv_channel_listen says. */
int mv_receive_listen(const struct mv_receive_params *params, struct mv_receive **ret,
                      struct mv_error *err);
/* With the port that was chosen where it was 0. */
const char *mv_receive_uri(const struct mv_receive *receive);
/*
 * May be called in another thread than the main one, which may look at uri and progress
 * meanwhile.  `wish` has what else was given, no file; what is in its configuration becomes the
 * receive's, whether this fails or not.  `wish->config.paused`: the guest stays paused when it is
 * here. Connections that are no sender's are dropped with a warning.  -ECANCELED soon after
 * `cancelled` became true; else what does not match, which the sender hears, too.
 */
int mv_receive_accept(struct mv_receive *receive, struct mv_config_restore *wish,
                      const atomic_bool *cancelled, struct mv_error *err);
/* What the machine is made of; its name may be set.  The receive's. */
struct mv_config *mv_receive_config(struct mv_receive *receive);
/* The name of the VM at the sender; the receive's. */
const char *mv_receive_name(const struct mv_receive *receive);
int mv_receive_machine(struct mv_receive *receive, struct mv_loop *loop,
                       struct mv_serial_backend *serial, struct mv_machine **ret,
                       struct mv_error *err);
int mv_receive_begin(struct mv_receive *receive, struct mv_error *err);
/* Instead of mv_receive_begin: the sender, which was told that it may send, hears why not. */
void mv_receive_refuse(struct mv_receive *receive, const struct mv_error *why);
/* Before the machine is destroyed, where it was made: ends what is under way. */
void mv_receive_stop(struct mv_receive *receive);
/* Once the machine is destroyed, or was not made, whatever failed.  May be NULL. */
void mv_receive_end(struct mv_receive *receive);

/*
 * Memory that comes after the guest (the sender's wish): it runs from when it was let go, and
 * `ended` comes once all is here.  A line that breaks before that stops it (MV_MOVE_BROKEN), and
 * nobody lets it go on until the sender has connected again, to the address that is given here,
 * with the TLS of the first; an address that was given before counts no more.  Main thread;
 * returns at once.  -EINVAL where none broke; else what mv_channel_listen says.
 */
int mv_receive_take_up(struct mv_receive *receive, const char *uri, struct mv_error *err);
/* End the lines while memory follows, as if they had broken.  Any thread.  -EINVAL as above. */
int mv_receive_break(struct mv_receive *receive, struct mv_error *err);

/* Whether it is still to be had ("inmigrate"): begun, and neither completed nor failed. */
bool mv_receive_is_under_way(const struct mv_receive *receive);
/* Any thread; from mv_receive_listen on (MV_MOVE_SETUP). */
void mv_receive_progress(struct mv_receive *receive, struct mv_move_progress *ret);

#endif
