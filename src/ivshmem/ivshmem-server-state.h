/* SPDX-License-Identifier: Apache-2.0 */
/* What ivshmem-server.c, ivshmem-settle.c and ivshmem-status.c share: the server's state. */
#ifndef MV_IVSHMEM_SERVER_STATE_H
#define MV_IVSHMEM_SERVER_STATE_H

#include "ivshmem-peer.h"
#include "ivshmem-senders.h"
#include "ivshmem-server.h"

struct mv_ivshmem_status_reader;

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
    int settle_fd; /* eventfd: a round is due */
    bool settle_due;
    int timer_fd;       /* for peers that wait_to_retry */
    int socket_bytes;   /* the most that waits in a peer's socket; 0: the system's bound */
    bool shortage_told; /* that too many descriptors are under way was logged */
    struct mv_loop_source *settle_source, *timer_source;
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
int mv_ivshmem_settle_start(struct mv_ivshmem_server *server, struct mv_error *err);
void mv_ivshmem_settle_stop(struct mv_ivshmem_server *server);

/* Serve the status socket: config.control_fd. */
int mv_ivshmem_status_start(struct mv_ivshmem_server *server, struct mv_error *err);
void mv_ivshmem_status_stop(struct mv_ivshmem_server *server);

#endif
