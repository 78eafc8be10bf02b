/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal's raw mode and the way back from it.  One terminal a process.
 * All but mv_terminal_enter are async-signal-safe and may be called by any
 * thread, any number of times.
 */
#ifndef MV_CLI_TERMINAL_H
#define MV_CLI_TERMINAL_H

#include "error.h"

#include <stdbool.h>

/* Make the terminal fd raw, and remember how it was; also restores at exit(). */
int mv_terminal_enter(int fd, struct mv_error *err);
/* Put it back for good.  Nothing happens where it is not raw. */
void mv_terminal_leave(void);

/* Put it back while the process is stopped; make it raw again. */
void mv_terminal_suspend(void);
void mv_terminal_resume(void);

#endif
