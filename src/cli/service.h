/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager's two protocols: sockets that it opened for us
 * (sd_listen_fds(3)) and what we tell it (sd_notify(3)).  No state.
 */
#ifndef MV_CLI_SERVICE_H
#define MV_CLI_SERVICE_H

#include "error.h"

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
