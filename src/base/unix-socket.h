/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets in the file system.  Paths may be longer than a socket's
 * address holds (unix(7): 108 bytes), as long as the last part fits.
 */
#ifndef MV_BASE_UNIX_SOCKET_H
#define MV_BASE_UNIX_SOCKET_H

#include "error.h"

/*
 * Listen at path.  The path appears once the socket listens, so that whoever finds it can
 * connect. It takes the place of a socket whose process is gone.  `what` names it in
 * messages.  The descriptor is non-blocking.  -EEXIST where the path is something else,
 * -EADDRINUSE where somebody listens there.
 */
int mv_unix_listen(const char *what, const char *path, int *ret_fd, struct mv_error *err);

/* Connect to path without waiting, and not blocking; -EAGAIN where the listener's queue is full. */
int mv_unix_connect_now(const char *what, const char *path, int *ret_fd, struct mv_error *err);
/* The same, trying again for timeout_ms (-1: for ever) while the queue is full; then -ETIMEDOUT. */
int mv_unix_connect_within(const char *what, const char *path, int timeout_ms, int *ret_fd,
                           struct mv_error *err);

#endif
