/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a struct mv_channel is made of, for the files that make channels and for
 * those that carry its bytes.  `reading` fields are the reading thread's, `writing`
 * ones the writing thread's; `ended` and `patience_ns` are anybody's; the rest
 * stays as it was made.  Called by channel*.c alone.
 */
#ifndef MV_STREAM_CHANNEL_INSIDE_H
#define MV_STREAM_CHANNEL_INSIDE_H

#include "channel-wait.h"
#include "channel.h"

#include <netdb.h>
#include <sys/types.h>

struct mv_tls_session;

/* A descriptor that a channel owns, and what it was like before. */
struct mv_channel_end {
    int fd;
    bool is_socket;
    bool restore_blocking; /* others have the open file, too, and want it as it was */
};

struct mv_channel {
    char *name;
    struct mv_channel_end in, out; /* of one socket, the descriptor and a copy of it */
    bool accepted;                 /* the other side connected to this one */
    int end_fd;                    /* an eventfd, readable once it was ended */
    atomic_bool ended;
    _Atomic uint64_t patience_ns;
    struct mv_channel_limit opening; /* counts until the channel is handed out */
    bool opens;                      /* TLS is being set up: no raw call waits */
    struct mv_tls_session *tls;      /* or NULL: plain */
    bool had_child;                  /* it is exec's */
    pthread_mutex_t child_lock;      /* guards the two below */
    pid_t child;                     /* not reaped; or 0 */
    int child_status;                /* of waitpid, once it was */
    bool reading_begun;
    int reading_error, writing_error; /* a negative errno: the direction is dead */
};

/*
 * A channel over descriptors, which are its own from here on, also on failure; in_fd
 * and out_fd may be one.  Copies the name.
 */
int mv_channel_create(const char *name, int in_fd, int out_fd, struct mv_channel **ret,
                      struct mv_error *err);

/*
 * At least one byte, as the descriptors have them, beneath TLS: how many; 0 at the end of the
 * stream; -ECANCELED, -ETIMEDOUT or what the system said, without a word.  While the channel
 * `opens` they are -EAGAIN where they would wait.
 */
ssize_t mv_channel_raw_read(struct mv_channel *channel, void *bytes, size_t len);
ssize_t mv_channel_raw_write(struct mv_channel *channel, const struct iovec *pieces, size_t count);
/* Tell the other side that no more comes. */
void mv_channel_raw_shut(struct mv_channel *channel);
/* Whether the channel waits no more: what waits has to look. */
struct mv_channel_limit mv_channel_limit_now(const struct mv_channel *channel);
/* What an errno of the raw functions means; returns it. */
int mv_channel_tell(const struct mv_channel *channel, int error, struct mv_error *err);

/* Whether these first bytes of a stream are TLS's own: a handshake or an alert. */
bool mv_channel_is_tls(const uint8_t *bytes, size_t len);

/* --- channel-tcp.c, channel-exec.c: what makes descriptors, all of them not blocking */

int mv_channel_tcp_connect(const char *uri, const char *host, const char *port,
                           const struct mv_channel_limit *limit, int *ret_fd, struct mv_error *err);
/* One of a name's addresses: its socket, or a negative errno, of the last one that was tried. */
int mv_channel_tcp_connect_any(const struct addrinfo *addresses,
                               const struct mv_channel_limit *limit);
/* -EPERM where others than this host could connect and that is not `open_to_others`. */
int mv_channel_tcp_listen(const char *uri, const char *host, const char *port, bool open_to_others,
                          int *ret_fd, struct mv_error *err);
/* No Nagle; a host that is gone is noticed.  Other sockets are left alone. */
void mv_channel_tcp_tune(int fd);
/*
 * Whether the kernel connected a socket to itself, which it does where the port that it chose
 * for this side happens to be the one that is wanted, and nobody listens there.
 */
bool mv_channel_tcp_is_own(int fd);
/* "tcp:ADDRESS:PORT" of the other side, or of this one. */
#define MV_CHANNEL_TCP_NAME 80
void mv_channel_tcp_name(int fd, bool peer, char ret[MV_CHANNEL_TCP_NAME]);

int mv_channel_exec_start(const char *uri, const char *command, struct mv_channel **ret,
                          struct mv_error *err);
/* Wait for the child to go by itself: 0 once it is reaped, or has been, or what a wait says. */
int mv_channel_exec_wait(struct mv_channel *channel, const struct mv_channel_limit *limit);
/* Have it gone and reaped; its descriptors are closed already. */
void mv_channel_exec_stop(struct mv_channel *channel);
/* ": its command ended with status 127 …", or "" where it has not ended within a moment. */
#define MV_CHANNEL_STATUS_TEXT 120
const char *mv_channel_exec_status(struct mv_channel *channel, char buf[MV_CHANNEL_STATUS_TEXT]);

#endif
