/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the peers and their IDs.  What is to be told is first put in queues and
 * then sent, a list of "dirty" peers long, at the end of each callback: so a
 * burst of newcomers costs a batch a peer, and dropping one, which everybody
 * else is told, never happens inside a walk over the peers.  One thread.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define ACCEPT_BATCH 64
#define RETRY_MS     5

static void mark_dirty(struct mv_ivshmem_peer *peer)
{
    if (peer->dirty)
        return;
    peer->dirty = true;
    peer->dirty_next = NULL;
    *peer->server->dirty_end = peer;
    peer->server->dirty_end = &peer->dirty_next;
}

static void doom(struct mv_ivshmem_peer *peer, const char *why)
{
    if (peer->doomed == NULL)
        peer->doomed = why;
    mark_dirty(peer);
}

static void tell(struct mv_ivshmem_peer *peer, struct mv_ivshmem_entry entry)
{
    if (peer->doomed != NULL)
        return;
    int r = mv_ivshmem_peer_queue(peer, entry);
    if (r == -ENOBUFS)
        doom(peer, "it does not read what the server tells it");
    else if (r < 0)
        doom(peer, "the server is out of memory");
    else if (!peer->waits_to_write && !peer->waits_to_retry)
        mark_dirty(peer);
}

static void tell_others(const struct mv_ivshmem_peer *about, struct mv_ivshmem_entry entry)
{
    for (struct mv_ivshmem_peer *p = about->server->peers; p != NULL; p = p->next) {
        if (p != about)
            tell(p, entry);
    }
}

/* Take a peer out of the world and tell everybody. */
static void remove_peer(struct mv_ivshmem_peer *peer)
{
    struct mv_ivshmem_server *server = peer->server;
    if (peer->doomed[0] != '\0') {
        mv_log("ivshmem-server: peer %u (pid %d) is dropped: %s", peer->id, (int)peer->owner.pid,
               peer->doomed);
        server->dropped++;
    } else {
        if (server->config.verbose)
            mv_log("ivshmem-server: peer %u (pid %d) left", peer->id, (int)peer->owner.pid);
        server->left++;
    }
    *(peer->prev == NULL ? &server->peers : &peer->prev->next) = peer->next;
    *(peer->next == NULL ? &server->last_peer : &peer->next->prev) = peer->prev;
    server->by_id[peer->id] = NULL;
    server->peer_count--;
    server->full_told = false;
    tell_others(peer,
                (struct mv_ivshmem_entry){.kind = MV_IVSHMEM_DISCONNECT, .id = peer->id, .fd = -1});
    mv_loop_remove(peer->source);
    mv_ivshmem_peer_free(peer);
}

static void retry_soon(struct mv_ivshmem_server *server)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = RETRY_MS * 1000 * 1000}};
    timerfd_settime(server->retry_fd, 0, &soon, NULL);
}

static void flush_peer(struct mv_ivshmem_peer *peer)
{
    int r = mv_ivshmem_peer_flush(peer);
    bool wait = r == -EAGAIN;
    peer->waits_to_retry = r == -ETOOMANYREFS;
    if (wait != peer->waits_to_write) {
        peer->waits_to_write = wait;
        mv_loop_modify(peer->source, EPOLLIN | (wait ? EPOLLOUT : 0));
    }
    if (peer->waits_to_retry)
        retry_soon(peer->server);
    /* It has gone, which is no news worth a line. */
    if (r == -EPIPE || r == -ECONNRESET)
        doom(peer, "");
    else if (r < 0 && !wait && !peer->waits_to_retry)
        doom(peer, strerror(-r));
}

/* What a crowd's queues took goes back to the system when the crowd has gone. */
static void give_back(struct mv_ivshmem_server *server)
{
    if (server->peer_count > server->most_peers)
        server->most_peers = server->peer_count;
    if (server->most_peers < 64 || server->peer_count > server->most_peers / 4)
        return;
    server->most_peers = server->peer_count;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/* Send and drop until nobody is dirty: a drop makes the others so. */
static void settle(struct mv_ivshmem_server *server)
{
    while (server->dirty != NULL) {
        struct mv_ivshmem_peer *peer = server->dirty;
        server->dirty = peer->dirty_next;
        if (server->dirty == NULL)
            server->dirty_end = &server->dirty;
        peer->dirty = false;
        if (peer->doomed == NULL)
            flush_peer(peer);
        else
            remove_peer(peer);
    }
    give_back(server);
}

static void on_retry(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    uint64_t count;
    ssize_t n = read(server->retry_fd, &count, sizeof count);
    (void)n;
    for (struct mv_ivshmem_peer *p = server->peers; p != NULL; p = p->next) {
        if (p->waits_to_retry)
            mark_dirty(p);
    }
    settle(server);
}

static void on_peer(void *opaque, uint32_t events)
{
    struct mv_ivshmem_peer *peer = opaque;
    struct mv_ivshmem_server *server = peer->server;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        char byte;
        /* Descriptors that come along have no room here: the kernel closes them. */
        ssize_t n = recv(peer->fd, &byte, sizeof byte, MSG_DONTWAIT);
        if (n > 0)
            doom(peer, "it sent something, and peers have nothing to say in this protocol");
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            doom(peer, "");
    }
    if ((events & EPOLLOUT) != 0)
        mark_dirty(peer);
    settle(server);
}

/* The next ID upward that nobody has: late to come again, as QEMU needs it. */
static uint16_t choose_id(struct mv_ivshmem_server *server)
{
    while (server->by_id[server->next_id] != NULL)
        server->next_id = (server->next_id + 1) % MV_IVSHMEM_ID_COUNT;
    uint16_t id = (uint16_t)server->next_id;
    server->next_id = (server->next_id + 1) % MV_IVSHMEM_ID_COUNT;
    return id;
}

/* The protocol's steps 1 to 5; the others know of it before it learns of them. */
static void greet(struct mv_ivshmem_peer *peer)
{
    struct mv_ivshmem_server *server = peer->server;
    struct mv_ivshmem_entry self = {
        .kind = MV_IVSHMEM_CONNECT, .id = peer->id, .fd = -1, .vectors = peer->vectors};
    tell_others(peer, self);
    tell(peer, (struct mv_ivshmem_entry){.kind = MV_IVSHMEM_VERSION, .fd = -1});
    tell(peer, (struct mv_ivshmem_entry){.kind = MV_IVSHMEM_OWN_ID, .id = peer->id, .fd = -1});
    tell(peer,
         (struct mv_ivshmem_entry){.kind = MV_IVSHMEM_MEMORY, .fd = server->config.memory_fd});
    for (struct mv_ivshmem_peer *p = server->peers; p != NULL; p = p->next) {
        if (p != peer)
            tell(peer,
                 (struct mv_ivshmem_entry){
                     .kind = MV_IVSHMEM_CONNECT, .id = p->id, .fd = -1, .vectors = p->vectors});
    }
    tell(peer, self);
}

static int add_peer(struct mv_ivshmem_server *server, int fd)
{
    struct mv_error err;
    struct mv_ivshmem_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return -ENOMEM;
    *peer = (struct mv_ivshmem_peer){
        .server = server, .fd = -1, .queue_limit = server->peer_count + MV_IVSHMEM_QUEUE_LIMIT};
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
    greet(peer);
    return 0;
}

/* One line until a peer goes, not one for each that is turned away. */
static void refuse(struct mv_ivshmem_server *server, int errnum)
{
    server->refused++;
    if (server->full_told)
        return;
    server->full_told = true;
    if (errnum == 0)
        mv_log("ivshmem-server: %u peers are connected and more are turned away: raise "
               "--max-peers",
               server->peer_count);
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

static void on_listen(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(server->config.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            refuse(server, errno);
            mv_ivshmem_server_turn_away(server, server->config.listen_fd);
            continue;
        }
        if (fd < 0)
            break;
        int r = server->peer_count >= server->config.max_peers ? 1 : add_peer(server, fd);
        if (r != 0) {
            refuse(server, r > 0 ? 0 : -r);
            close(fd);
        }
    }
    settle(server);
}

static int start(struct mv_ivshmem_server *server, struct mv_error *err)
{
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (server->spare_fd < 0 || server->retry_fd < 0)
        return mv_error_set_errno(err, errno, "ivshmem-server");
    int r = mv_loop_add(server->loop, server->retry_fd, EPOLLIN, on_retry, server,
                        &server->retry_source, err);
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
    server->dirty_end = &server->dirty;
    server->spare_fd = server->retry_fd = -1;
    clock_gettime(CLOCK_MONOTONIC, &server->started);
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
    if (server->listen_source != NULL)
        mv_loop_remove(server->listen_source);
    if (server->retry_source != NULL)
        mv_loop_remove(server->retry_source);
    mv_cleanup_close(&server->spare_fd);
    mv_cleanup_close(&server->retry_fd);
    free(server);
}

size_t mv_ivshmem_server_peers(const struct mv_ivshmem_server *server)
{
    return server->peer_count;
}
