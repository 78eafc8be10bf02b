/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns who is to be told what.  News is first put in queues, and the peers that
 * have some stand in a list of the "dirty"; rounds then send it, after the
 * events that have come are served: so a burst of newcomers or of deaths costs
 * a batch a peer, and dropping one, which everybody else is told, never happens
 * inside a walk over the peers.
 *
 * A round has a bound, so that whoever connects meanwhile is greeted soon: that
 * all are told of all is work by the square of the peers.  One thread, but for
 * the senders that it waits for.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "os.h"

#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

/* Messages of a round, some 10 ms, unless the configuration says otherwise. */
#define ROUND_MESSAGES 8192
/* Newcomers tell one another in a batch, which the helpers have no part in. */
#define ROUND_NEWCOMERS 16
/* What takes as long to put into queues. */
#define ROUND_ENTRIES (ROUND_MESSAGES * 64)
/* About what a socket holds. */
#define SOCKET_MESSAGES 256
/*
 * How long to wait, and for how many peers, where more descriptors are in flight than an
 * unprivileged user may have.
 */
#define RETRY_MS    5
#define RETRY_PEERS 64

static void round_soon(struct mv_ivshmem_server *server)
{
    if (!server->round_due)
        eventfd_write(server->round_fd, 1);
    server->round_due = true;
}

void mv_ivshmem_server_flush(struct mv_ivshmem_peer *peer)
{
    if (peer->dirty)
        return;
    peer->dirty = true;
    peer->dirty_next = NULL;
    *peer->server->dirty_end = peer;
    peer->server->dirty_end = &peer->dirty_next;
    round_soon(peer->server);
}

void mv_ivshmem_server_doom(struct mv_ivshmem_peer *peer, const char *why)
{
    if (peer->doomed == NULL)
        peer->doomed = why;
    mv_ivshmem_server_flush(peer);
}

static void tell(struct mv_ivshmem_peer *peer, struct mv_ivshmem_entry entry)
{
    if (peer->doomed != NULL)
        return;
    int r = mv_ivshmem_peer_queue(peer, entry);
    if (r == -ENOBUFS)
        mv_ivshmem_server_doom(peer, "it does not read what the server tells it");
    else if (r < 0)
        mv_ivshmem_server_doom(peer, "the server is out of memory");
    else if (!peer->waits_to_write && !peer->waits_to_retry)
        mv_ivshmem_server_flush(peer);
}

static struct mv_ivshmem_entry connect_of(const struct mv_ivshmem_peer *peer)
{
    return (struct mv_ivshmem_entry){
        .kind = MV_IVSHMEM_CONNECT, .id = peer->id, .fd = -1, .vectors = peer->vectors};
}

/*
 * Descriptors in flight that nobody has read count against the server's user.  `r` is what
 * the flush returned.
 */
static void wait_for_readers(struct mv_ivshmem_server *server, int r)
{
    struct rlimit limit;
    struct itimerspec soon = {.it_value = {.tv_nsec = RETRY_MS * 1000 * 1000}};
    timerfd_settime(server->timer_fd, 0, &soon, NULL);
    if (server->shortage_told)
        return;
    server->shortage_told = true;
    if (r != -ETOOMANYREFS) {
        mv_log("ivshmem-server: news to peers comes late: %s", strerror(-r));
        return;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    mv_log("ivshmem-server: more than %llu descriptors wait to be read by peers, which is all "
           "that this user may have under way: news comes late; raise the limit (ulimit -n, "
           "LimitNOFILE=)",
           (unsigned long long)limit.rlim_cur);
}

/* What follows from how its flush ended. */
static void conclude_flush(struct mv_ivshmem_peer *peer)
{
    int r = peer->flushed;
    bool wait = r == -EAGAIN;
    peer->waits_to_retry = r == -ETOOMANYREFS || r == -ENOMEM || r == -ENOBUFS;
    if (wait != peer->waits_to_write) {
        peer->waits_to_write = wait;
        mv_loop_modify(peer->source, EPOLLIN | (wait ? EPOLLOUT : 0));
    }
    if (peer->waits_to_retry)
        wait_for_readers(peer->server, r);
    /* It has gone, which is no news worth a line. */
    if (r == -EPIPE || r == -ECONNRESET)
        mv_ivshmem_server_doom(peer, "");
    else if (r < 0 && !wait && !peer->waits_to_retry)
        mv_ivshmem_server_doom(peer, strerror(-r));
}

/* The protocol's steps 1 to 3, at once: the others may take a while in a crowd. */
void mv_ivshmem_server_greet(struct mv_ivshmem_peer *peer)
{
    struct mv_ivshmem_server *server = peer->server;
    const struct mv_ivshmem_entry greeting[] = {
        {.kind = MV_IVSHMEM_VERSION, .fd = -1},
        {.kind = MV_IVSHMEM_OWN_ID, .id = peer->id, .fd = -1},
        {.kind = MV_IVSHMEM_MEMORY, .fd = server->config.memory_fd}};
    int r = 0;
    for (size_t i = 0; i < sizeof greeting / sizeof greeting[0] && r == 0; i++)
        r = mv_ivshmem_peer_queue(peer, greeting[i]);
    peer->flushed = r < 0 ? r : mv_ivshmem_peer_flush(peer);
    conclude_flush(peer);
    if (server->newcomers == NULL)
        server->newcomers = peer;
    if (server->unannounced == NULL)
        server->unannounced = peer;
    round_soon(server);
}

/* Remove a peer, and tell all who knew of it. */
static void remove_peer(struct mv_ivshmem_peer *peer)
{
    struct mv_ivshmem_server *server = peer->server;
    struct mv_ivshmem_entry end = {.kind = MV_IVSHMEM_DISCONNECT, .id = peer->id, .fd = -1};
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
    if (server->newcomers == peer)
        server->newcomers = peer->next;
    if (server->unannounced == peer)
        server->unannounced = peer->next;
    /* An announced peer and the introduced ones know each other; newer ones know nobody yet. */
    const struct mv_ivshmem_peer *last = peer->introduced  ? server->unannounced
                                         : peer->announced ? server->newcomers
                                                           : server->peers;
    for (struct mv_ivshmem_peer *p = server->peers; p != last; p = p->next)
        tell(p, end);
    mv_loop_remove(peer->source);
    mv_ivshmem_peer_free(peer);
}

/* Drop the doomed of the list, as many as a round allows. */
static void drop_doomed(struct mv_ivshmem_server *server)
{
    uint64_t entries = 0;
    struct mv_ivshmem_peer **at = &server->dirty;
    while (*at != NULL && entries < ROUND_ENTRIES) {
        struct mv_ivshmem_peer *peer = *at;
        if (peer->doomed == NULL) {
            at = &peer->dirty_next;
            continue;
        }
        *at = peer->dirty_next;
        if (*at == NULL)
            server->dirty_end = at;
        remove_peer(peer);
        entries += server->peer_count;
    }
}

/* How many vectors of peers that are gone are kept open only because its queue names them. */
static size_t kept_for(const struct mv_ivshmem_peer *peer)
{
    size_t kept = 0;
    for (size_t i = peer->queue_first; i < peer->queue_end; i++) {
        const struct mv_ivshmem_entry *entry = &peer->queue[i];
        const struct mv_ivshmem_peer *about = peer->server->by_id[entry->id];
        if (entry->vectors != NULL && (about == NULL || about->vectors != entry->vectors))
            kept += entry->vectors->count;
    }
    return kept;
}

bool mv_ivshmem_server_spare(struct mv_ivshmem_server *server)
{
    struct mv_ivshmem_peer *worst = NULL;
    size_t most = 0;
    for (struct mv_ivshmem_peer *p = server->peers; p != NULL; p = p->next) {
        size_t kept = p->doomed == NULL ? kept_for(p) : 0;
        if (kept > most) {
            most = kept;
            worst = p;
        }
    }
    if (worst == NULL)
        return false;
    mv_ivshmem_server_doom(worst, "it does not read, and the server needs the descriptors that "
                                  "are kept for it");
    drop_doomed(server);
    return true;
}

static size_t cost(const struct mv_ivshmem_peer *peer)
{
    size_t messages = mv_ivshmem_peer_queued(peer) * peer->server->config.vectors;
    return messages < SOCKET_MESSAGES ? messages + 1 : SOCKET_MESSAGES;
}

/*
 * Take the introduced or the newcomers out of the list, up to so many messages;
 * linked by dirty_next.
 */
static struct mv_ivshmem_peer *pick(struct mv_ivshmem_server *server, bool introduced, size_t most,
                                    size_t *ret_messages)
{
    struct mv_ivshmem_peer *first = NULL, **end = &first, **at = &server->dirty;
    size_t messages = 0;
    while (*at != NULL) {
        struct mv_ivshmem_peer *peer = *at;
        if (peer->introduced != introduced || peer->doomed != NULL || messages >= most) {
            at = &peer->dirty_next;
            continue;
        }
        *at = peer->dirty_next;
        messages += cost(peer);
        peer->dirty = false;
        *end = peer;
        end = &peer->dirty_next;
    }
    *end = NULL;
    server->dirty_end = at;
    *ret_messages = messages;
    return first;
}

/* Returns about how many messages it took. */
static size_t flush_some(struct mv_ivshmem_server *server, bool introduced, size_t most)
{
    size_t messages;
    struct mv_ivshmem_peer *first = pick(server, introduced, most, &messages);
    mv_ivshmem_senders_flush(server->senders, first, messages);
    while (first != NULL) {
        struct mv_ivshmem_peer *peer = first;
        first = peer->dirty_next;
        conclude_flush(peer);
    }
    return messages;
}

/*
 * Steps 4 and 5 of the protocol for a batch of newcomers.  A peer must know a newcomer
 * before the newcomer can ring it.  So the others are told of the newcomers first, and
 * then the newcomers of the others; this may take several rounds.
 */
static void announce(struct mv_ivshmem_server *server)
{
    struct mv_ivshmem_peer *first = server->newcomers, *end = first;
    uint64_t messages = 0;
    for (int n = 0; n < ROUND_NEWCOMERS && end != NULL && messages < server->config.round_messages;
         n++) {
        for (struct mv_ivshmem_peer *p = server->peers; p != first; p = p->next) {
            tell(p, connect_of(end));
            tell(end, connect_of(p));
            messages += 2 * server->config.vectors;
        }
        end->announced = true;
        end = end->next;
    }
    server->unannounced = end;
}

/* Once all of that is sent: tell those of the batch of one another, one after the other. */
static void introduce(struct mv_ivshmem_server *server)
{
    struct mv_ivshmem_peer *first = server->newcomers, *end = server->unannounced;
    for (struct mv_ivshmem_peer *x = first; x != end; x = x->next) {
        for (struct mv_ivshmem_peer *y = first; y != end; y = y->next)
            tell(x, connect_of(y));
        flush_some(server, false, SIZE_MAX);
    }
    for (struct mv_ivshmem_peer *p = first; p != end; p = p->next)
        p->introduced = true;
    server->newcomers = end;
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

/* Whether all that is queued is sent, to the introduced first; takes what it costs from *left. */
static bool flush_all(struct mv_ivshmem_server *server, size_t *left)
{
    for (int introduced = 1; introduced >= 0; introduced--) {
        size_t messages = flush_some(server, introduced, *left);
        if (messages >= *left)
            return false;
        *left -= messages;
    }
    return true;
}

static void on_round(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    mv_drain(server->round_fd);
    server->round_due = false;
    size_t left = server->config.round_messages;
    while (flush_all(server, &left) && server->newcomers != NULL) {
        if (server->newcomers == server->unannounced)
            announce(server);
        else
            introduce(server);
    }
    drop_doomed(server);
    if (server->dirty != NULL || server->newcomers != NULL)
        round_soon(server);
    else
        give_back(server);
}

static void on_timer(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    unsigned waiting = 0;
    mv_drain(server->timer_fd);
    for (struct mv_ivshmem_peer *p = server->peers; p != NULL; p = p->next) {
        if (p->waits_to_retry && waiting++ < RETRY_PEERS)
            mv_ivshmem_server_flush(p);
    }
}

int mv_ivshmem_rounds_start(struct mv_ivshmem_server *server, struct mv_error *err)
{
    server->dirty_end = &server->dirty;
    if (server->config.round_messages == 0)
        server->config.round_messages = ROUND_MESSAGES;
    server->round_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->senders = mv_ivshmem_senders_create();
    if (server->round_fd < 0 || server->timer_fd < 0 || server->senders == NULL)
        return mv_error_set_errno(err, errno, "ivshmem-server");
    int r = mv_loop_add(server->loop, server->round_fd, EPOLLIN, on_round, server,
                        &server->round_source, err);
    if (r == 0)
        r = mv_loop_add(server->loop, server->timer_fd, EPOLLIN, on_timer, server,
                        &server->timer_source, err);
    return r;
}

void mv_ivshmem_rounds_stop(struct mv_ivshmem_server *server)
{
    mv_loop_remove(server->timer_source);
    mv_loop_remove(server->round_source);
    mv_ivshmem_senders_destroy(server->senders);
    mv_cleanup_close(&server->timer_fd);
    mv_cleanup_close(&server->round_fd);
}
