/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the helpers' threads.  `mutex` guards whether there is work and who is
 * at it; the list itself is taken peer by peer through an atomic pointer, and a
 * peer belongs to whoever took it until the round is over.  A helper that wakes
 * up when all is taken goes back to sleep, and nobody waits for it.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

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
