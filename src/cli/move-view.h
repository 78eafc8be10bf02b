/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a move is, and what it came to, for send and receive: a bar, lines of JSON, a
 * sentence.  No state; main thread.
 */
#ifndef MV_CLI_MOVE_VIEW_H
#define MV_CLI_MOVE_VIEW_H

#include "move.h"

#include <jansson.h>
#include <stdio.h>

/* The bar on standard error, in place of the one before; and nothing, in place of it. */
void mv_move_view_draw(const char *status, const struct mv_move_progress *progress);
void mv_move_view_wipe(void);

/* Print a line of JSON, and give it away: -ENOMEM where it is NULL, or could not be made. */
int mv_move_view_print(FILE *out, json_t *line);
json_t *mv_move_view_progress(const char *status, const struct mv_move_progress *progress);
json_t *mv_move_view_end(const struct mv_move_progress *progress, const char *uri);

/* "512 MiB of memory in 2.31 s, …", to be freed; NULL without memory. */
char *mv_move_view_sentence(const struct mv_move_progress *progress);

#endif
