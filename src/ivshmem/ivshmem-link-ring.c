/* SPDX-License-Identifier: Apache-2.0 */
/* What a device does with its link: see ivshmem-link.h for which threads may. */
#include "ivshmem-link-state.h"

#include "log.h"

int mv_ivshmem_link_ring(struct mv_ivshmem_link *link, unsigned peer, unsigned vector,
                         uint64_t value)
{
    pthread_rwlock_rdlock(&link->lock);
    int r = mv_ivshmem_view_ring(&link->view, &link->bell, peer, vector, value);
    pthread_rwlock_unlock(&link->lock);
    if (r == 0)
        atomic_fetch_add_explicit(&link->sent, 1, memory_order_relaxed);
    return r;
}

void mv_ivshmem_link_broadcast(struct mv_ivshmem_link *link, unsigned vector, uint64_t value)
{
    uint64_t sent = 0;
    pthread_rwlock_rdlock(&link->lock);
    size_t left = link->view.count;
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && left > 0; id++) {
        if (mv_ivshmem_view_vectors(&link->view, id) == 0)
            continue;
        left--;
        sent += id != link->id && mv_ivshmem_view_ring(&link->view, &link->bell, id, vector, value) == 0;
    }
    pthread_rwlock_unlock(&link->lock);
    atomic_fetch_add_explicit(&link->sent, sent, memory_order_relaxed);
}

unsigned mv_ivshmem_link_vectors(struct mv_ivshmem_link *link, unsigned peer)
{
    pthread_rwlock_rdlock(&link->lock);
    unsigned vectors = mv_ivshmem_view_vectors(&link->view, peer);
    pthread_rwlock_unlock(&link->lock);
    return vectors;
}

unsigned mv_ivshmem_link_id(struct mv_ivshmem_link *link)
{
    pthread_rwlock_rdlock(&link->lock);
    unsigned id = link->id;
    pthread_rwlock_unlock(&link->lock);
    return id;
}

void mv_ivshmem_link_describe(struct mv_ivshmem_link *link, struct mv_ivshmem_link_info *ret)
{
    *ret = (struct mv_ivshmem_link_info){
        .path = link->path,
        .connected = link->up,
        .id = link->id,
        .vectors = link->own_count,
        .sent = atomic_load_explicit(&link->sent, memory_order_relaxed),
        .received = link->received,
    };
}

void mv_ivshmem_link_resume(struct mv_ivshmem_link *link, const struct mv_ivshmem_link_info *then)
{
    atomic_store_explicit(&link->sent, then->sent, memory_order_relaxed);
    link->received = then->received;
    if (link->id != then->id)
        mv_log("%s: the guest was peer %u of its ivshmem server, and is peer %u now", link->name,
               then->id, link->id);
}

void mv_ivshmem_link_for_each(struct mv_ivshmem_link *link,
                              void (*fn)(void *opaque, unsigned peer, unsigned vectors),
                              void *opaque)
{
    size_t left = link->view.count;
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && left > 0; id++) {
        unsigned vectors = mv_ivshmem_view_vectors(&link->view, id);
        left -= vectors > 0;
        if (vectors > 0 && id != link->id)
            fn(opaque, id, vectors);
    }
}
