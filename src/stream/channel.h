/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_channel: a two-way stream of bytes to another process or host, and
 * the addresses that such streams are opened by:
 *
 *   tcp:HOST:PORT    an IPv6 address stands in []; listening, an empty HOST is
 *                    every address, and PORT 0 one that is free
 *   unix:PATH        a Unix socket
 *   exec:COMMAND     a command of /bin/sh: its standard input and output; its
 *                    errors go where ours go, and it has no terminal to ask at
 *   fd:N, fd:IN,OUT  descriptors that the process was started with
 *
 * One thread reads and one writes at a time; any thread may end the channel, and
 * whoever waits in it comes back at once.  No call waits for a peer without
 * looking at what ends it.  SIGPIPE must be ignored by the process.
 *
 * With TLS, all bytes go through it (1.3, both sides verified), and both sides
 * have accepted each other before connect or accept return.
 */
#ifndef MV_STREAM_CHANNEL_H
#define MV_STREAM_CHANNEL_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct mv_channel;
struct mv_channel_listener;
struct mv_channel_tls;

/* Where a time is a limit: there is none. */
#define MV_CHANNEL_FOREVER UINT64_MAX
/* How long a peer that was accepted may take to show who it is (TLS). */
#define MV_CHANNEL_HANDSHAKE_NS UINT64_C(10000000000)
/* How many may be at that at a time, and how many bytes one may be asked to send first. */
#define MV_CHANNEL_PENDING_MAX 16
#define MV_CHANNEL_FIRST_MAX   64

/*
 * Whether uri is such an address: 0, or -EINVAL with what is wrong and what to
 * type.  Opens nothing and asks no name server.
 */
int mv_channel_check(const char *uri, bool listens, struct mv_error *err);
/* Whether a good address takes several connections (tcp, unix) or is one (exec, fd). */
bool mv_channel_is_shared(const char *uri);

/*
 * What this side shows and asks for in TLS: "psk=FILE[,identity=NAME]" (a file as
 * psktool writes; the first identity in it unless one is named; listening, that one
 * alone where it is named) or "x509=DIR[,name=PEER]" (ca-cert.pem, server-cert.pem,
 * server-key.pem, client-cert.pem, client-key.pem, by what the side is; PEER is what
 * the other's certificate must be for: connecting, the host of the address where
 * none is named; listening, anybody of that CA).  The files are read here and once.
 * It stands for as long as a channel or a listener that was given it.
 */
int mv_channel_tls_open(const char *text, bool listens, struct mv_channel_tls **ret,
                        struct mv_error *err);
/* May be NULL. */
void mv_channel_tls_close(struct mv_channel_tls *tls);
/* Whether text is of that form; no file is read. */
int mv_channel_tls_check(const char *text, struct mv_error *err);

/*
 * Connect, in timeout_ns at most (names, all addresses of a name, and TLS together).
 * tls may be NULL: plain.  *cancelled (may be NULL) may become true at any time, in
 * any thread: -ECANCELED soon after.  -ETIMEDOUT; -EACCES where TLS refused the peer
 * or was refused by it; else what the system says.
 */
int mv_channel_connect(const char *uri, const struct mv_channel_tls *tls, uint64_t timeout_ns,
                       const atomic_bool *cancelled, struct mv_channel **ret, struct mv_error *err);

/*
 * Listen.  A Unix socket's path appears once it listens, and goes at the end.
 * `insecure`: also where others than this host can connect, without TLS; else that
 * is -EPERM, and the message names --insecure.
 */
int mv_channel_listen(const char *uri, const struct mv_channel_tls *tls, bool insecure,
                      struct mv_channel_listener **ret, struct mv_error *err);
/* The address to connect to, with the port that was found; as long as the listener. */
const char *mv_channel_listener_uri(const struct mv_channel_listener *listener);
/* Another time than MV_CHANNEL_HANDSHAKE_NS, for those who come from now on. */
void mv_channel_listener_set_handshake(struct mv_channel_listener *listener, uint64_t ns);
/*
 * For a protocol in which who connects speaks first: hand a peer out only once it has sent
 * `least` bytes (MV_CHANNEL_FIRST_MAX at most; where it has shown by TLS who it is, something),
 * or has closed, and refuse it where it did neither for ns (of those who come from now on).
 * exec and fd are handed out at once.
 */
void mv_channel_listener_set_first(struct mv_channel_listener *listener, size_t least, uint64_t ns);
/*
 * Wait for a peer for as long as it takes.  -ECANCELED as above.  -EACCES: this
 * peer was refused (or took too long to show who it is): say so, and accept again.
 * -ENXIO: exec and fd have brought their one connection.  Else the listener is dead.
 * One thread at a time.
 *
 * Peers of a socket are taken on side by side, each in its own time, and the first that is
 * ready is returned, so that none who says nothing or little delays another.  All others
 * stay with the listener, also beyond -ECANCELED: they go on in the next call, and are closed
 * with the listener without a word.  Their time goes on between calls.  There are places for
 * MV_CHANNEL_PENDING_MAX; where all are taken, the oldest gives way to who comes (-EACCES).
 */
int mv_channel_accept(struct mv_channel_listener *listener, const atomic_bool *cancelled,
                      struct mv_channel **ret, struct mv_error *err);
/* May be NULL. */
void mv_channel_listener_close(struct mv_channel_listener *listener);

/* Who is at the other end, for messages ("tcp:192.0.2.7:4444"); as long as the channel. */
const char *mv_channel_name(const struct mv_channel *channel);

/*
 * Fail with -ETIMEDOUT where a read or write finds that nothing went on for so long;
 * MV_CHANNEL_FOREVER at first.  Any thread; from the next wait on.
 */
void mv_channel_set_patience(struct mv_channel *channel, uint64_t ns);

/*
 * Read len bytes, all of them, or write them.  -ECANCELED: mv_channel_end was called.
 * -ENODATA: the other side closed, and not a byte of these was read; -ECONNRESET: it
 * closed or vanished in between; -EPIPE: it takes no more; -ETIMEDOUT; -EPROTO: it
 * does not keep to TLS, or speaks it where it was not asked for.  The message says whose
 * connection it was.  After a failure the direction is dead: the next call fails, too.
 * Unwritten bytes never wait in the channel: what was written is the kernel's.
 */
int mv_channel_read(struct mv_channel *channel, void *bytes, size_t len, struct mv_error *err);
int mv_channel_write(struct mv_channel *channel, const void *bytes, size_t len,
                     struct mv_error *err);
/* All pieces, one after the other, as one write. */
int mv_channel_writev(struct mv_channel *channel, const struct iovec *pieces, size_t count,
                      struct mv_error *err);
/*
 * Wait until there is something to read (1; also where the other side has closed),
 * for ns at most (0).  -ECANCELED as above.  With TLS a 1 may come before a whole
 * record has.  The reading thread's.
 */
int mv_channel_wait_readable(struct mv_channel *channel, uint64_t ns, struct mv_error *err);
/* Whether the other side has closed, whatever it said before and is not read yet.  At once. */
bool mv_channel_is_hung_up(const struct mv_channel *channel);

/*
 * Tell the other side that no more comes, then see to it that it has gone as it should:
 * all that it still sends is taken up to its end (any of it is -EPROTO), and a command's
 * status is 0, else -EIO.  timeout_ns in all.  A close without it may cut off a command,
 * and what was written last where the other side is still sending.  No other thread is
 * in the channel but one that ends it.
 */
int mv_channel_finish(struct mv_channel *channel, uint64_t timeout_ns, struct mv_error *err);

/* End both directions now.  Any thread, any number of times, until it is closed. */
void mv_channel_end(struct mv_channel *channel);
/* No thread is in it any more.  A command is ended and reaped.  May be NULL. */
void mv_channel_close(struct mv_channel *channel);

#endif
