/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel once it is there.  Sockets are asked not to wait call by call, since
 * O_NONBLOCK belongs to the open file, which others may have; pipes know no such
 * calls, and are put back as they were.  No lock: see channel-inside.h.
 */
#include "channel-inside.h"

#include "channel-tls.h"
#include "cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PIECES_MAX 16 /* of one system call */

static int open_end(struct mv_channel_end *end, int fd)
{
    struct stat st;
    *end = (struct mv_channel_end){.fd = fd};
    if (fd < 0 || fstat(fd, &st) < 0)
        return fd < 0 ? -EBADF : -errno;
    end->is_socket = S_ISSOCK(st.st_mode);
    if (end->is_socket)
        return 0;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    end->restore_blocking = !(flags & O_NONBLOCK);
    return 0;
}

static void close_end(struct mv_channel_end *end)
{
    if (end->fd < 0)
        return;
    int flags = end->restore_blocking ? fcntl(end->fd, F_GETFL) : -1;
    if (flags >= 0)
        fcntl(end->fd, F_SETFL, flags & ~O_NONBLOCK);
    close(end->fd);
    end->fd = -1;
}

int mv_channel_create(const char *name, int in_fd, int out_fd, struct mv_channel **ret,
                      struct mv_error *err)
{
    struct mv_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        close(in_fd);
        if (out_fd != in_fd)
            close(out_fd);
        return mv_error_set_errno(err, ENOMEM, "%s", name);
    }
    pthread_mutex_init(&channel->child_lock, NULL);
    channel->opening = MV_CHANNEL_NO_LIMIT;
    channel->patience_ns = MV_CHANNEL_FOREVER;
    channel->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = channel->end_fd < 0 ? -errno : 0;
    if (out_fd == in_fd && (out_fd = fcntl(in_fd, F_DUPFD_CLOEXEC, 3)) < 0 && r == 0)
        r = -errno;
    int in = open_end(&channel->in, in_fd), out = open_end(&channel->out, out_fd);
    r = r < 0 ? r : in < 0 ? in : out;
    channel->name = strdup(name);
    if (channel->name == NULL && r == 0)
        r = -ENOMEM;
    if (r < 0) {
        mv_channel_close(channel);
        return mv_error_set_errno(err, -r, "%s", name);
    }
    *ret = channel;
    return 0;
}

const char *mv_channel_name(const struct mv_channel *channel)
{
    return channel->name;
}

void mv_channel_set_patience(struct mv_channel *channel, uint64_t ns)
{
    atomic_store(&channel->patience_ns, ns);
}

struct mv_channel_limit mv_channel_limit_now(const struct mv_channel *channel)
{
    struct mv_channel_limit limit = channel->opening;
    limit.end_fd = channel->end_fd;
    if (limit.until_ns == UINT64_MAX)
        limit.until_ns = mv_channel_until(atomic_load(&channel->patience_ns));
    return limit;
}

static int wait_for(const struct mv_channel *channel, int fd, short events)
{
    if (channel->opens)
        return -EAGAIN;
    struct mv_channel_limit limit = mv_channel_limit_now(channel);
    return mv_channel_wait(fd, events, &limit);
}

ssize_t mv_channel_raw_read(struct mv_channel *channel, void *bytes, size_t len)
{
    const struct mv_channel_end *in = &channel->in;
    while (!atomic_load(&channel->ended)) {
        ssize_t n =
            in->is_socket ? recv(in->fd, bytes, len, MSG_DONTWAIT) : read(in->fd, bytes, len);
        if (n >= 0)
            return n;
        int r = errno == EINTR ? 0 : errno == EAGAIN ? wait_for(channel, in->fd, POLLIN) : -errno;
        if (r < 0)
            return r;
    }
    return -ECANCELED;
}

ssize_t mv_channel_raw_write(struct mv_channel *channel, const struct iovec *pieces, size_t count)
{
    const struct mv_channel_end *out = &channel->out;
    const struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
    while (!atomic_load(&channel->ended)) {
        ssize_t n = out->is_socket ? sendmsg(out->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                                   : writev(out->fd, pieces, (int)count);
        if (n >= 0)
            return n;
        int r = errno == EINTR ? 0 : errno == EAGAIN ? wait_for(channel, out->fd, POLLOUT) : -errno;
        if (r < 0)
            return r;
    }
    return -ECANCELED;
}

void mv_channel_raw_shut(struct mv_channel *channel)
{
    if (channel->out.is_socket)
        shutdown(channel->out.fd, SHUT_WR);
    else
        close_end(&channel->out);
}

int mv_channel_tell(const struct mv_channel *channel, int error, struct mv_error *err)
{
    static const struct {
        int error, as;
        const char *text;
    } known[] = {
        {ECANCELED, ECANCELED, "ended on this side"},
        {ETIMEDOUT, ETIMEDOUT, "the other side does not answer any more"},
        {EPIPE, EPIPE, "the other side has closed and takes no more"},
        {EBADF, EPIPE, "the stream was finished before"},
        {ECONNRESET, ECONNRESET, "the other side is gone (connection reset)"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == -error)
            return mv_error_set(err, known[i].as, "%s: %s", channel->name, known[i].text);
    return mv_error_set_errno(err, -error, "%s", channel->name);
}

bool mv_channel_is_tls(const uint8_t *bytes, size_t len)
{
    /* RFC 8446 section 5.1: the type of the record (handshake, alert) and version 3.x. */
    return len >= 3 && (bytes[0] == 22 || bytes[0] == 21) && bytes[1] == 3 && bytes[2] <= 4;
}

/* Add what became of a command, where there is one, and note that the direction is dead. */
static int fail(struct mv_channel *channel, int *ret_dead, int r, struct mv_error *err)
{
    char status[MV_CHANNEL_STATUS_TEXT];
    if (channel->had_child && r != -ECANCELED && r != -ETIMEDOUT && err != NULL) {
        const char *text = mv_channel_exec_status(channel, status);
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len, "%s", text);
    }
    *ret_dead = r;
    return r;
}

/* The other side of a plain stream may speak TLS: its first bytes say so. */
static int check_first(struct mv_channel *channel, const uint8_t *bytes, size_t len,
                       struct mv_error *err)
{
    return !mv_channel_is_tls(bytes, len)
               ? 0
               : mv_error_set(err, EPROTO,
                              "%s: the other side speaks TLS: give --tls on this side, too",
                              channel->name);
}

int mv_channel_read(struct mv_channel *channel, void *bytes, size_t len, struct mv_error *err)
{
    if (channel->reading_error < 0)
        return mv_channel_tell(channel, channel->reading_error, err);
    for (size_t done = 0; done < len;) {
        uint8_t *next = (uint8_t *)bytes + done;
        ssize_t n = channel->tls != NULL ? mv_tls_read(channel, next, len - done, err)
                                         : mv_channel_raw_read(channel, next, len - done);
        int r = n < 0 ? (int)n : 0;
        if (r < 0 && channel->tls == NULL)
            r = mv_channel_tell(channel, r, err);
        else if (n == 0 && done == 0)
            r = mv_error_set(err, ENODATA, "%s: the other side has closed the connection",
                             channel->name);
        else if (n == 0)
            r = mv_error_set(err, ECONNRESET, "%s: the other side closed after %zu of %zu bytes",
                             channel->name, done, len);
        else if (r == 0 && channel->tls == NULL && !channel->reading_begun)
            r = check_first(channel, bytes, done + (size_t)n, err);
        if (r < 0)
            return fail(channel, &channel->reading_error, r, err);
        done += (size_t)n;
        channel->reading_begun = done >= len;
    }
    return 0;
}

/* Pieces that have not gone yet. */
struct rest {
    const struct iovec *pieces;
    size_t count;
    size_t skip; /* bytes of the first */
};

/* Those that go into one call, as they are now. */
static size_t fill_pieces(const struct rest *rest, struct iovec into[PIECES_MAX])
{
    size_t count = rest->count < PIECES_MAX ? rest->count : PIECES_MAX;
    memcpy(into, rest->pieces, count * sizeof *into);
    into[0].iov_base = (char *)into[0].iov_base + rest->skip;
    into[0].iov_len -= rest->skip;
    return count;
}

static void skip(struct rest *rest, size_t n)
{
    while (rest->count > 0 && n >= rest->pieces->iov_len - rest->skip) {
        n -= rest->pieces->iov_len - rest->skip;
        rest->skip = 0;
        rest->pieces++;
        rest->count--;
    }
    rest->skip += n;
}

int mv_channel_writev(struct mv_channel *channel, const struct iovec *pieces, size_t count,
                      struct mv_error *err)
{
    struct rest rest = {.pieces = pieces, .count = count};
    if (channel->writing_error < 0)
        return mv_channel_tell(channel, channel->writing_error, err);
    skip(&rest, 0);
    if (channel->tls != NULL) {
        int r = mv_tls_write(channel, pieces, count, err);
        return r < 0 ? fail(channel, &channel->writing_error, r, err) : 0;
    }
    while (rest.count > 0) {
        struct iovec now[PIECES_MAX];
        size_t n = fill_pieces(&rest, now);
        ssize_t written = mv_channel_raw_write(channel, now, n);
        if (written < 0)
            return fail(channel, &channel->writing_error,
                        mv_channel_tell(channel, (int)written, err), err);
        skip(&rest, (size_t)written);
    }
    return 0;
}

int mv_channel_write(struct mv_channel *channel, const void *bytes, size_t len,
                     struct mv_error *err)
{
    const struct iovec piece = {.iov_base = (void *)bytes, .iov_len = len};
    return mv_channel_writev(channel, &piece, 1, err);
}

int mv_channel_wait_readable(struct mv_channel *channel, uint64_t ns, struct mv_error *err)
{
    if (channel->reading_error < 0 || (channel->tls != NULL && mv_tls_has_bytes(channel)))
        return 1;
    const struct mv_channel_limit limit = {.until_ns = mv_channel_until(ns),
                                           .end_fd = channel->end_fd};
    int r = mv_channel_wait(channel->in.fd, POLLIN, &limit);
    return r == 0 ? 1 : r == -ETIMEDOUT ? 0 : mv_channel_tell(channel, r, err);
}

bool mv_channel_is_hung_up(const struct mv_channel *channel)
{
    struct pollfd end = {.fd = channel->in.fd, .events = POLLRDHUP};
    return poll(&end, 1, 0) == 1;
}

/*
 * Until the other side closes: what it still sends is taken, since a socket that is
 * closed over unread bytes is reset, and what was written last may never arrive.
 */
static int wait_closed(struct mv_channel *channel, struct mv_error *err)
{
    char bytes[4096];
    ssize_t n;
    uint64_t taken = 0;
    while ((n = channel->tls != NULL ? mv_tls_read(channel, bytes, sizeof bytes, err)
                                     : mv_channel_raw_read(channel, bytes, sizeof bytes)) > 0)
        taken += (uint64_t)n;
    if (n < 0)
        return channel->tls != NULL ? (int)n : mv_channel_tell(channel, (int)n, err);
    return taken == 0 ? 0
                      : mv_error_set(err, EPROTO,
                                     "%s: the other side went on sending: %" PRIu64
                                     " bytes behind the end",
                                     channel->name, taken);
}

int mv_channel_finish(struct mv_channel *channel, uint64_t timeout_ns, struct mv_error *err)
{
    channel->opening.until_ns = mv_channel_until(timeout_ns);
    if (channel->tls != NULL && channel->writing_error == 0)
        mv_tls_bye(channel);
    mv_channel_raw_shut(channel);
    channel->writing_error = -EBADF;
    int r = wait_closed(channel, err);
    channel->reading_error = -EBADF;
    if (r < 0 || !channel->had_child)
        return r;
    struct mv_channel_limit limit = mv_channel_limit_now(channel);
    r = mv_channel_exec_wait(channel, &limit);
    if (r < 0)
        return mv_channel_tell(channel, r, err);
    char status[MV_CHANNEL_STATUS_TEXT];
    if (channel->child_status != 0)
        return mv_error_set(err, EIO, "%s%s", channel->name,
                            mv_channel_exec_status(channel, status));
    return 0;
}

void mv_channel_end(struct mv_channel *channel)
{
    atomic_store(&channel->ended, true);
    eventfd_write(channel->end_fd, 1);
}

void mv_channel_close(struct mv_channel *channel)
{
    if (channel == NULL)
        return;
    if (channel->tls != NULL)
        mv_tls_close(channel);
    close_end(&channel->in);
    close_end(&channel->out);
    if (channel->had_child)
        mv_channel_exec_stop(channel);
    if (channel->end_fd >= 0)
        close(channel->end_fd);
    pthread_mutex_destroy(&channel->child_lock);
    free(channel->name);
    free(channel);
}
