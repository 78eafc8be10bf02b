/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_track: what a guest wrote since a state of it was saved, so that a later one can
 * build on that: a dirty log's cursor on each block that the state has, which costs two bits
 * for each of its pages (64 KiB for 1 GiB) and, with each look at the log, what it takes to
 * hand that to one more.  Blocks that other processes can write are left out, and so saved as a
 * whole each time.
 *
 * struct mv_tracks: those of the states that were saved last, so that several can build on one.
 * Main thread.
 */
#ifndef MV_MIGRATION_TRACK_H
#define MV_MIGRATION_TRACK_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

/* The oldest is let go for another one. */
#define MV_TRACKS_MAX 8

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

/* Begins as zeros. */
struct mv_tracks {
    struct mv_track *list[MV_TRACKS_MAX]; /* the oldest first */
    size_t count;
    bool let_go; /* one was */
};

/* The track is the list's from here on. */
void mv_tracks_add(struct mv_tracks *tracks, struct mv_track *track);
void mv_tracks_clear(struct mv_tracks *tracks);
/*
 * The track of the state at `base`, on which one that is to be written to `path` can build:
 * good until the next one is added.  -EINVAL, which says why it cannot, or why the base cannot
 * be read.
 */
int mv_tracks_find(const struct mv_tracks *tracks, const char *base, const char *path,
                   const struct mv_track **ret, struct mv_error *err);

/*
 * Have the plan build on the track's state, which lies at `base`: parts of blocks that it
 * has, too, become partial.  -ENOMEM.
 */
int mv_track_apply(const struct mv_track *track, const char *base, struct mv_save_plan *plan,
                   struct mv_error *err);

#endif
