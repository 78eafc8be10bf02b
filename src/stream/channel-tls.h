/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 over a channel's descriptors, by GnuTLS.  A session's reading and
 * writing thread share GnuTLS's state under the session's lock, which is held for a
 * record and never while waiting: GnuTLS itself promises less once it renews keys
 * (after 2^24 records).  The handshake belongs to the thread that opens the channel.
 * Called by channel.c, channel-open.c, channel-pending.c.
 *
 * Beneath the caller's bytes there is one byte of ours: what accepts a peer sends it, since
 * in TLS 1.3 the side that connects is done before the other has looked at its
 * certificate or key, and would learn too late that it is refused.
 */
#ifndef MV_STREAM_CHANNEL_TLS_H
#define MV_STREAM_CHANNEL_TLS_H

#include "channel-inside.h"

struct mv_tls_session;

/* What connects needs a name to check: -EINVAL where neither host ("") nor options have one. */
int mv_tls_check_peer(const struct mv_channel_tls *tls, const char *uri, const char *host,
                      struct mv_error *err);

/*
 * Set up to shake hands on a channel that nothing went through, and to check who that is;
 * host may be NULL.
 */
int mv_tls_begin(struct mv_channel *channel, const struct mv_channel_tls *tls, const char *host,
                 struct mv_error *err);
/*
 * Do of that what can be done without waiting: 0 once both sides have accepted each other;
 * -EAGAIN: call it again when *ret_wait has come, or give up when channel->opening ends, which
 * a step may draw nearer; -EACCES: the peer was refused, has been told and has gone, or it
 * refused us.
 */
int mv_tls_step(struct mv_channel *channel, struct pollfd *ret_wait, struct mv_error *err);
/*
 * After -EAGAIN, the words for the end: r is -ECANCELED, -ETIMEDOUT (-EACCES of a peer that was
 * accepted) or -EBUSY (-EACCES: its place is another's); of a peer that was refused before, that
 * is told.
 */
int mv_tls_give_up(struct mv_channel *channel, int r, struct mv_error *err);
/* All of it, waiting, within channel->opening. */
int mv_tls_open(struct mv_channel *channel, const struct mv_channel_tls *tls, const char *host,
                struct mv_error *err);
/* Part of mv_channel_close. */
void mv_tls_close(struct mv_channel *channel);
/* Say, in TLS, that no more comes. */
void mv_tls_bye(struct mv_channel *channel);

/* At least one byte, or 0: the other side said that no more comes. */
ssize_t mv_tls_read(struct mv_channel *channel, void *bytes, size_t len, struct mv_error *err);
int mv_tls_write(struct mv_channel *channel, const struct iovec *pieces, size_t count,
                 struct mv_error *err);
/* Whether the reading thread can go on without the descriptor. */
bool mv_tls_has_bytes(struct mv_channel *channel);

#endif
