/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export of an NBD server, over one connection (libnbd): how it is opened and checked, and
 * a step of its protocol.  Everything else is libnbd's own.  A server may be hostile: what it
 * sends is libnbd's to check, and what it says of its export is checked here.  A connection
 * is used by one thread at a time, which has it to itself; no lock.
 */
#ifndef MV_MEMORY_NBD_CLIENT_H
#define MV_MEMORY_NBD_CLIENT_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct nbd_handle; /* libnbd's */

/* As long as a server may take to greet, and to answer while something is asked of it. */
#define MV_NBD_PATIENCE_NS UINT64_C(30000000000)

struct mv_nbd_export {
    uint64_t size;    /* bytes */
    uint64_t minimum; /* what offsets and lengths of requests are multiples of, at least 1 */
    bool read_only;
    bool can_flush;
};

/* What a message says is to be done where the server is gone. */
#define MV_NBD_REMEDY "have the server run again"

/*
 * Connect and negotiate.  wake_fd (-1: none): once it is readable, -ECANCELED.  -ETIMEDOUT
 * after a while, and what libnbd says otherwise; the message does not name the URI.
 */
int mv_nbd_open(const char *uri, int wake_fd, struct nbd_handle **ret,
                struct mv_nbd_export *ret_export, struct mv_error *err);

/* May be NULL. */
void mv_nbd_close(struct nbd_handle *nbd);

/*
 * Let the protocol go on once there is something for it, which may be the connection's end,
 * until wake_fd is readable (-1: none; the caller drains it), or until timeout_ns have passed:
 * 1 where the protocol went on, else 0.
 */
int mv_nbd_step(struct nbd_handle *nbd, int wake_fd, uint64_t timeout_ns);

/* Whether it is of no more use. */
bool mv_nbd_is_lost(struct nbd_handle *nbd);

/*
 * Read bytes, and wait for them, over a connection on which nothing else is asked for.  As
 * mv_nbd_open; all that can be done with the connection then is to close it.
 */
int mv_nbd_read(struct nbd_handle *nbd, void *buf, uint64_t len, uint64_t offset,
                struct mv_error *err);

#endif
