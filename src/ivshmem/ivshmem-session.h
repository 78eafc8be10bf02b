/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_session: the client's end of a connection to a server, and
 * the order in which a server may say things.  Its owner's alone, no lock;
 * called by the hello, the device's link and the client library, which differ
 * in what they make of the news.
 */
#ifndef MV_IVSHMEM_SESSION_H
#define MV_IVSHMEM_SESSION_H

#include "error.h"
#include "ivshmem-wire.h"

#include <stdbool.h>

struct mv_ivshmem_session {
    int socket_fd; /* -1: none */
    struct mv_ivshmem_decoder decoder;
    bool has_id;
    unsigned id; /* ours, also when the connection has ended */
    bool has_memory;
};

enum mv_ivshmem_news_kind {
    MV_IVSHMEM_NEWS_MEMORY, /* fd; once, before all others */
    MV_IVSHMEM_NEWS_VECTOR, /* fd: one more of the peer `id`, or of ours */
    MV_IVSHMEM_NEWS_GONE,   /* the peer `id`, which may never have been told of */
};

struct mv_ivshmem_news {
    enum mv_ivshmem_news_kind kind;
    uint16_t id;
    int fd; /* the receiver's */
};

/* Without a connection. */
void mv_ivshmem_session_init(struct mv_ivshmem_session *session);
/* Takes the socket. */
void mv_ivshmem_session_begin(struct mv_ivshmem_session *session, int socket_fd);
/* Begins at a server's socket without waiting: -EAGAIN where its queue is full. */
int mv_ivshmem_session_connect(struct mv_ivshmem_session *session, const char *path,
                               struct mv_error *err);
/* Closes it; a session without one may be ended, too. */
void mv_ivshmem_session_end(struct mv_ivshmem_session *session);

/*
 * The next news, without waiting: 1, or 0 where there is none for now.
 * -ECONNRESET at the end of the connection, -EPROTO for what a server does not
 * say, or not then; behind an error the connection is of no more use.
 */
int mv_ivshmem_session_receive(struct mv_ivshmem_session *session, struct mv_ivshmem_news *ret,
                               struct mv_error *err);

/*
 * --- struct mv_ivshmem_hello: a connection to a server up to its memory, which is all
 * that takes long.  It is had in any thread, and given to a link.
 */

/* Its owner's alone. */
struct mv_ivshmem_hello {
    struct mv_ivshmem_session session; /* a link takes it, and the memory */
    int memory_fd;
};

/*
 * Connect, and wait for the memory, up to ten seconds or until `cancelled` says
 * so.  -ETIMEDOUT, -ECANCELED, what connect(2) said, or -EPROTO.
 */
int mv_ivshmem_hello_create(const char *path, bool (*cancelled)(void *opaque), void *opaque,
                            struct mv_ivshmem_hello **ret, struct mv_error *err);
/* May be NULL. */
void mv_ivshmem_hello_destroy(struct mv_ivshmem_hello *hello);

#endif
