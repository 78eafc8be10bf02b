/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmemvisor-ivshmem: a host program as a peer of inter-VM shared memory,
 * beside guests with ivshmem devices.  See libmemvisor-ivshmem(3).
 *
 * A handle belongs to one thread at a time.  Functions that return int give 0
 * or more, or a negative errno, and then mv_ivshmem_error() says more.
 */
#ifndef MEMVISOR_IVSHMEM_H
#define MEMVISOR_IVSHMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MV_IVSHMEM_API __attribute__((visibility("default")))

/* Room for any message of the library. */
#define MV_IVSHMEM_ERROR_SIZE 512

struct mv_ivshmem;

enum mv_ivshmem_flag {
    /* When the server goes, connect again as soon as there is one. */
    MV_IVSHMEM_RECONNECT = 1,
};

enum mv_ivshmem_event_kind {
    MV_IVSHMEM_RUNG = 1, /* `vector` of ours was rung, `count` times since the last such event */
    MV_IVSHMEM_JOINED,   /* `peer` is there */
    MV_IVSHMEM_LEFT,     /* `peer` is gone */
    MV_IVSHMEM_LOST,     /* the server is gone, and with it all peers; the memory stays mapped */
    MV_IVSHMEM_BACK,     /* connected again, with a new ID; only after MV_IVSHMEM_LOST */
};

struct mv_ivshmem_event {
    enum mv_ivshmem_event_kind kind;
    unsigned peer;
    unsigned vector;
    uint64_t count;
};

/*
 * Join the server at a socket's path and map its memory.  Gives up after
 * timeout_ms (-1: never).  NULL on failure, with the reason in ret_error,
 * which has MV_IVSHMEM_ERROR_SIZE bytes or is NULL.  Peers that are there
 * already are not announced by events.
 */
MV_IVSHMEM_API struct mv_ivshmem *mv_ivshmem_open(const char *path, unsigned flags, int timeout_ms,
                                                  char *ret_error);
/* The same over a connected socket, which becomes the library's in any case. */
MV_IVSHMEM_API struct mv_ivshmem *mv_ivshmem_open_fd(int socket_fd, int timeout_ms,
                                                     char *ret_error);
MV_IVSHMEM_API void mv_ivshmem_close(struct mv_ivshmem *shm);

/* Our ID, 0 to 65535; another one after MV_IVSHMEM_BACK. */
MV_IVSHMEM_API unsigned mv_ivshmem_id(const struct mv_ivshmem *shm);
/*
 * The memory, which stays at this address, and its bytes.  Where the server
 * serves an object that can shrink (a file, shm), touching what is gone is
 * SIGBUS: mv_ivshmem_read and mv_ivshmem_write fail instead.
 */
MV_IVSHMEM_API void *mv_ivshmem_memory(const struct mv_ivshmem *shm);
MV_IVSHMEM_API uint64_t mv_ivshmem_size(const struct mv_ivshmem *shm);

/* How many peers there are, us left out; the IDs of the first `room` in order. */
MV_IVSHMEM_API size_t mv_ivshmem_peers(const struct mv_ivshmem *shm, unsigned *ret_ids,
                                       size_t room);
/* How many vectors a peer has, or we ourselves; 0 where there is no such peer. */
MV_IVSHMEM_API unsigned mv_ivshmem_vectors(const struct mv_ivshmem *shm, unsigned peer);

/* Ring a peer, or ourselves.  -ENOENT: no such peer; -EINVAL: no such vector. */
MV_IVSHMEM_API int mv_ivshmem_ring(struct mv_ivshmem *shm, unsigned peer, unsigned vector);

/*
 * Wait for an event up to timeout_ms (0: do not wait, -1: for ever).  1 with an
 * event, 0 without, or a negative errno once the server is gone for good:
 * -ECONNRESET, or -EPROTO where it sent what it may not.
 */
MV_IVSHMEM_API int mv_ivshmem_wait(struct mv_ivshmem *shm, int timeout_ms,
                                   struct mv_ivshmem_event *ret_event);
/* For a loop of one's own: readable while mv_ivshmem_wait may have an event. */
MV_IVSHMEM_API int mv_ivshmem_fd(const struct mv_ivshmem *shm);

/*
 * Copy out of and into the memory.  -ERANGE beyond its end; -EFAULT where the
 * object behind it has become smaller.
 */
MV_IVSHMEM_API int mv_ivshmem_read(struct mv_ivshmem *shm, uint64_t offset, void *to, size_t size);
MV_IVSHMEM_API int mv_ivshmem_write(struct mv_ivshmem *shm, uint64_t offset, const void *from,
                                    size_t size);

/* What went wrong last, in a line of words. */
MV_IVSHMEM_API const char *mv_ivshmem_error(const struct mv_ivshmem *shm);

#ifdef __cplusplus
}
#endif

#endif
