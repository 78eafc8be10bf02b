/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_link, for the files of the link alone.  `lock` guards the
 * view of the peers and the ID, which vCPU threads read and the loop's thread
 * changes; all else is the loop's thread's.
 */
#ifndef MV_IVSHMEM_LINK_STATE_H
#define MV_IVSHMEM_LINK_STATE_H

#include "ivshmem-link.h"

#include "ivshmem-session.h"
#include "ivshmem-view.h"

#include <pthread.h>
#include <stdatomic.h>

struct mv_loop_source;

/* One of our own, whose descriptor is in the view. */
struct mv_ivshmem_link_vector {
    struct mv_ivshmem_link *link;
    unsigned number;
    int fd;
    struct mv_loop_source *source;
};

struct mv_ivshmem_link {
    struct mv_ivshmem_link_config config;
    char *path, *name;
    int timer_fd;
    struct mv_loop_source *socket_source, *timer_source;
    struct mv_ivshmem_session session; /* its ID is the view's once it is up */
    int descriptors_end; /* peers' are below it */
    bool up;          /* its memory is taken, and the view is its */
    bool was_lost;
    int64_t up_since_ms;
    long retry_ms; /* longer after each of a row of connections that were short */
    struct mv_error told; /* the last refusal that was logged */
    struct mv_ivshmem_link_vector *own; /* config.vectors of them */
    unsigned own_count;
    pthread_rwlock_t lock;
    struct mv_ivshmem_view view;
    struct mv_ivshmem_bell bell; /* needs no lock */
    unsigned id;
    _Atomic uint64_t sent;
    uint64_t received;
};

#endif
