/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void open_spare(struct mv_listener *listener)
{
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void refuse_one(struct mv_listener *listener)
{
    if (!listener->refusing)
        mv_warn("%s: clients are refused: too many open files: raise the limit ('ulimit -n') and "
                "start anew",
                listener->what);
    listener->refusing = true;
    /* Another thread may have taken the descriptor that was spare: then the client waits. */
    if (listener->spare_fd < 0)
        open_spare(listener);
    mv_cleanup_close(&listener->spare_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    mv_cleanup_close(&fd);
    open_spare(listener);
}

static void on_connect(void *opaque, uint32_t events)
{
    struct mv_listener *listener = opaque;
    (void)events;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        refuse_one(listener);
    if (fd < 0)
        return;
    listener->refusing = false;
    listener->on_client(listener->opaque, fd);
}

int mv_listener_start(struct mv_listener *listener, struct mv_loop *loop, int fd, const char *what,
                      mv_listener_fn *on_client, void *opaque, struct mv_error *err)
{
    *listener = (struct mv_listener){.loop = loop,
                                     .what = what,
                                     .fd = fd,
                                     .spare_fd = -1,
                                     .on_client = on_client,
                                     .opaque = opaque};
    open_spare(listener);
    int r = listener->spare_fd < 0
                ? mv_error_set_errno(err, errno, "%s", what)
                : mv_loop_add(loop, fd, EPOLLIN, on_connect, listener, &listener->source, err);
    if (r < 0)
        mv_listener_stop(listener);
    return r;
}

void mv_listener_hold(struct mv_listener *listener, bool hold)
{
    if (listener->source != NULL)
        mv_loop_modify(listener->source, hold ? 0 : EPOLLIN);
}

void mv_listener_stop(struct mv_listener *listener)
{
    if (listener->source != NULL)
        mv_loop_remove(listener->source);
    listener->source = NULL;
    if (listener->fd < 0)
        return;
    mv_cleanup_close(&listener->fd);
    mv_cleanup_close(&listener->spare_fd);
    listener->fd = listener->spare_fd = -1;
}
