/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor's own words go to standard error as "memvisor: …\n", one write a
 * line so that lines of several threads stay whole.  Any thread may call.
 * While the terminal is raw, line ends become CR LF (mv_log_set_raw).
 */
#ifndef MV_BASE_LOG_H
#define MV_BASE_LOG_H

#include <stdbool.h>

void mv_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "memvisor: warning: …" */
void mv_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mv_log_set_raw(bool raw);

#endif
