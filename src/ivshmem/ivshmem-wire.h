/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket protocol of inter-VM shared memory, version 0, for both ends
 * (QEMU's docs/specs/ivshmem-spec.rst, "Client-Server protocol"): messages of
 * 8 bytes, a little-endian int64, each with at most one descriptor, and sent
 * by the server alone.
 *
 *   message      value      descriptor        when
 *   version      0          none              first
 *   own ID       0..65535   none              second
 *   memory       -1         the memory        once, behind the own ID
 *   connect      0..65535   an eventfd        any time behind the own ID
 *   disconnect   0..65535   none              any time behind the own ID
 *
 * No lock: a decoder belongs to one thread.  Called by the server, the client
 * library and the device.
 */
#ifndef MV_IVSHMEM_WIRE_H
#define MV_IVSHMEM_WIRE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MV_IVSHMEM_WIRE_BYTES   8
#define MV_IVSHMEM_WIRE_VERSION 0
#define MV_IVSHMEM_ID_COUNT     65536 /* IDs are 0..65535 */
/* An MSI-X table's most entries (PCI 3.0, 6.8.2.3). */
#define MV_IVSHMEM_VECTORS_MAX 2048

enum mv_ivshmem_kind {
    MV_IVSHMEM_VERSION,
    MV_IVSHMEM_OWN_ID,
    MV_IVSHMEM_MEMORY,
    MV_IVSHMEM_CONNECT,
    MV_IVSHMEM_DISCONNECT,
};

struct mv_ivshmem_message {
    enum mv_ivshmem_kind kind;
    uint16_t id; /* of own ID, connect, disconnect */
    int fd;      /* of memory, connect; else -1 */
};

/*
 * Send up to `count` messages in order over a socket, without waiting.  The
 * descriptors stay the caller's.  Returns how many went out (at least 1), or a
 * negative errno where not even the first did: -EAGAIN while the peer does not
 * read, -ETOOMANYREFS while too many descriptors are under way (unix(7)).
 */
int mv_ivshmem_wire_send(int socket_fd, const struct mv_ivshmem_message *messages, size_t count);

/* What has come of a stream so far.  Zeroed by mv_ivshmem_decoder_init. */
struct mv_ivshmem_decoder {
    unsigned phase;
    uint8_t bytes[MV_IVSHMEM_WIRE_BYTES];
    size_t have;
    int fd;
};

void mv_ivshmem_decoder_init(struct mv_ivshmem_decoder *decoder);
/* Closes a descriptor whose message is not complete. */
void mv_ivshmem_decoder_clear(struct mv_ivshmem_decoder *decoder);

/*
 * Read from the socket until a message is complete.  1 with a message, whose
 * descriptor is the caller's; 0 where the socket has no more for now, or was
 * not waited for; -ECONNRESET at its end; -EPROTO for what the table above
 * does not have, with the message and what was due in words.  Behind an error
 * the stream is of no more use.
 */
int mv_ivshmem_wire_receive(struct mv_ivshmem_decoder *decoder, int socket_fd,
                            struct mv_ivshmem_message *ret_message, struct mv_error *err);

#endif
