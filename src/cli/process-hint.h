/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to look at where a process does not answer: why it stands still, as far
 * as the kernel tells (proc(5): stat, status, wchan).  No state, no lock;
 * called by the verbs that wait for another process.
 */
#ifndef MV_CLI_PROCESS_HINT_H
#define MV_CLI_PROCESS_HINT_H

#include <stddef.h>
#include <sys/types.h>

#define MV_PROCESS_HINT 192

/* "process 7 is stopped by a signal: 'kill -CONT 7' lets it go on". */
void mv_process_hint(pid_t pid, char buf[MV_PROCESS_HINT]);

/* Of the process that listens on the socket that fd is connected to; 0 where that is not known. */
pid_t mv_process_of_peer(int fd);

#endif
