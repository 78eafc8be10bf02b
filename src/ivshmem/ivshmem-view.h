/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_view: the peers as a server has told a client of them, each
 * with its eventfds, and the checks of what a server hands out.  No lock of its
 * own: its owner's.  Called by the client library and the device's link.
 */
#ifndef MV_IVSHMEM_VIEW_H
#define MV_IVSHMEM_VIEW_H

#include "error.h"
#include "ivshmem-bell.h"
#include "ivshmem-wire.h"

#include <stddef.h>
#include <stdint.h>

struct mv_ivshmem_view_peer {
    unsigned count;
    int fds[]; /* by vector */
};

/* Zeroed, it is empty. */
struct mv_ivshmem_view {
    struct mv_ivshmem_view_peer *peers[MV_IVSHMEM_ID_COUNT];
    size_t count; /* of peers, oneself among them */
};

/*
 * One vector more of a peer.  Takes the descriptor in any case, and makes it
 * non-blocking.  1: the peer is new; 0: it is known; -EPROTO where the
 * descriptor is no eventfd, or there are too many; -ENOMEM.
 */
int mv_ivshmem_view_add(struct mv_ivshmem_view *view, uint16_t id, int fd, struct mv_error *err);
/* Closes its descriptors; one that is not there is no matter. */
void mv_ivshmem_view_remove(struct mv_ivshmem_view *view, unsigned id);
void mv_ivshmem_view_clear(struct mv_ivshmem_view *view);

/* How many vectors a peer has: 0 where there is none of this ID. */
unsigned mv_ivshmem_view_vectors(const struct mv_ivshmem_view *view, unsigned id);
/*
 * Ring without waiting, by adding a value, 1 where only the ring counts, to the
 * eventfd.  -ENOENT: no such peer; -EINVAL: no such vector.
 */
int mv_ivshmem_view_ring(const struct mv_ivshmem_view *view, struct mv_ivshmem_bell *bell,
                         unsigned id, unsigned vector, uint64_t value);
/*
 * What an eventfd of our own has counted, without waiting: peers have it too,
 * may take its count first, and may make it one that waits.  False: nothing.
 */
bool mv_ivshmem_view_count(int fd, uint64_t *ret);

/*
 * Whether a descriptor is memory that a BAR can show: whole pages, a power of
 * two.  -EPROTO with the size in words where it is not.
 */
int mv_ivshmem_view_check_memory(int fd, uint64_t *ret_size, struct mv_error *err);

#endif
