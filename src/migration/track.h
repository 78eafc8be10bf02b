/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_track: what a guest wrote since a state of it was saved, so that the next one can
 * build on that: a dirty log's cursor on each block that the state has.  Blocks that other
 * processes can write are left out, and so saved as a whole each time.  Main thread.
 */
#ifndef MV_MIGRATION_TRACK_H
#define MV_MIGRATION_TRACK_H

#include "error.h"

struct mv_save_plan;
struct mv_space;
struct mv_track;

/*
 * While the guest stands still and its memory is what the plan's state has.  The path is the
 * state's.  -ENOMEM.
 */
int mv_track_open(const struct mv_save_plan *plan, const char *path, struct mv_space *space,
                  struct mv_track **ret, struct mv_error *err);
/* May be NULL. */
void mv_track_close(struct mv_track *track);

/*
 * Whether a state of the same guest that is to be written to `path` can build on the one at
 * `base`: 0, or -EINVAL, which says why not, or why the base cannot be read.  `track` is that
 * of the state which was saved last, or NULL.
 */
int mv_track_check(const struct mv_track *track, const char *base, const char *path,
                   struct mv_error *err);
/*
 * Have the plan build on the track's state, which lies at `base`: parts of blocks that it
 * has, too, become partial.  -ENOMEM.
 */
int mv_track_apply(const struct mv_track *track, const char *base, struct mv_save_plan *plan,
                   struct mv_error *err);

#endif
