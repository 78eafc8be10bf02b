/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts become addresses, in a time that the caller sets: the C
 * library's call knows none and cannot be stopped, so that it runs in a thread
 * of its own, which is left behind where it takes too long.  No lock; any
 * thread.  Called by channel-tcp.c.
 */
#ifndef MV_STREAM_CHANNEL_RESOLVE_H
#define MV_STREAM_CHANNEL_RESOLVE_H

#include "channel-wait.h"
#include "error.h"

#include <netdb.h>

/*
 * The addresses of the host for streams, in the order in which they are to be tried;
 * to be freed by freeaddrinfo.  An empty host: every address of this one.  -ENOENT: it
 * has none; -ETIMEDOUT, -ECANCELED.
 */
int mv_channel_resolve(const char *uri, const char *host, const char *port,
                       const struct mv_channel_limit *limit, struct addrinfo **ret,
                       struct mv_error *err);

#endif
