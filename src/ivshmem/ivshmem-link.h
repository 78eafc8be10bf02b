/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_link: a device's connection to an ivshmem server.  It lives
 * in an event loop, connects again when the server was away, and reads the
 * eventfds of the device's vectors; any thread may ring through it.
 *
 * While the server is away those that were connected are still rung, and ring:
 * their eventfds and the memory outlive it.
 *
 * Peers are trusted in one thing, as the protocol has it: one that is rung could
 * make its eventfd wait when it is full, and whoever rings it then would wait.
 */
#ifndef MV_IVSHMEM_LINK_H
#define MV_IVSHMEM_LINK_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_ivshmem_hello;
struct mv_ivshmem_link;
struct mv_loop;

/* Called in the loop's thread, with no lock held. */
struct mv_ivshmem_link_ops {
    /*
     * A connection's memory, before any of its peers: at the first, and
     * whenever the server is back, maybe with another object.  The descriptor
     * stays the link's.  A negative errno with the reason refuses it, and the
     * link tries again later.
     */
    int (*memory)(void *opaque, int fd, uint64_t size, struct mv_error *err);
    /* A vector was rung; `count` is the sum of the rings' values since the last call. */
    void (*rung)(void *opaque, unsigned vector, uint64_t count);
    /* The server is there, with no other peer known yet; or it has gone.  May be NULL. */
    void (*connected)(void *opaque, bool connected);
    /* Another peer has so many vectors now; 0: it is gone.  May be NULL. */
    void (*peer)(void *opaque, unsigned id, unsigned vectors);
};

struct mv_ivshmem_link_config {
    struct mv_loop *loop;
    const char *path; /* of the server's socket */
    const char *name; /* whose link it is, for messages: "pci/03.0" */
    unsigned vectors; /* how many of its own it reads: 1 to 2048; what is beyond is closed */
    /* The connection to take over; the struct stays its owner's.  NULL: it is waited for. */
    struct mv_ivshmem_hello *hello;
    const struct mv_ivshmem_link_ops *ops;
    void *opaque;
};

/*
 * Raise the process's soft limit of descriptors, and take the hello, or connect
 * and wait for the memory, up to ten seconds; from then on the loop does the
 * rest.  What mv_ivshmem_hello_create and ops->memory say; -ECANCELED by
 * log.h.  The texts are copied.
 */
int mv_ivshmem_link_open(const struct mv_ivshmem_link_config *config, struct mv_ivshmem_link **ret,
                         struct mv_error *err);
/* No thread rings any more.  May be NULL. */
void mv_ivshmem_link_close(struct mv_ivshmem_link *link);

/* --- any thread */

/*
 * Ring without waiting, by a value, which is 1 where only the ring counts.
 * -ENOENT: no such peer; -EINVAL: no such vector.
 */
int mv_ivshmem_link_ring(struct mv_ivshmem_link *link, unsigned peer, unsigned vector,
                         uint64_t value);
/* Ring this vector of all others that have it. */
void mv_ivshmem_link_broadcast(struct mv_ivshmem_link *link, unsigned vector, uint64_t value);
/* How many vectors a peer, or the device itself, has: 0 where there is none of this ID. */
unsigned mv_ivshmem_link_vectors(struct mv_ivshmem_link *link, unsigned peer);
/* The ID that the server gave, 0 to 65535; another one after it was away. */
unsigned mv_ivshmem_link_id(struct mv_ivshmem_link *link);

/* --- in the loop's thread */

struct mv_ivshmem_link_info {
    const char *path;
    bool connected;
    unsigned id;
    unsigned vectors;  /* that the server gave, as far as they are read */
    uint64_t sent;     /* rings that reached a peer's eventfd */
    uint64_t received; /* rings, those included that came between two readings */
};
void mv_ivshmem_link_describe(struct mv_ivshmem_link *link, struct mv_ivshmem_link_info *ret);
/* Before a save: rings that wait in the device's eventfds are told now. */
void mv_ivshmem_link_collect(struct mv_ivshmem_link *link);
/* After a load: rings are counted on, and a guest that is another peer now is logged. */
void mv_ivshmem_link_resume(struct mv_ivshmem_link *link, const struct mv_ivshmem_link_info *then);
/* Call fn for each other peer, by ID. */
void mv_ivshmem_link_for_each(struct mv_ivshmem_link *link,
                              void (*fn)(void *opaque, unsigned peer, unsigned vectors),
                              void *opaque);

#endif
