/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor's own words go to standard error as "memvisor: …\n", one write a
 * line so that lines of several threads stay whole.  Any thread may call.
 * While the terminal is raw, line ends become CR LF (mv_log_set_raw).
 *
 * Whoever reads them may not: a terminal that is stopped or full takes nothing, and
 * the guest's text, which often has the same one, fills it.  So from mv_log_begin on a
 * thread of its own writes, and nobody waits for it longer than a fraction of a second.
 * Until then, and where nobody else has to be served, each line is written by its caller.
 *
 * struct mv_progress: the bar of long work that is counted in bytes.  It shows
 * on standard error where that is a terminal, once the work has taken half a
 * second, and leaves no trace.  The owner begins and ends it; threads that do
 * the work add to it.
 *
 * Ctrl-C: a signal's handler wants long work to be cancelled, and the threads
 * that do it look whether it is.
 */
#ifndef MV_BASE_LOG_H
#define MV_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

void mv_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "memvisor: warning: …" */
void mv_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mv_log_set_raw(bool raw);
/* Where several processes write to one terminal: whose words they are.  Before there are threads.
 */
void mv_log_set_name(const char *name);

struct mv_error;

/*
 * Lines are written by a thread from now on, in their order.  A call returns when its line
 * is written, or after MV_LOG_WAIT_MS; while lines wait, the next ones return at once.  So
 * many wait at most; of more it is said, once the others are written, how many there were.
 * A process that was forked writes its lines itself until it begins anew.
 */
#define MV_LOG_WAIT_MS 100
#define MV_LOG_LINES   64
int mv_log_begin(struct mv_error *err);
/*
 * What waits gets a second more.  Where that does not do the thread stays, for as long as the
 * process does; another call may end it.
 */
void mv_log_end(void);

/* --- long work */

struct mv_progress {
    const char *what; /* "ram0: allocating" */
    uint64_t total;   /* bytes, not 0 */
    uint64_t start_ns;
    bool on_terminal;
    _Atomic uint64_t done;
    _Atomic uint64_t next_ns; /* when to draw again; whoever moves it draws */
    atomic_bool shown;
};

/* `what` is the owner's until the end. */
void mv_progress_begin(struct mv_progress *progress, const char *what, uint64_t total);
/* So many bytes more are done.  Any thread. */
void mv_progress_add(struct mv_progress *progress, uint64_t bytes);
/* No thread adds any more. */
void mv_progress_end(struct mv_progress *progress);

/* From now on, for the whole process.  Async-signal-safe. */
void mv_progress_cancel(void);
bool mv_progress_cancelled(void);

#endif
