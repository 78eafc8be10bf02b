/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the server: its state, what it holds of each peer, and the threads that help
 * it to send.
 */
#ifndef MV_IVSHMEM_SERVER_STATE_H
#define MV_IVSHMEM_SERVER_STATE_H

#include "ivshmem-server.h"
#include "ivshmem-wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

struct mv_ivshmem_senders;
struct mv_ivshmem_server;
struct mv_ivshmem_status_reader;
struct mv_loop_source;

/*
 * --- a peer: its connection, its vectors, and a bounded queue of what it is still to be
 * told.  Owned by the server's thread, which lends it to a sender's for the time of a
 * flush.
 */

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

/*
 * --- threads that help the server's own to send.  Nearly all that a newcomer costs is
 * the kernel's work on one message, with its descriptor, for each peer; the sockets are
 * independent of one another, so that CPUs can share it.
 */

/* As many helpers as there are other CPUs to run on, up to 3.  NULL: no memory. */
struct mv_ivshmem_senders *mv_ivshmem_senders_create(void);
void mv_ivshmem_senders_destroy(struct mv_ivshmem_senders *senders);

/*
 * Flush every peer of a list linked by dirty_next, about so many messages, and leave what
 * mv_ivshmem_peer_flush said in its `flushed`.  Returns when all is done: to
 * the caller it is as if one thread had sent in any order.
 */
void mv_ivshmem_senders_flush(struct mv_ivshmem_senders *senders, struct mv_ivshmem_peer *first,
                              size_t messages);

/* --- the server */

struct mv_ivshmem_server {
    struct mv_loop *loop;
    struct mv_ivshmem_server_config config;
    int64_t started_ms;
    struct mv_loop_source *listen_source;
    struct mv_ivshmem_peer *peers, *last_peer; /* in order of arrival */
    struct mv_ivshmem_peer *newcomers;         /* from here on they are not introduced */
    struct mv_ivshmem_peer *unannounced;       /* and from here on not even announced */
    struct mv_ivshmem_peer *by_id[MV_IVSHMEM_ID_COUNT];
    unsigned peer_count;
    unsigned most_peers; /* since memory was last given back */
    unsigned next_id;
    uint64_t joined, left, dropped, refused;
    bool full_told; /* that nobody more can join was logged */
    int spare_fd;   /* given up to turn somebody away when there is none left */
    struct mv_ivshmem_peer *dirty, **dirty_end;
    struct mv_ivshmem_senders *senders;
    int round_fd; /* eventfd: a round is due */
    bool round_due;
    int timer_fd;       /* for peers that wait_to_retry */
    int socket_bytes;   /* the most that waits in a peer's socket; 0: the system's bound */
    bool shortage_told; /* that too many descriptors are under way was logged */
    struct mv_loop_source *round_source, *timer_source;
    struct mv_loop_source *control_source;
    struct mv_ivshmem_status_reader *readers;
    unsigned reader_count;
};

/* There is no descriptor for a connection at fd: take it by the spare one and end it. */
void mv_ivshmem_server_turn_away(struct mv_ivshmem_server *server, int listen_fd);

/* Send what is queued for the peer, soon. */
void mv_ivshmem_server_flush(struct mv_ivshmem_peer *peer);
/* Drop the peer, soon; `why` is for the log, and "" where it is not worth a line. */
void mv_ivshmem_server_doom(struct mv_ivshmem_peer *peer, const char *why);
/* Start telling a newcomer, the last of the peers, and then the others of it. */
void mv_ivshmem_server_greet(struct mv_ivshmem_peer *peer);
/*
 * There are no more descriptors: drop the peer for whose queue most are kept of
 * others that have gone.  False where nobody's are.  Not inside a walk over the peers.
 */
bool mv_ivshmem_server_spare(struct mv_ivshmem_server *server);
int mv_ivshmem_rounds_start(struct mv_ivshmem_server *server, struct mv_error *err);
void mv_ivshmem_rounds_stop(struct mv_ivshmem_server *server);

/* Serve the status socket: config.control_fd. */
int mv_ivshmem_status_start(struct mv_ivshmem_server *server, struct mv_error *err);
void mv_ivshmem_status_stop(struct mv_ivshmem_server *server);

#endif
