/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_view: the peers as a server has told a client of them, each
 * with its eventfds, and the checks of what a server hands out.  No lock of its
 * own: its owner's.  Called by the client library and the device's link.
 *
 * struct mv_ivshmem_bell: adds to peers' eventfds without ever waiting for a
 * peer.  O_NONBLOCK is no help there: it belongs to the open eventfd, which the
 * peer has too and can clear, and then one that it has filled holds whoever
 * writes.  What the kernel itself signals at the end of an asynchronous write
 * (eventfd's use with io_submit(2)) never waits: a counter that is full stays
 * full.  A ring costs 0.4 us so, against 0.2 us of a write(2) that may wait.
 * Any thread, at the same time too.
 */
#ifndef MV_IVSHMEM_VIEW_H
#define MV_IVSHMEM_VIEW_H

#include "error.h"
#include "ivshmem-wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the bell */

struct mv_ivshmem_bell {
    uint64_t context; /* the kernel's; 0: this host has none to give */
    int null_fd;      /* where the writes go */
    atomic_uint rings;
};

/* Never fails: without the kernel's help it rings by write(2), once poll(2) says that it may. */
void mv_ivshmem_bell_init(struct mv_ivshmem_bell *bell);
void mv_ivshmem_bell_destroy(struct mv_ivshmem_bell *bell);

/* Add value, not 0, to an eventfd; 0, also where that is full, or a negative errno. */
int mv_ivshmem_bell_ring(struct mv_ivshmem_bell *bell, int fd, uint64_t value);

/* --- the table of peers */

struct mv_ivshmem_view_peer {
    unsigned count;
    int fds[]; /* by vector */
};

/* Zeroed, it is empty; the bell is to be made. */
struct mv_ivshmem_view {
    struct mv_ivshmem_view_peer *peers[MV_IVSHMEM_ID_COUNT];
    size_t count;                /* of peers, oneself among them */
    struct mv_ivshmem_bell bell; /* needs no lock */
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
int mv_ivshmem_view_ring(struct mv_ivshmem_view *view, unsigned id, unsigned vector,
                         uint64_t value);
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
