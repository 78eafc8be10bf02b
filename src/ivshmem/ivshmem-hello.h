/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_hello: a connection to an ivshmem server up to its memory,
 * which is all that takes long.  It is had in any thread, and given to a link.
 */
#ifndef MV_IVSHMEM_HELLO_H
#define MV_IVSHMEM_HELLO_H

#include "error.h"
#include "ivshmem-session.h"

#include <stdbool.h>

/* Its owner's alone. */
struct mv_ivshmem_hello {
    struct mv_ivshmem_session session; /* a link takes it, and the memory */
    int memory_fd;
};

/*
 * Connect, and wait for the memory, up to ten seconds or until `cancelled` says
 * so.  -ETIMEDOUT, -ECANCELED, what connect(2) said, or -EPROTO.
 */
int mv_ivshmem_hello_create(const char *path, bool (*cancelled)(void *opaque), void *opaque,
                            struct mv_ivshmem_hello **ret, struct mv_error *err);
/* May be NULL. */
void mv_ivshmem_hello_destroy(struct mv_ivshmem_hello *hello);

/* Begin a connection without waiting: -EAGAIN where the server's queue is full. */
int mv_ivshmem_hello_connect(const char *path, int *ret_fd, struct mv_error *err);

#endif
