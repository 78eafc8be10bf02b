/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_channel_address: the parts of a channel's address (channel.h has the
 * forms).  Text alone: nothing is opened, no name looked up.  No lock.  Called by
 * channel-open.c.
 */
#ifndef MV_STREAM_CHANNEL_ADDRESS_H
#define MV_STREAM_CHANNEL_ADDRESS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

#define MV_CHANNEL_HOST_MAX 255 /* bytes; a name of DNS has no more */

enum mv_channel_kind {
    MV_CHANNEL_TCP,
    MV_CHANNEL_UNIX,
    MV_CHANNEL_EXEC,
    MV_CHANNEL_FD,
};

struct mv_channel_address {
    enum mv_channel_kind kind;
    char host[MV_CHANNEL_HOST_MAX + 1]; /* tcp: without []; "": every address of this host */
    char port[6];
    const char *rest; /* unix: the path, exec: the command; part of the text */
    int in_fd, out_fd;
};

/* -EINVAL, with what is wrong and what to type. */
int mv_channel_address_parse(const char *uri, bool listens, struct mv_channel_address *ret,
                             struct mv_error *err);

#endif
