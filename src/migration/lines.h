/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: struct mv_lines, the channels of one move, of which threads read
 * and write, each its own.  Any thread may end them all; a thread of the lines' own does so
 * when the move is cancelled, so that nobody who waits for a peer has to look.  What `lock`
 * guards is the list.
 */
#ifndef MV_MIGRATION_LINES_H
#define MV_MIGRATION_LINES_H

#include "error.h"
#include "move.h"

#include <pthread.h>
#include <stdatomic.h>

struct mv_channel;

struct mv_lines {
    struct mv_channel *channels[MV_MOVE_CHANNELS_MAX]; /* the first is the main one */
    unsigned count;
    struct mv_channel *visitor; /* one that may come to be among them, or NULL */
    pthread_mutex_t lock;       /* of these and the rest */
    bool ended;
    const atomic_bool *cancelled; /* while it is watched */
    pthread_t watcher;
    bool watched;
    pthread_cond_t unwatched;
};

void mv_lines_init(struct mv_lines *lines);
/* Once no thread is at them: closes all. */
void mv_lines_close(struct mv_lines *lines);

/* Takes over the channel: as the number-th.  Where they were ended before, it is, too. */
void mv_lines_add(struct mv_lines *lines, unsigned number, struct mv_channel *channel);
void mv_lines_end(struct mv_lines *lines);
/* Look after one that is the caller's still; NULL: no more. */
void mv_lines_visit(struct mv_lines *lines, struct mv_channel *channel);
/* Close all, and begin with none. */
void mv_lines_drop(struct mv_lines *lines);

/*
 * End them soon after *cancelled is true, until unwatch.  One thread's.  What was ended before
 * begins anew.
 */
int mv_lines_watch(struct mv_lines *lines, const atomic_bool *cancelled, struct mv_error *err);
void mv_lines_unwatch(struct mv_lines *lines);

#endif
