/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_watch: what is shown anew each second.  On a terminal each frame
 * takes the place of the one before, on a screen of its own that leaves the
 * user's as it was, within the window; the last frame stays when it ends.
 * Into a file or pipe frames go one after another.
 */
#ifndef MV_CLI_WATCH_H
#define MV_CLI_WATCH_H

#include "error.h"
#include "screen.h"

#define MV_WATCH_MS 1000

/* At most one at a time in a process.  Ctrl-C and its kin end the process in order. */
void mv_watch_begin(void);

/* Where the next frame is to be printed (NULL: no memory), and then: show it. */
FILE *mv_watch_frame(struct mv_error *err);
int mv_watch_show(const struct mv_screen *screen, struct mv_error *err);

void mv_watch_end(void);

#endif
