/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server holds of one peer: its connection, its vectors, and a bounded
 * queue of what it is still to be told.  Owned by the server's thread, which lends
 * it to a sender's (ivshmem-senders.h) for the time of a flush.
 */
#ifndef MV_IVSHMEM_PEER_H
#define MV_IVSHMEM_PEER_H

#include "ivshmem-wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

struct mv_ivshmem_server;
struct mv_loop_source;

/* The eventfds of a peer, kept as long as a queue still names them. */
struct mv_ivshmem_vectors {
    atomic_uint refs;
    unsigned count;
    int fds[];
};

/* -ENOMEM, or what eventfd(2) said (-EMFILE, -ENFILE).  One reference. */
int mv_ivshmem_vectors_create(unsigned count, struct mv_ivshmem_vectors **ret);
void mv_ivshmem_vectors_unref(struct mv_ivshmem_vectors *vectors);

/* An event to tell: all messages of a connect, or any other one. */
struct mv_ivshmem_entry {
    enum mv_ivshmem_kind kind;
    uint16_t id;
    unsigned next;                      /* first vector that is not sent yet */
    int fd;                             /* of the memory; not owned */
    struct mv_ivshmem_vectors *vectors; /* of a connect: a reference */
};

#define MV_IVSHMEM_QUEUE_FEW 8

struct mv_ivshmem_peer {
    struct mv_ivshmem_server *server;
    uint16_t id;
    int fd;
    struct ucred owner; /* SO_PEERCRED: of the moment it connected */
    struct timespec since;
    struct mv_loop_source *source;
    struct mv_ivshmem_vectors *vectors;
    struct mv_ivshmem_entry *queue; /* `few`, or allocated where those are not enough */
    size_t queue_first, queue_end, queue_room;
    struct mv_ivshmem_entry few[MV_IVSHMEM_QUEUE_FEW]; /* without memory, who reads is told */
    size_t queue_limit;
    bool waits_to_write; /* the loop watches for room in the socket */
    bool waits_to_retry; /* too many descriptors are under way, or the kernel lacks memory */
    const char *doomed;  /* why it is to be dropped; NULL: it is not */
    bool dirty;          /* on the server's list of those to flush or drop */
    bool announced;      /* it and the introduced are being told of one another */
    bool introduced;     /* the others know of it, and it of them */
    int flushed;         /* what the last flush said */
    struct mv_ivshmem_peer *prev, *next, *dirty_next;
};

static inline size_t mv_ivshmem_peer_queued(const struct mv_ivshmem_peer *peer)
{
    return peer->queue_end - peer->queue_first;
}

/* Before anything is queued. */
void mv_ivshmem_peer_init_queue(struct mv_ivshmem_peer *peer);

/* -ENOBUFS where it is not read, and the queue has reached its limit; -ENOMEM. */
int mv_ivshmem_peer_queue(struct mv_ivshmem_peer *peer, struct mv_ivshmem_entry entry);

/*
 * Send what the socket takes.  0 when all is sent; else -EAGAIN, -ETOOMANYREFS
 * and -ENOMEM or -ENOBUFS, which pass, or what ended the connection.
 */
int mv_ivshmem_peer_flush(struct mv_ivshmem_peer *peer);

/* Close the connection and free all; the source is removed already. */
void mv_ivshmem_peer_free(struct mv_ivshmem_peer *peer);

#endif
