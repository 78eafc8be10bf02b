/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared object that a server hands out: what `--mem` names.  Called by
 * the verb ivshmem-server and tests, once; no lock.
 */
#ifndef MV_IVSHMEM_MEMORY_H
#define MV_IVSHMEM_MEMORY_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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
