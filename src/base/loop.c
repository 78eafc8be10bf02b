/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: an epoll set, and an eventfd by which other threads wake it.
 *
 * Sources belong to the loop's thread and need no lock.  The deferred list is
 * shared between threads under `mutex`, which is never held while a callback
 * runs.  A removed source may still stand in the batch of events being served,
 * so it is only marked dead and freed once the batch is done.
 */
#include "loop.h"

#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 32

struct mv_loop_source {
    struct mv_loop *loop;
    int fd;
    mv_loop_fn *fn;
    void *opaque;
    bool dead;
    struct mv_loop_source *prev;
    struct mv_loop_source *next;
};

struct deferred {
    mv_loop_deferred_fn *fn;
    void *opaque;
    struct deferred *next;
};

struct mv_loop {
    int epoll_fd;
    int wake_fd;
    atomic_bool stop;
    struct mv_loop_source *sources;
    struct mv_loop_source *graveyard;
    struct deferred *batch; /* the calls being made, but for the one that runs */
    pthread_mutex_t mutex;  /* of what follows */
    struct deferred *deferred_first;
    struct deferred **deferred_end;
};

int mv_loop_create(struct mv_loop **ret, struct mv_error *err)
{
    struct mv_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return mv_error_set_errno(err, ENOMEM, "event loop");
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->deferred_end = &loop->deferred_first;
    pthread_mutex_init(&loop->mutex, NULL);

    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        int errnum = errno;
        mv_loop_destroy(loop);
        return mv_error_set_errno(err, errnum, "event loop");
    }
    *ret = loop;
    return 0;
}

static void free_graveyard(struct mv_loop *loop)
{
    while (loop->graveyard != NULL) {
        struct mv_loop_source *source = loop->graveyard;
        loop->graveyard = source->next;
        free(source);
    }
}

void mv_loop_destroy(struct mv_loop *loop)
{
    if (loop == NULL)
        return;
    while (loop->sources != NULL)
        mv_loop_remove(loop->sources);
    free_graveyard(loop);
    while (loop->deferred_first != NULL) {
        struct deferred *d = loop->deferred_first;
        loop->deferred_first = d->next;
        free(d);
    }
    pthread_mutex_destroy(&loop->mutex);
    mv_cleanup_close(&loop->wake_fd);
    mv_cleanup_close(&loop->epoll_fd);
    free(loop);
}

int mv_loop_add(struct mv_loop *loop, int fd, uint32_t events, mv_loop_fn *fn, void *opaque,
                struct mv_loop_source **ret, struct mv_error *err)
{
    struct mv_loop_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return mv_error_set_errno(err, ENOMEM, "watching descriptor %d", fd);
    *source = (struct mv_loop_source){.loop = loop, .fd = fd, .fn = fn, .opaque = opaque};
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int errnum = errno;
        free(source);
        return mv_error_set_errno(err, errnum, "watching descriptor %d", fd);
    }
    source->next = loop->sources;
    if (source->next != NULL)
        source->next->prev = source;
    loop->sources = source;
    *ret = source;
    return 0;
}

void mv_loop_modify(struct mv_loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void mv_loop_remove(struct mv_loop_source *source)
{
    if (source == NULL)
        return;
    struct mv_loop *loop = source->loop;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    if (source->prev != NULL)
        source->prev->next = source->next;
    else
        loop->sources = source->next;
    if (source->next != NULL)
        source->next->prev = source->prev;
    source->dead = true;
    source->next = loop->graveyard;
    loop->graveyard = source;
}

static void wake(struct mv_loop *loop)
{
    /* Fails only where the counter is full: then the loop is awake already. */
    eventfd_write(loop->wake_fd, 1);
}

void mv_loop_defer(struct mv_loop *loop, mv_loop_deferred_fn *fn, void *opaque)
{
    struct deferred *d;
    /* A call that is lost could hang the guest: where memory is out, wait until there is some. */
    while ((d = malloc(sizeof *d)) == NULL)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    *d = (struct deferred){.fn = fn, .opaque = opaque};
    {
        MV_LOCK_SCOPE(&loop->mutex);
        *loop->deferred_end = d;
        loop->deferred_end = &d->next;
    }
    wake(loop);
}

/* The list's end, where a call is hung in. */
static struct deferred **drop_calls(struct deferred **link, const void *opaque)
{
    while (*link != NULL) {
        struct deferred *d = *link;
        if (d->opaque != opaque) {
            link = &d->next;
            continue;
        }
        *link = d->next;
        free(d);
    }
    return link;
}

void mv_loop_forget(struct mv_loop *loop, const void *opaque)
{
    drop_calls(&loop->batch, opaque);
    MV_LOCK_SCOPE(&loop->mutex);
    loop->deferred_end = drop_calls(&loop->deferred_first, opaque);
}

/* Those that a deferred function defers anew wait for the next round. */
static void run_deferred(struct mv_loop *loop)
{
    mv_drain(loop->wake_fd);
    {
        MV_LOCK_SCOPE(&loop->mutex);
        loop->batch = loop->deferred_first;
        loop->deferred_first = NULL;
        loop->deferred_end = &loop->deferred_first;
    }
    while (loop->batch != NULL) {
        struct deferred *d = loop->batch;
        loop->batch = d->next;
        d->fn(d->opaque);
        free(d);
    }
}

void mv_loop_run(struct mv_loop *loop)
{
    struct epoll_event events[EVENTS_PER_ROUND];

    /* Cleared at the end and not at the start, so that a stop before this call counts. */
    while (!atomic_exchange(&loop->stop, false)) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, -1);
        for (int i = 0; i < count; i++) {
            struct mv_loop_source *source = events[i].data.ptr;
            if (source == NULL)
                run_deferred(loop);
            else if (!source->dead)
                source->fn(source->opaque, events[i].events);
        }
        free_graveyard(loop);
    }
}

void mv_loop_stop(struct mv_loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

/* --- listeners */

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
    *listener = (struct mv_listener){
        .loop = loop, .what = what, .fd = fd, .on_client = on_client, .opaque = opaque};
    open_spare(listener);
    int r = listener->spare_fd < 0
                ? mv_error_set_errno(err, errno, "%s", what)
                : mv_loop_add(loop, fd, EPOLLIN, on_connect, listener, &listener->source, err);
    if (r < 0) {
        mv_cleanup_close(&listener->fd);
        mv_cleanup_close(&listener->spare_fd);
    }
    return r;
}

int mv_listener_open(struct mv_listener *listener, struct mv_loop *loop, const char *path,
                     const char *what, mv_listener_fn *on_client, void *opaque,
                     struct mv_error *err)
{
    CLEANUP_FREE char *copy = strdup(path);
    int fd, r = copy == NULL ? mv_error_set_errno(err, ENOMEM, "%s", what)
                             : mv_unix_listen(what, path, &fd, err);
    if (r < 0)
        return r;
    r = mv_listener_start(listener, loop, fd, what, on_client, opaque, err);
    if (r < 0) {
        unlink(path);
        return r;
    }
    listener->path = copy;
    copy = NULL;
    return 0;
}

void mv_listener_hold(struct mv_listener *listener, bool hold)
{
    if (listener->source != NULL)
        mv_loop_modify(listener->source, hold ? 0 : EPOLLIN);
}

void mv_listener_stop(struct mv_listener *listener)
{
    if (listener->source == NULL)
        return;
    mv_loop_remove(listener->source);
    listener->source = NULL;
    if (listener->path != NULL)
        unlink(listener->path);
    free(listener->path);
    mv_cleanup_close(&listener->fd);
    mv_cleanup_close(&listener->spare_fd);
}
