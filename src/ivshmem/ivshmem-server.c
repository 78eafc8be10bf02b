/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the door: who comes in, under which ID, and who sends what he may not.
 * What the peers are told of one another is ivshmem-rounds.c's.  One thread.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "os.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define ACCEPT_BATCH 64
/* What a message with a descriptor takes of a socket's buffer, about. */
#define MESSAGE_BYTES 768
/* One peer's unread messages hold this part of what may be under way (unix(7), ETOOMANYREFS). */
#define UNDER_WAY_PARTS 8

/*
 * A peer that does not read keeps the descriptors that were sent to it under
 * way for as long as it lives, dropped or not.  So with a low limit, which all
 * the user's descriptors under way count against, each socket takes few.
 */
static int choose_socket_bytes(void)
{
    struct rlimit limit;
    int bytes = 0;
    socklen_t len = sizeof bytes;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &len) < 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t messages = limit.rlim_cur / UNDER_WAY_PARTS;
    /* The kernel doubles what it is asked for (socket(7), SO_SNDBUF). */
    return messages < (rlim_t)bytes / MESSAGE_BYTES ? (int)messages * MESSAGE_BYTES / 2 : 0;
}

static void on_peer(void *opaque, uint32_t events)
{
    struct mv_ivshmem_peer *peer = opaque;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        char byte;
        /* Descriptors that come along have no room here: the kernel closes them. */
        ssize_t n = recv(peer->fd, &byte, sizeof byte, MSG_DONTWAIT);
        if (n > 0)
            mv_ivshmem_server_doom(peer, "it sent something, and peers have nothing to say in "
                                         "this protocol");
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            mv_ivshmem_server_doom(peer, "");
    }
    if ((events & EPOLLOUT) != 0)
        mv_ivshmem_server_flush(peer);
}

/* The next higher ID that is free, so that an ID is not used again soon, as QEMU needs it. */
static uint16_t choose_id(struct mv_ivshmem_server *server)
{
    while (server->by_id[server->next_id] != NULL)
        server->next_id = (server->next_id + 1) % MV_IVSHMEM_ID_COUNT;
    uint16_t id = (uint16_t)server->next_id;
    server->next_id = (server->next_id + 1) % MV_IVSHMEM_ID_COUNT;
    return id;
}

static int add_peer(struct mv_ivshmem_server *server, int fd)
{
    struct mv_error err;
    struct mv_ivshmem_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return -ENOMEM;
    *peer = (struct mv_ivshmem_peer){
        .server = server, .fd = -1, .queue_limit = server->peer_count + MV_IVSHMEM_QUEUE_LIMIT};
    mv_ivshmem_peer_init_queue(peer);
    int r = mv_ivshmem_vectors_create(server->config.vectors, &peer->vectors);
    if (r == 0)
        r = mv_loop_add(server->loop, fd, EPOLLIN, on_peer, peer, &peer->source, &err);
    if (r < 0) {
        mv_ivshmem_peer_free(peer);
        return r;
    }
    socklen_t len = sizeof peer->owner;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->owner, &len);
    clock_gettime(CLOCK_REALTIME, &peer->since);
    if (server->socket_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &server->socket_bytes, sizeof server->socket_bytes);
    peer->fd = fd;
    peer->id = choose_id(server);
    peer->prev = server->last_peer;
    *(peer->prev == NULL ? &server->peers : &peer->prev->next) = peer;
    server->last_peer = peer;
    server->by_id[peer->id] = peer;
    server->peer_count++;
    server->joined++;
    if (server->config.verbose)
        mv_log("ivshmem-server: peer %u (pid %d, uid %d) joined", peer->id, (int)peer->owner.pid,
               (int)peer->owner.uid);
    mv_ivshmem_server_greet(peer);
    return 0;
}

/* Logged once, until a peer leaves; not for each peer that is turned away. */
static void refuse(struct mv_ivshmem_server *server, int errnum)
{
    server->refused++;
    if (server->full_told)
        return;
    server->full_told = true;
    if (errnum == 0)
        mv_log("ivshmem-server: %u peers are connected and more are turned away: raise %s",
               server->peer_count,
               server->config.few_descriptors
                   ? "the limit of descriptors (ulimit -Hn, LimitNOFILE=)"
                   : "--max-peers");
    else
        mv_log("ivshmem-server: %u peers are connected and more are turned away: %s%s",
               server->peer_count, strerror(errnum),
               errnum == EMFILE ? ": raise the limit of descriptors (ulimit -n, LimitNOFILE=)"
                                : "");
}

/* Without a descriptor to spare, a connection could not even be turned away. */
void mv_ivshmem_server_turn_away(struct mv_ivshmem_server *server, int listen_fd)
{
    mv_cleanup_close(&server->spare_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    mv_cleanup_close(&fd);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Takes the connection in any case. */
static void admit(struct mv_ivshmem_server *server, int fd)
{
    int r = 1;
    if (server->peer_count < server->config.max_peers) {
        do {
            r = add_peer(server, fd);
        } while ((r == -EMFILE || r == -ENFILE) && mv_ivshmem_server_spare(server));
    }
    if (r != 0) {
        refuse(server, r > 0 ? 0 : -r);
        close(fd);
    }
}

static void on_listen(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(server->config.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(server, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
            int errnum = errno;
            if (errnum != ENOMEM && mv_ivshmem_server_spare(server))
                continue;
            refuse(server, errnum);
            mv_ivshmem_server_turn_away(server, server->config.listen_fd);
        } else {
            break;
        }
    }
}

static int start(struct mv_ivshmem_server *server, struct mv_error *err)
{
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (server->spare_fd < 0)
        return mv_error_set_errno(err, errno, "ivshmem-server");
    int r = mv_ivshmem_rounds_start(server, err);
    if (r == 0)
        r = mv_loop_add(server->loop, server->config.listen_fd, EPOLLIN, on_listen, server,
                        &server->listen_source, err);
    if (r == 0 && server->config.control_fd >= 0)
        r = mv_ivshmem_status_start(server, err);
    return r;
}

int mv_ivshmem_server_create(struct mv_loop *loop, const struct mv_ivshmem_server_config *config,
                             struct mv_ivshmem_server **ret, struct mv_error *err)
{
    struct mv_ivshmem_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return mv_error_set_errno(err, ENOMEM, "ivshmem-server");
    server->loop = loop;
    server->config = *config;
    server->spare_fd = server->round_fd = server->timer_fd = -1;
    server->socket_bytes = choose_socket_bytes();
    server->started_ms = mv_now_ms();
    int r = start(server, err);
    if (r < 0) {
        mv_ivshmem_server_destroy(server);
        return r;
    }
    *ret = server;
    return 0;
}

void mv_ivshmem_server_destroy(struct mv_ivshmem_server *server)
{
    if (server == NULL)
        return;
    while (server->peers != NULL) {
        struct mv_ivshmem_peer *peer = server->peers;
        server->peers = peer->next;
        mv_loop_remove(peer->source);
        mv_ivshmem_peer_free(peer);
    }
    mv_ivshmem_status_stop(server);
    mv_loop_remove(server->listen_source);
    mv_ivshmem_rounds_stop(server);
    mv_cleanup_close(&server->spare_fd);
    free(server);
}

size_t mv_ivshmem_server_peers(const struct mv_ivshmem_server *server)
{
    return server->peer_count;
}
