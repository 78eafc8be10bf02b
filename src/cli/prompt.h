/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_prompt: lines that a user types at a terminal, with editing, history
 * and completion (libedit), while what else comes is shown above the line.
 */
#ifndef MV_CLI_PROMPT_H
#define MV_CLI_PROMPT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct mv_prompt;

struct mv_prompt_params {
    const char *text; /* "> " */
    /* What Tab completes: words of letters, '-' and '_', by their list, which outlives the prompt. */
    const char *const *words;
    size_t word_count;
    /* Called when fd can be read, to show what came; a negative errno ends the reading. */
    int fd;
    int (*show)(void *opaque, struct mv_error *err);
    void *opaque;
};

/* Whether standard input and output are a terminal on which lines can be edited. */
bool mv_prompt_possible(void);

/* At most one in a process; the main thread's. */
int mv_prompt_open(const struct mv_prompt_params *params, struct mv_prompt **ret,
                   struct mv_error *err);
void mv_prompt_close(struct mv_prompt *prompt);

/*
 * The next line, without its end, to be used until the next call: 1; 0 where the user is
 * done (Ctrl-D); or what `show` returned.  Ctrl-C drops what is on the line, and
 * ends the process where nothing is, as do other signals, the terminal as it was.
 */
int mv_prompt_read(struct mv_prompt *prompt, char **ret_line, struct mv_error *err);

#endif
