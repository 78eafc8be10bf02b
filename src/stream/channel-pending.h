/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who have connected to a listener and are not handed out yet, side by side: they show
 * by TLS who they are, or have still to speak (mv_channel_listener_set_first).  None of them
 * can hold the others up.  There is an end to their number: the oldest one gives way to who
 * comes when all places are taken, since who knows how to go about it is done within some
 * round trips, and is among the youngest.  Who has shown by TLS who it is gives way to none
 * who has not.  The listener's thread's; no lock.  Called by channel-open.c.
 */
#ifndef MV_STREAM_CHANNEL_PENDING_H
#define MV_STREAM_CHANNEL_PENDING_H

#include "channel-inside.h"

struct mv_channel_peer {
    struct mv_channel *channel; /* its `opening` is the time that it has */
    bool shown;                 /* TLS is done with */
    bool has_part;              /* of its first bytes: poll cannot wait for the rest */
    struct pollfd wait;         /* for what */
};

struct mv_channel_pending {
    struct mv_channel_peer peers[MV_CHANNEL_PENDING_MAX]; /* the oldest first */
    size_t count;
    size_t first_least; /* what set_first said; 0: nothing */
    uint64_t first_ns;
};

/*
 * One who has connected: the channel is the list's from here on, also on failure.  tls may be
 * NULL; handshake_ns is the time for it.  -EACCES: it is in the list, and another gave way.
 */
int mv_channel_pending_add(struct mv_channel_pending *pending, struct mv_channel *channel,
                           const struct mv_channel_tls *tls, uint64_t handshake_ns,
                           struct mv_error *err);
/*
 * Go on with all until one is ready, 0, or is to be told of, -EACCES; that one is out of the
 * list.  -EAGAIN: all of them wait.
 */
int mv_channel_pending_take(struct mv_channel_pending *pending, struct mv_channel **ret,
                            struct mv_error *err);
/* Until somebody connects to fd, or one in the list has to be looked at: 0, or -ECANCELED. */
int mv_channel_pending_wait(const struct mv_channel_pending *pending, int fd,
                            const struct mv_channel_limit *limit);
void mv_channel_pending_close(struct mv_channel_pending *pending);

#endif
