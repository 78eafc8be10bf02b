/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt: lines that a user types at a terminal, with editing, history
 * and completion (libedit), while what else comes is shown above the line.
 */
#ifndef MV_CLI_PROMPT_H
#define MV_CLI_PROMPT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct mv_prompt_params {
    const char *text; /* "> " */
    /* What Tab completes: the i-th word, of letters, '-' and '_'; NULL behind the last. */
    const char *(*word)(void *opaque, size_t i);
    /* Called when fd can be read, to show what came; a negative errno ends the reading. */
    int fd;
    int (*show)(void *opaque, struct mv_error *err);
    /* A line, without its end: 0, 1 where it is the last, or a negative errno. */
    int (*take)(void *opaque, char *line, struct mv_error *err);
    void *opaque;
};

/* Whether standard input and output are a terminal on which lines can be edited. */
bool mv_prompt_possible(void);

/*
 * Read lines until the user is done (Ctrl-D), or `take` or `show` is: 0, or what failed.
 * Ctrl-C drops what is on the line, and ends the process where nothing is, as do other
 * signals, the terminal as it was.  The main thread's; after mv_prompt_possible.
 */
int mv_prompt_run(const struct mv_prompt_params *params, struct mv_error *err);

#endif
