/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_server: hands one shared memory and everybody's eventfds
 * to the peers that connect.  Runs in the thread of its loop and never waits
 * for a peer.  Called by the verb ivshmem-server and tests.
 */
#ifndef MV_IVSHMEM_SERVER_H
#define MV_IVSHMEM_SERVER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mv_ivshmem_server;
struct mv_loop;

/* Events that a peer may be behind, besides those of its greeting. */
#define MV_IVSHMEM_QUEUE_LIMIT 4096

struct mv_ivshmem_server_config {
    int listen_fd;           /* non-blocking; stays the caller's */
    int control_fd;          /* status socket, likewise; -1: none */
    int memory_fd;           /* stays the caller's */
    uint64_t size;           /* bytes */
    const char *memory;      /* what it is called in the status */
    unsigned vectors;        /* a peer: 1..MV_IVSHMEM_VECTORS_MAX */
    unsigned max_peers;      /* 1..MV_IVSHMEM_ID_COUNT */
    unsigned round_messages; /* sent between looks at who comes and goes; 0: the default */
    bool few_descriptors;    /* RLIMIT_NOFILE is why there cannot be more */
    bool verbose;            /* a log line for each peer that comes or goes */
};

int mv_ivshmem_server_create(struct mv_loop *loop, const struct mv_ivshmem_server_config *config,
                             struct mv_ivshmem_server **ret, struct mv_error *err);
/* Every peer sees the end of its connection. */
void mv_ivshmem_server_destroy(struct mv_ivshmem_server *server);

/* How many are connected. */
size_t mv_ivshmem_server_peers(const struct mv_ivshmem_server *server);

/* --- ivshmem-memory.c: the shared object that a server hands out, what `--mem` names */

struct mv_ivshmem_memory_config {
    const char *text; /* memfd, shm:NAME, file:PATH, hugetlb, hugetlb:2M, hugetlb:1G */
    uint64_t size;    /* bytes as the user wishes; rounded up */
    mode_t mode;      /* of an object with a name that is made here */
    uid_t uid;        /* its owner; -1: whoever makes it */
    gid_t gid;
};

struct mv_ivshmem_memory {
    int fd;
    uint64_t size; /* a power of two, whole pages */
    bool found;    /* it was there, with the bytes in it */
    bool sealed;   /* no peer can change its size */
};

/* Whether the text is one of those above; -EINVAL with what it may be. */
int mv_ivshmem_memory_check(const char *text, struct mv_error *err);

/*
 * Open or make the object.  -ERANGE where the size is zero or too large,
 * -EINVAL where an object of this name has another size, or what the system
 * said.  The descriptor is the caller's.
 */
int mv_ivshmem_memory_open(const struct mv_ivshmem_memory_config *config,
                           struct mv_ivshmem_memory *ret, struct mv_error *err);

#endif
