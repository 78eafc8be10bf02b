/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of a running VM: those that end it in order, those that stop and continue the
 * process, and those of a crash.  Once a process.  And the terminal's raw mode, of which
 * every way out has to lead back.
 */
#ifndef MV_CLI_SIGNALS_H
#define MV_CLI_SIGNALS_H

#include "error.h"

struct mv_loop;

/*
 * From now on the first SIGINT, SIGTERM, SIGHUP or SIGQUIT makes the loop call
 * on_end(opaque), a second one ends the process at once; every way out
 * restores the terminal.
 */
int mv_signals_catch(struct mv_loop *loop, void (*on_end)(void *opaque), void *opaque,
                     struct mv_error *err);
/* Before the loop is destroyed: on_end is called no more. */
void mv_signals_release(void);

/*
 * In a process that was forked from one that caught signals: it has not, and the terminal is
 * the other's.
 */
void mv_signals_forget(void);

/* The number of the first signal that asked for an end; 0 while there is none. */
int mv_signals_caught(void);

/* --- the terminal: one a process */

/* Make the terminal fd raw, and remember how it was; also restores at exit(). */
int mv_terminal_enter(int fd, struct mv_error *err);
/* Put it back for good, where it is raw.  Async-signal-safe; any thread. */
void mv_terminal_leave(void);

#endif
