/* SPDX-License-Identifier: Apache-2.0 */
/* What other rooms ask of ivshmem functions: a server's greeting beforehand, and whom they know. */
#ifndef MV_DEVICE_IVSHMEM_INFO_H
#define MV_DEVICE_IVSHMEM_INFO_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_device;
struct mv_ivshmem_hello;

/*
 * The part of making an ivshmem-doorbell that takes long, beforehand and in any
 * thread: what ivshmem-hello.h says, of the connection that the device is to use.
 */
int mv_ivshmem_doorbell_greet(const char *socket, bool (*cancelled)(void *opaque), void *opaque,
                              struct mv_ivshmem_hello **ret, struct mv_error *err);
/* Whether it was used or not; may be NULL. */
void mv_ivshmem_doorbell_leave(struct mv_ivshmem_hello *hello);

/* What an ivshmem function is, and whom it knows. */
struct mv_ivshmem_info {
    const char *block;  /* the id of its memory */
    uint64_t size;      /* of that, bytes */
    const char *socket; /* where its server listens; NULL: it has none, nor what follows */
    bool connected;
    unsigned id;        /* 0 to 65535, from the server */
    unsigned vectors;   /* its own, that peers may ring */
    uint64_t sent;      /* rings, those to the device itself included */
    uint64_t received;  /* those included that came together */
};
/* Main thread.  False where the device is no ivshmem function.  The texts live as long as it does. */
bool mv_ivshmem_describe(struct mv_device *device, struct mv_ivshmem_info *ret);
/* Call fn for each peer that it is connected with, by ID; the device itself is none. */
void mv_ivshmem_for_each_peer(struct mv_device *device,
                              void (*fn)(void *opaque, unsigned id, unsigned vectors),
                              void *opaque);

#endif
