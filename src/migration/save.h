/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_save: one save of a machine that runs to a state file, which is there whole or
 * not at all (output-file.h).  Bytes of memory are copied by a thread of the caller's that is
 * neither the main thread nor a vCPU's; what concerns the machine (its pause, its parts) is
 * done by the main thread meanwhile, whose loop has to go on.
 *
 * Live, memory is copied while the guest runs, and the guest stands still for the rest of it
 * and for its devices alone.  Else it stands still from the start.  It goes on as soon as all
 * has been read, unless it has a bank that stays outside of the file: that would go on
 * changing.  Then it stays paused, and the file is good for as long as it does (stale.h).
 *
 * What other processes write into shared memory that the file holds is not noticed.
 */
#ifndef MV_MIGRATION_SAVE_H
#define MV_MIGRATION_SAVE_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_loop;
struct mv_machine;
struct mv_save;
struct mv_track;
struct mv_tracks;

struct mv_save_params {
    struct mv_machine *machine;
    struct mv_loop *loop;
    const char *path; /* of the file; not kept */
    bool live;
    bool stays;                     /* the guest stays paused when it is saved */
    const char *base;               /* the state to build on, or NULL; not kept */
    const struct mv_tracks *tracks; /* of states that it may be; as they are during the save */
};

/* Main thread.  -EINVAL where the path is a file that the guest's memory lives in, -EEXIST where
 * it is one that is no state and not empty; as
 * mv_tracks_find, and output-file.h. */
int mv_save_create(const struct mv_save_params *params, struct mv_save **ret, struct mv_error *err);
/* Main thread, once the other one is done.  A guest that was stopped goes on, unless somebody
 * else stopped it, too. */
void mv_save_destroy(struct mv_save *save);

struct mv_save_figures {
    uint64_t memory;  /* bytes of all that was saved of it */
    uint64_t written; /* bytes of it that went to the file; what is zero did not */
    uint64_t shared;  /* bytes of it that were taken over from files of blocks by reflink */
    uint64_t length;  /* of the file */
    uint64_t ns, pause_ns;
    unsigned passes;
    bool stays_paused; /* since a bank stays outside */
};

/*
 * Do it, in the other thread.  `cancelled` may become true at any time: -ECANCELED, soon,
 * unless the file is in its place by then.  -ESHUTDOWN where the guest ended meanwhile,
 * -ENOSPC and its kin of the file; the file is as it was then, unless the message says so.
 */
int mv_save_run(struct mv_save *save, const atomic_bool *cancelled, struct mv_save_figures *ret,
                struct mv_error *err);

/* --- while it runs; the main thread's */

/* Whether the guest has to stand still for it now. */
bool mv_save_needs_pause(const struct mv_save *save);
const char *mv_save_path(const struct mv_save *save);
struct mv_save_progress {
    uint64_t total, done, written; /* bytes; the total grows with each pass */
    uint64_t shared;               /* bytes, as in the figures */
    unsigned passes;
};
struct mv_save_progress mv_save_progress(const struct mv_save *save);
/* A descriptor of the file of one that has been written, the caller's from here on; or -1. */
int mv_save_take_fd(struct mv_save *save);
/* What the guest writes since, the caller's from here on; NULL where none has been written. */
struct mv_track *mv_save_take_track(struct mv_save *save);

#endif
