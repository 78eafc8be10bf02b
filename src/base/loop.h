/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_loop: the event loop of the main thread (epoll).  Callbacks run in
 * the thread that calls mv_loop_run, one at a time.  Adding, changing and
 * removing sources is for that thread; mv_loop_stop and mv_loop_defer may be
 * called by any thread.
 */
#ifndef MV_BASE_LOOP_H
#define MV_BASE_LOOP_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_loop;
struct mv_loop_source;

typedef void mv_loop_fn(void *opaque, uint32_t events);
typedef void mv_loop_deferred_fn(void *opaque);

int mv_loop_create(struct mv_loop **ret, struct mv_error *err);
void mv_loop_destroy(struct mv_loop *loop);

/*
 * Watch fd for `events` (EPOLLIN, EPOLLOUT …); the fd stays the caller's.  An
 * fd that epoll refuses (a regular file) is -EPERM.
 */
int mv_loop_add(struct mv_loop *loop, int fd, uint32_t events, mv_loop_fn *fn, void *opaque,
                struct mv_loop_source **ret, struct mv_error *err);
void mv_loop_modify(struct mv_loop_source *source, uint32_t events);
/* Safe from inside any callback; no callback of the source runs afterwards.  May be NULL. */
void mv_loop_remove(struct mv_loop_source *source);

/* Have fn(opaque) called in the loop's thread soon.  Any thread. */
void mv_loop_defer(struct mv_loop *loop, mv_loop_deferred_fn *fn, void *opaque);
/*
 * Drop the deferred calls that were to get `opaque`: whose object goes while the
 * loop stays must say so, once nobody defers for it any more.  The loop's
 * thread, in a callback too.
 */
void mv_loop_forget(struct mv_loop *loop, const void *opaque);

/* Serve events until mv_loop_stop. */
void mv_loop_run(struct mv_loop *loop);
void mv_loop_stop(struct mv_loop *loop);

/*
 * --- struct mv_listener: a listening socket in a loop, for every server but that of
 * ivshmem, whose thousands of peers have rules of their own.  A client that
 * comes when the process has no descriptor left is refused, and told of once:
 * left in the queue, it would keep the loop busy for ever.  The loop's thread.
 */

/* A client has come: the descriptor, not blocking, is the callee's. */
typedef void mv_listener_fn(void *opaque, int fd);

struct mv_listener {
    struct mv_loop *loop;
    const char *what; /* names it in messages; outlives it */
    int fd;
    char *path;                    /* to be unlinked, or NULL */
    int spare_fd;                  /* given up for a moment to refuse a client */
    bool refusing;                 /* that clients are refused was told */
    struct mv_loop_source *source; /* NULL: it is stopped */
    mv_listener_fn *on_client;
    void *opaque;
};

/* Serve a socket that listens; it is the listener's from here on, also on failure. */
int mv_listener_start(struct mv_listener *listener, struct mv_loop *loop, int fd, const char *what,
                      mv_listener_fn *on_client, void *opaque, struct mv_error *err);
/* Listen at the path of a Unix socket, which goes at the end.  What mv_unix_listen says. */
int mv_listener_open(struct mv_listener *listener, struct mv_loop *loop, const char *path,
                     const char *what, mv_listener_fn *on_client, void *opaque,
                     struct mv_error *err);
/* Let clients wait in the socket's queue, or take them. */
void mv_listener_hold(struct mv_listener *listener, bool hold);
/* Close the socket; one that was never started is {0}. */
void mv_listener_stop(struct mv_listener *listener);

#endif
