/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd-client.h"

#include "os.h"

#include <errno.h>
#include <libnbd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* libnbd's requests are 64 MiB at most, and many servers take no more than 32 MiB. */
#define READ_MAX (UINT32_C(1) << 20)

static int refuse(struct mv_error *err)
{
    int errnum = nbd_get_errno();
    const char *why = nbd_get_error();
    return mv_error_set(err, errnum > 0 ? errnum : EIO, "%s", why == NULL ? "it failed" : why);
}

/* A host that has gone without a word: TCP tells of it. */
static void set_keepalive(struct nbd_handle *nbd)
{
    const int on = 1, idle_s = 10, interval_s = 5, unacked_ms = 20000;
    int fd = nbd_aio_get_fd(nbd);
    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0)
        return;
    /* A Unix socket has none of these, and needs none. */
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
}

bool mv_nbd_is_lost(struct nbd_handle *nbd)
{
    return nbd_aio_is_dead(nbd) > 0 || nbd_aio_is_closed(nbd) > 0;
}

int mv_nbd_step(struct nbd_handle *nbd, int wake_fd, uint64_t timeout_ns)
{
    unsigned direction = nbd_aio_get_direction(nbd);
    struct pollfd fds[2] = {
        {.fd = nbd_aio_get_fd(nbd),
         .events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                           (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0))},
        {.fd = wake_fd, .events = POLLIN},
    };
    uint64_t ms = timeout_ns / 1000000 + 1;
    if (poll(fds, 2, ms < INT32_MAX ? (int)ms : -1) <= 0)
        return 0;
    /* Errors of the protocol end the connection, which is looked at by who called. */
    if ((direction & LIBNBD_AIO_DIRECTION_READ) && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
        nbd_aio_notify_read(nbd);
    else if (fds[0].revents != 0)
        nbd_aio_notify_write(nbd);
    return fds[0].revents != 0;
}

static int negotiate(struct nbd_handle *nbd, int wake_fd, struct mv_error *err)
{
    uint64_t until = mv_now_ns() + MV_NBD_PATIENCE_NS;
    while (nbd_aio_is_connecting(nbd) > 0 || nbd_aio_is_negotiating(nbd) > 0) {
        uint64_t now = mv_now_ns();
        struct pollfd wake = {.fd = wake_fd, .events = POLLIN};
        if (wake_fd >= 0 && poll(&wake, 1, 0) > 0)
            return mv_error_set(err, ECANCELED, "interrupted");
        if (now >= until)
            return mv_error_set(err, ETIMEDOUT, "the server does not answer");
        mv_nbd_step(nbd, wake_fd, until - now);
    }
    return nbd_aio_is_ready(nbd) > 0 ? 0 : refuse(err);
}

static int look(struct nbd_handle *nbd, struct mv_nbd_export *ret, struct mv_error *err)
{
    int64_t size = nbd_get_size(nbd);
    int64_t minimum = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);
    int read_only = nbd_is_read_only(nbd), flush = nbd_can_flush(nbd);
    if (size < 0 || minimum < 0 || read_only < 0 || flush < 0)
        return refuse(err);
    *ret = (struct mv_nbd_export){.size = (uint64_t)size,
                                  .minimum = minimum == 0 ? 1 : (uint64_t)minimum,
                                  .read_only = read_only > 0,
                                  .can_flush = flush > 0};
    return 0;
}

int mv_nbd_open(const char *uri, int wake_fd, struct nbd_handle **ret,
                struct mv_nbd_export *ret_export, struct mv_error *err)
{
    struct nbd_handle *nbd = nbd_create();
    if (nbd == NULL)
        return refuse(err);
    /* Whoever gives the URI gives the files of its credentials, too. */
    int r = nbd_set_uri_allow_local_file(nbd, true) < 0 || nbd_aio_connect_uri(nbd, uri) < 0
                ? refuse(err)
                : negotiate(nbd, wake_fd, err);
    if (r == 0)
        r = look(nbd, ret_export, err);
    if (r < 0) {
        nbd_close(nbd);
        return r;
    }
    set_keepalive(nbd);
    *ret = nbd;
    return 0;
}

void mv_nbd_close(struct nbd_handle *nbd)
{
    nbd_close(nbd);
}

static int read_piece(struct nbd_handle *nbd, void *buf, uint64_t len, uint64_t offset,
                      struct mv_error *err)
{
    uint64_t until = mv_now_ns() + MV_NBD_PATIENCE_NS;
    int64_t cookie = nbd_aio_pread(nbd, buf, len, offset, NBD_NULL_COMPLETION, 0);
    if (cookie < 0)
        return refuse(err);
    int done;
    while ((done = nbd_aio_command_completed(nbd, (uint64_t)cookie)) == 0) {
        uint64_t now = mv_now_ns();
        if (now >= until)
            return mv_error_set(err, ETIMEDOUT, "the server does not answer");
        mv_nbd_step(nbd, -1, until - now);
    }
    return done < 0 ? refuse(err) : 0;
}

int mv_nbd_read(struct nbd_handle *nbd, void *buf, uint64_t len, uint64_t offset,
                struct mv_error *err)
{
    int r = 0;
    for (uint64_t done = 0; done < len && r == 0;) {
        uint64_t piece = len - done < READ_MAX ? len - done : READ_MAX;
        r = read_piece(nbd, (char *)buf + done, piece, offset + done, err);
        done += piece;
    }
    return r;
}
