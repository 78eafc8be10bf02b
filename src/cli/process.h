/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes.  No state, no lock. */
#ifndef MV_CLI_PROCESS_H
#define MV_CLI_PROCESS_H

#include "error.h"

#include <sys/types.h>

/*
 * --- what to look at where one does not answer: why it stands still, as far as the kernel
 * tells (proc(5): stat, status, wchan)
 */

#define MV_PROCESS_HINT 192

/* "process 7 is stopped by a signal: 'kill -CONT 7' lets it go on". */
void mv_process_hint(pid_t pid, char buf[MV_PROCESS_HINT]);

/* -ETIMEDOUT with that of the process that listens on the socket which fd is connected to. */
int mv_process_refuse_silent(int fd, unsigned seconds, struct mv_error *err);

/*
 * --- a service manager's two protocols: sockets that it opened for us (sd_listen_fds(3)) and
 * what we tell it (sd_notify(3))
 */

/*
 * The sockets that this process was started with, as descriptors 3 and up,
 * made non-blocking and closed on exec; none (0) where it was not started by
 * activation.  At most `max` are taken; a descriptor that listens on no stream
 * socket is -EINVAL.  Returns how many there are.
 */
int mv_service_sockets(int *fds, int max, struct mv_error *err);

/* Tell the manager `state`, such as "READY=1"; nothing where there is none. */
void mv_service_notify(const char *state);

#endif
