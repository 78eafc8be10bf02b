/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that help the server's own to send.  Nearly all that a newcomer costs
 * is the kernel's work on one message, with its descriptor, for each peer; the
 * sockets are independent of one another, so that CPUs can share it.
 */
#ifndef MV_IVSHMEM_SENDERS_H
#define MV_IVSHMEM_SENDERS_H

#include "ivshmem-peer.h"

struct mv_ivshmem_senders;

/* As many helpers as there are other CPUs to run on, up to 3.  NULL: no memory. */
struct mv_ivshmem_senders *mv_ivshmem_senders_create(void);
void mv_ivshmem_senders_destroy(struct mv_ivshmem_senders *senders);

/*
 * Flush every peer of a list linked by dirty_next, about so many messages, and leave what
 * mv_ivshmem_peer_flush said in its `flushed`.  Returns when all is done: to
 * the caller it is as if one thread had sent in any order.
 */
void mv_ivshmem_senders_flush(struct mv_ivshmem_senders *senders, struct mv_ivshmem_peer *first,
                              size_t messages);

#endif
