/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_listener: a listening socket in a loop, for every server but that of
 * ivshmem, whose thousands of peers have rules of their own.  A client that
 * comes when the process has no descriptor left is refused, and told of once:
 * left in the queue, it would keep the loop busy for ever.  The loop's thread.
 */
#ifndef MV_BASE_LISTENER_H
#define MV_BASE_LISTENER_H

#include "error.h"

#include <stdbool.h>

struct mv_loop;
struct mv_loop_source;

/* A client has come: the descriptor, not blocking, is the callee's. */
typedef void mv_listener_fn(void *opaque, int fd);

struct mv_listener {
    struct mv_loop *loop;
    const char *what; /* names it in messages; outlives it */
    int fd;           /* -1: it is stopped */
    int spare_fd;     /* given up for a moment to refuse a client */
    bool refusing;    /* that clients are refused was told */
    struct mv_loop_source *source;
    mv_listener_fn *on_client;
    void *opaque;
};

/* Serve a socket that listens; it is the listener's from here on, also on failure. */
int mv_listener_start(struct mv_listener *listener, struct mv_loop *loop, int fd, const char *what,
                      mv_listener_fn *on_client, void *opaque, struct mv_error *err);
/* Let clients wait in the socket's queue, or take them. */
void mv_listener_hold(struct mv_listener *listener, bool hold);
/* Close the socket; one that was never started has an fd of -1. */
void mv_listener_stop(struct mv_listener *listener);

#endif
