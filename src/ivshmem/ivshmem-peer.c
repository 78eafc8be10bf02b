/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns each peer's queue and the eventfds that it shares with others' queues; and the
 * threads that help to send them.  `mutex` guards whether there is work and who is at it.
 * The list itself is taken peer by peer through an atomic pointer, and a peer belongs to
 * whoever took it until the round is over.  A helper that wakes up when all is taken goes
 * back to sleep, and nobody waits for it.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

/* --- peers */

#define BATCH 64

int mv_ivshmem_vectors_create(unsigned count, struct mv_ivshmem_vectors **ret)
{
    struct mv_ivshmem_vectors *vectors = malloc(sizeof *vectors + count * sizeof vectors->fds[0]);
    if (vectors == NULL)
        return -ENOMEM;
    vectors->count = 0;
    atomic_init(&vectors->refs, 1);
    for (; vectors->count < count; vectors->count++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            int r = -errno;
            mv_ivshmem_vectors_unref(vectors);
            return r;
        }
        vectors->fds[vectors->count] = fd;
    }
    *ret = vectors;
    return 0;
}

void mv_ivshmem_vectors_unref(struct mv_ivshmem_vectors *vectors)
{
    if (vectors == NULL || atomic_fetch_sub(&vectors->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < vectors->count; i++)
        close(vectors->fds[i]);
    free(vectors);
}

void mv_ivshmem_peer_init_queue(struct mv_ivshmem_peer *peer)
{
    peer->queue = peer->few;
    peer->queue_room = MV_IVSHMEM_QUEUE_FEW;
    peer->queue_first = peer->queue_end = 0;
}

static void free_queue(struct mv_ivshmem_peer *peer)
{
    if (peer->queue != peer->few)
        free(peer->queue);
}

static int make_room(struct mv_ivshmem_peer *peer)
{
    size_t queued = mv_ivshmem_peer_queued(peer);
    if (peer->queue_first > 0 && peer->queue_first >= queued) {
        memcpy(peer->queue, peer->queue + peer->queue_first, queued * sizeof *peer->queue);
        peer->queue_first = 0;
        peer->queue_end = queued;
        return 0;
    }
    size_t room = peer->queue_room * 2;
    struct mv_ivshmem_entry *old = peer->queue == peer->few ? NULL : peer->queue;
    struct mv_ivshmem_entry *queue = reallocarray(old, room, sizeof *queue);
    if (queue == NULL)
        return -ENOMEM;
    if (old == NULL)
        memcpy(queue, peer->few, sizeof peer->few);
    peer->queue = queue;
    peer->queue_room = room;
    return 0;
}

int mv_ivshmem_peer_queue(struct mv_ivshmem_peer *peer, struct mv_ivshmem_entry entry)
{
    /*
     * The limit is for peers that do not read.  One that the server has not sent to yet may have
     * more: much can come at once.
     */
    if (mv_ivshmem_peer_queued(peer) >= peer->queue_limit &&
        (peer->waits_to_write || peer->waits_to_retry))
        return -ENOBUFS;
    if (peer->queue_end == peer->queue_room) {
        int r = make_room(peer);
        if (r < 0)
            return r;
    }
    if (entry.vectors != NULL)
        atomic_fetch_add(&entry.vectors->refs, 1);
    peer->queue[peer->queue_end++] = entry;
    return 0;
}

/* The next messages of the queue, a connect's one by one. */
static size_t gather(const struct mv_ivshmem_peer *peer, struct mv_ivshmem_message batch[BATCH])
{
    size_t count = 0;
    for (size_t i = peer->queue_first; i < peer->queue_end && count < BATCH; i++) {
        const struct mv_ivshmem_entry *entry = &peer->queue[i];
        unsigned v = entry->next, end = entry->vectors == NULL ? v + 1 : entry->vectors->count;
        for (; v < end && count < BATCH; v++)
            batch[count++] = (struct mv_ivshmem_message){
                .kind = entry->kind,
                .id = entry->id,
                .fd = entry->vectors == NULL ? entry->fd : entry->vectors->fds[v]};
    }
    return count;
}

static void advance(struct mv_ivshmem_peer *peer, size_t sent)
{
    while (sent > 0) {
        struct mv_ivshmem_entry *entry = &peer->queue[peer->queue_first];
        size_t left = entry->vectors == NULL ? 1 : entry->vectors->count - entry->next;
        if (sent < left) {
            entry->next += (unsigned)sent;
            return;
        }
        sent -= left;
        mv_ivshmem_vectors_unref(entry->vectors);
        peer->queue_first++;
    }
}

int mv_ivshmem_peer_flush(struct mv_ivshmem_peer *peer)
{
    struct mv_ivshmem_message batch[BATCH];
    size_t count;
    while ((count = gather(peer, batch)) > 0) {
        int n = mv_ivshmem_wire_send(peer->fd, batch, count);
        if (n < 0)
            return n;
        advance(peer, (size_t)n);
    }
    /* The queue's room is given back once it is empty, however long it was. */
    free_queue(peer);
    mv_ivshmem_peer_init_queue(peer);
    return 0;
}

void mv_ivshmem_peer_free(struct mv_ivshmem_peer *peer)
{
    for (size_t i = peer->queue_first; i < peer->queue_end; i++)
        mv_ivshmem_vectors_unref(peer->queue[i].vectors);
    free_queue(peer);
    mv_ivshmem_vectors_unref(peer->vectors);
    mv_cleanup_close(&peer->fd);
    free(peer);
}

/* --- senders */

#define HELPERS_MAX 3
/* Waking a helper costs as much as sending some messages. */
#define WORTH_HELP 128

struct mv_ivshmem_senders {
    pthread_mutex_t mutex;
    pthread_cond_t begun, done;
    _Atomic(struct mv_ivshmem_peer *) next;
    bool open; /* a round is on */
    bool end;
    unsigned at_work;
    bool started;
    unsigned wanted, count;
    pthread_t helpers[HELPERS_MAX];
};

static unsigned other_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
        return 0;
    return CPU_COUNT(&set) - 1 < HELPERS_MAX ? (unsigned)CPU_COUNT(&set) - 1 : HELPERS_MAX;
}

struct mv_ivshmem_senders *mv_ivshmem_senders_create(void)
{
    struct mv_ivshmem_senders *senders = calloc(1, sizeof *senders);
    if (senders == NULL)
        return NULL;
    pthread_mutex_init(&senders->mutex, NULL);
    pthread_cond_init(&senders->begun, NULL);
    pthread_cond_init(&senders->done, NULL);
    senders->wanted = other_cpus();
    return senders;
}

static void take_part(struct mv_ivshmem_senders *senders)
{
    struct mv_ivshmem_peer *peer = atomic_load(&senders->next);
    while (peer != NULL) {
        if (!atomic_compare_exchange_weak(&senders->next, &peer, peer->dirty_next))
            continue;
        peer->flushed = mv_ivshmem_peer_flush(peer);
        peer = atomic_load(&senders->next);
    }
}

static void *help(void *opaque)
{
    struct mv_ivshmem_senders *senders = opaque;
    MV_LOCK_SCOPE(&senders->mutex);
    while (!senders->end) {
        if (!senders->open || atomic_load(&senders->next) == NULL) {
            pthread_cond_wait(&senders->begun, &senders->mutex);
            continue;
        }
        senders->at_work++;
        pthread_mutex_unlock(&senders->mutex);
        take_part(senders);
        pthread_mutex_lock(&senders->mutex);
        if (--senders->at_work == 0)
            pthread_cond_signal(&senders->done);
    }
    return NULL;
}

/* Late, since a server of a few peers needs none.  Without them it goes on alone. */
static void start_helpers(struct mv_ivshmem_senders *senders)
{
    sigset_t all, old;
    if (senders->started)
        return;
    senders->started = true;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (senders->count < senders->wanted &&
           pthread_create(&senders->helpers[senders->count], NULL, help, senders) == 0)
        senders->count++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void mv_ivshmem_senders_flush(struct mv_ivshmem_senders *senders, struct mv_ivshmem_peer *first,
                              size_t messages)
{
    if (messages < WORTH_HELP || first == NULL || first->dirty_next == NULL ||
        senders->wanted == 0) {
        for (struct mv_ivshmem_peer *p = first; p != NULL; p = p->dirty_next)
            p->flushed = mv_ivshmem_peer_flush(p);
        return;
    }
    start_helpers(senders);
    {
        MV_LOCK_SCOPE(&senders->mutex);
        atomic_store(&senders->next, first);
        senders->open = true;
        pthread_cond_broadcast(&senders->begun);
    }
    take_part(senders);
    MV_LOCK_SCOPE(&senders->mutex);
    senders->open = false;
    while (senders->at_work > 0)
        pthread_cond_wait(&senders->done, &senders->mutex);
}

void mv_ivshmem_senders_destroy(struct mv_ivshmem_senders *senders)
{
    if (senders == NULL)
        return;
    {
        MV_LOCK_SCOPE(&senders->mutex);
        senders->end = true;
        pthread_cond_broadcast(&senders->begun);
    }
    for (unsigned i = 0; i < senders->count; i++)
        pthread_join(senders->helpers[i], NULL);
    pthread_cond_destroy(&senders->begun);
    pthread_cond_destroy(&senders->done);
    pthread_mutex_destroy(&senders->mutex);
    free(senders);
}
