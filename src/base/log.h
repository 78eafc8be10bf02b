/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor's own words go to standard error as "memvisor: …\n", one write a
 * line so that lines of several threads stay whole.  Any thread may call.
 * While the terminal is raw, line ends become CR LF (mv_log_set_raw).
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
