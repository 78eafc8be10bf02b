/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How channels come to be, by the kind of their address: each kind is a row.
 * A struct mv_channel_listener is its thread's; no lock.
 */
#include "channel-inside.h"

#include "channel-address.h"
#include "channel-pending.h"
#include "channel-tls.h"
#include "cleanup.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIX_RETRY_NS UINT64_C(5000000) /* while a listener's queue is full */

struct mv_channel_listener {
    char *uri; /* to connect to */
    struct mv_channel_address address;
    const struct mv_channel_tls *tls;
    uint64_t handshake_ns;
    int fd;                            /* of a socket; or -1 */
    char *path;                        /* to be unlinked, or NULL */
    bool used;                         /* it has brought the one connection that there is */
    struct mv_channel_pending pending; /* who has connected to a socket */
};

/* --- fd */

/*
 * A stream that others have made, and that can be read or written as it is meant to (O_RDONLY,
 * O_WRONLY): not a file, not a socket that listens, not one of ours.
 */
static int check_fd(const char *uri, int fd, int use, struct mv_error *err)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFD), type = SOCK_STREAM, listens = 0;
    socklen_t len = sizeof type, len2 = sizeof listens;
    if (flags < 0 || (flags & FD_CLOEXEC) || fstat(fd, &st) < 0)
        return mv_error_set(err, EBADF,
                            "%s: this process was not started with a descriptor %d: a shell gives "
                            "one with %d<>FIFO, or name another",
                            uri, fd, fd);
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return mv_error_set(err, EINVAL,
                            "%s: descriptor %d is a file or a disk, and a stream goes both ways: "
                            "give a socket or two pipes",
                            uri, fd);
    int access = fcntl(fd, F_GETFL) & O_ACCMODE;
    if (access != O_RDWR && access != use)
        return mv_error_set(err, EINVAL,
                            "%s: descriptor %d can only be %s: give fd:IN,OUT, the one to be read "
                            "first",
                            uri, fd, use == O_RDONLY ? "written" : "read");
    if (!S_ISSOCK(st.st_mode))
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len2) < 0 || listens != 0)
        return mv_error_set(err, EINVAL,
                            "%s: descriptor %d is a socket that is no connected stream: give one "
                            "that is",
                            uri, fd);
    return 0;
}

static int check_fds(const char *uri, const struct mv_channel_address *address,
                     struct mv_error *err)
{
    int r = check_fd(uri, address->in_fd, O_RDONLY, err);
    return r < 0 ? r : check_fd(uri, address->out_fd, O_WRONLY, err);
}

/* Take a descriptor over; of the standard ones, something harmless stays. */
static int take_fd(int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return -errno;
    CLEANUP_CLOSE int null = fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (fd > STDERR_FILENO)
        close(fd);
    else if (null >= 0)
        dup2(null, fd);
    return own;
}

static int connect_fd(const char *uri, const struct mv_channel_address *address,
                      const struct mv_channel_limit *limit, struct mv_channel **ret,
                      struct mv_error *err)
{
    int r = check_fds(uri, address, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int in = take_fd(address->in_fd);
    CLEANUP_CLOSE int out = address->in_fd == address->out_fd ? -1 : take_fd(address->out_fd);
    if (in < 0 || (out < 0 && address->in_fd != address->out_fd))
        return mv_error_set_errno(err, in < 0 ? -in : -out, "%s", uri);
    mv_channel_tcp_tune(in);
    int in_fd = in, out_fd = out < 0 ? in : out;
    in = out = -1;
    return mv_channel_create(uri, in_fd, out_fd, ret, err);
}

/* --- exec, unix, tcp */

static int connect_exec(const char *uri, const struct mv_channel_address *address,
                        const struct mv_channel_limit *limit, struct mv_channel **ret,
                        struct mv_error *err)
{
    return mv_channel_exec_start(uri, address->rest, ret, err);
}

static int tell_unix(const char *uri, int r, struct mv_error *err)
{
    if (r == -ENOENT || r == -ECONNREFUSED)
        return mv_error_set(err, -r, "%s: nobody listens there: start 'memvisor receive' first",
                            uri);
    if (r == -ECANCELED || r == -ETIMEDOUT)
        return mv_error_set(err, -r, "%s: %s", uri,
                            r == -ECANCELED ? "ended before it was connected"
                                            : "nobody took the connection in time");
    return r;
}

static int connect_unix(const char *uri, const struct mv_channel_address *address,
                        const struct mv_channel_limit *limit, struct mv_channel **ret,
                        struct mv_error *err)
{
    int fd = -1, r;
    while ((r = mv_unix_connect_now("socket", address->rest, &fd, err)) == -EAGAIN) {
        struct mv_channel_limit slice = *limit;
        uint64_t until = mv_channel_until(UNIX_RETRY_NS);
        slice.until_ns = until < limit->until_ns ? until : limit->until_ns;
        r = mv_channel_wait(-1, 0, &slice);
        if (r == -ECANCELED || mv_now_ns() >= limit->until_ns)
            break;
    }
    return r < 0 ? tell_unix(uri, r, err) : mv_channel_create(uri, fd, fd, ret, err);
}

static int connect_tcp(const char *uri, const struct mv_channel_address *address,
                       const struct mv_channel_limit *limit, struct mv_channel **ret,
                       struct mv_error *err)
{
    int fd = -1;
    int r = mv_channel_tcp_connect(uri, address->host, address->port, limit, &fd, err);
    return r < 0 ? r : mv_channel_create(uri, fd, fd, ret, err);
}

static int listen_unix(struct mv_channel_listener *listener, bool open_to_others,
                       struct mv_error *err)
{
    int r = mv_unix_listen("socket", listener->address.rest, &listener->fd, err);
    if (r < 0)
        return r;
    listener->path = strdup(listener->address.rest);
    return listener->path != NULL ? 0 : mv_error_set_errno(err, ENOMEM, "%s", listener->uri);
}

static int listen_tcp(struct mv_channel_listener *listener, bool open_to_others,
                      struct mv_error *err)
{
    const struct mv_channel_address *address = &listener->address;
    int r = mv_channel_tcp_listen(listener->uri, address->host, address->port, open_to_others,
                                  &listener->fd, err);
    char name[MV_CHANNEL_TCP_NAME];
    if (r < 0)
        return r;
    mv_channel_tcp_name(listener->fd, false, name);
    free(listener->uri);
    listener->uri = strdup(name);
    return listener->uri != NULL ? 0 : mv_error_set_errno(err, ENOMEM, "%s", name);
}

static int listen_fd(struct mv_channel_listener *listener, bool open_to_others,
                     struct mv_error *err)
{
    return check_fds(listener->uri, &listener->address, err);
}

/* `listen` may be NULL: there is nothing to do before a connection is wanted. */
static const struct {
    int (*connect)(const char *uri, const struct mv_channel_address *address,
                   const struct mv_channel_limit *limit, struct mv_channel **ret,
                   struct mv_error *err);
    int (*listen)(struct mv_channel_listener *listener, bool open_to_others, struct mv_error *err);
} kinds[] = {
    [MV_CHANNEL_TCP] = {connect_tcp, listen_tcp},
    [MV_CHANNEL_UNIX] = {connect_unix, listen_unix},
    [MV_CHANNEL_EXEC] = {connect_exec, NULL},
    [MV_CHANNEL_FD] = {connect_fd, listen_fd},
};

/* TLS, where it is wanted, and the channel is the caller's; or it is closed. */
static int hand_out(struct mv_channel *channel, const struct mv_channel_tls *tls, const char *host,
                    const struct mv_channel_limit *limit, struct mv_channel **ret,
                    struct mv_error *err)
{
    channel->opening = *limit;
    int r = tls == NULL ? 0 : mv_tls_open(channel, tls, host, err);
    if (r < 0) {
        mv_channel_close(channel);
        return r;
    }
    channel->opening = MV_CHANNEL_NO_LIMIT;
    *ret = channel;
    return 0;
}

int mv_channel_connect(const char *uri, const struct mv_channel_tls *tls, uint64_t timeout_ns,
                       const atomic_bool *cancelled, struct mv_channel **ret, struct mv_error *err)
{
    struct mv_channel_address address;
    struct mv_channel *channel = NULL;
    const struct mv_channel_limit limit = {
        .until_ns = mv_channel_until(timeout_ns), .cancelled = cancelled, .end_fd = -1};
    int r = mv_channel_address_parse(uri, false, &address, err);
    if (r == 0 && tls != NULL)
        r = mv_tls_check_peer(tls, uri, address.host, err);
    if (r == 0)
        r = kinds[address.kind].connect(uri, &address, &limit, &channel, err);
    return r < 0 ? r : hand_out(channel, tls, address.host, &limit, ret, err);
}

int mv_channel_listen(const char *uri, const struct mv_channel_tls *tls, bool insecure,
                      struct mv_channel_listener **ret, struct mv_error *err)
{
    struct mv_channel_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", uri);
    listener->fd = -1;
    listener->tls = tls;
    listener->handshake_ns = MV_CHANNEL_HANDSHAKE_NS;
    listener->uri = strdup(uri);
    int r = listener->uri == NULL
                ? mv_error_set_errno(err, ENOMEM, "%s", uri)
                : mv_channel_address_parse(listener->uri, true, &listener->address, err);
    if (r == 0 && kinds[listener->address.kind].listen != NULL)
        r = kinds[listener->address.kind].listen(listener, insecure || tls != NULL, err);
    if (r < 0) {
        mv_channel_listener_close(listener);
        return r;
    }
    *ret = listener;
    return 0;
}

const char *mv_channel_listener_uri(const struct mv_channel_listener *listener)
{
    return listener->uri;
}

void mv_channel_listener_set_handshake(struct mv_channel_listener *listener, uint64_t ns)
{
    listener->handshake_ns = ns;
}

void mv_channel_listener_set_first(struct mv_channel_listener *listener, size_t least, uint64_t ns)
{
    listener->pending.first_least = least < MV_CHANNEL_FIRST_MAX ? least : MV_CHANNEL_FIRST_MAX;
    listener->pending.first_ns = ns;
}

/* Those of accept(2) that tell of one peer, or of none, and not of the socket. */
static bool is_passing(int error)
{
    static const int passing[] = {EAGAIN,       EINTR,       ECONNABORTED, EPROTO,
                                  ENETDOWN,     ENOPROTOOPT, EHOSTDOWN,    ENONET,
                                  EHOSTUNREACH, EOPNOTSUPP,  ENETUNREACH,  ETIMEDOUT};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (passing[i] == error)
            return true;
    return false;
}

/* One more who has connected, into the list: 1; 0: there is nobody. */
static int let_in(struct mv_channel_listener *listener, struct mv_error *err)
{
    struct mv_channel *channel;
    char name[MV_CHANNEL_TCP_NAME];
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return is_passing(errno) ? 0 : mv_error_set_errno(err, errno, "%s", listener->uri);
    mv_channel_tcp_tune(fd);
    if (listener->address.kind == MV_CHANNEL_TCP)
        mv_channel_tcp_name(fd, true, name);
    int r = mv_channel_create(listener->address.kind == MV_CHANNEL_TCP ? name : listener->uri, fd,
                              fd, &channel, err);
    if (r == 0)
        r = mv_channel_pending_add(&listener->pending, channel, listener->tls,
                                   listener->handshake_ns, err);
    return r < 0 ? r : 1;
}

static int accept_socket(struct mv_channel_listener *listener, const struct mv_channel_limit *limit,
                         struct mv_channel **ret, struct mv_error *err)
{
    struct mv_channel_pending *pending = &listener->pending;
    int r;
    /* Who is ready goes first, and is not there any more when room has to be made. */
    while ((r = mv_channel_pending_take(pending, ret, err)) == -EAGAIN) {
        bool cancelled = limit->cancelled != NULL && atomic_load(limit->cancelled);
        r = cancelled ? -ECANCELED : let_in(listener, err);
        if (r < 0 && !cancelled)
            return r;
        if (r == 0)
            r = mv_channel_pending_wait(pending, listener->fd, limit);
        if (r < 0)
            return mv_error_set(err, -r, "%s: ended before anybody %s", listener->uri,
                                pending->count == 0 ? "connected" : "had shown who it is");
    }
    return r;
}

/* The one connection of such an address. */
static int accept_one(struct mv_channel_listener *listener, const struct mv_channel_limit *limit,
                      struct mv_channel **ret, struct mv_error *err)
{
    if (listener->used)
        return mv_error_set(err, ENXIO,
                            "%s: it is one connection, and another is wanted: use tcp:HOST:PORT or "
                            "unix:PATH",
                            listener->uri);
    listener->used = true;
    return kinds[listener->address.kind].connect(listener->uri, &listener->address, limit, ret,
                                                 err);
}

int mv_channel_accept(struct mv_channel_listener *listener, const atomic_bool *cancelled,
                      struct mv_channel **ret, struct mv_error *err)
{
    struct mv_channel *channel = NULL;
    struct mv_channel_limit limit = {.until_ns = UINT64_MAX, .cancelled = cancelled, .end_fd = -1};
    if (listener->fd >= 0)
        return accept_socket(listener, &limit, ret, err);
    int r = accept_one(listener, &limit, &channel, err);
    if (r < 0)
        return r;
    channel->accepted = true;
    limit.until_ns = mv_channel_until(listener->handshake_ns);
    return hand_out(channel, listener->tls, NULL, &limit, ret, err);
}

void mv_channel_listener_close(struct mv_channel_listener *listener)
{
    if (listener == NULL)
        return;
    mv_channel_pending_close(&listener->pending);
    if (listener->path != NULL)
        unlink(listener->path);
    if (listener->fd >= 0)
        close(listener->fd);
    free(listener->path);
    free(listener->uri);
    free(listener);
}
