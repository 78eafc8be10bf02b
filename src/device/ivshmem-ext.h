/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_ext: what the reserved part of an ivshmem device's BAR0
 * tells a guest under ext=on (docs/ivshmem-ext.md): who is connected, with how
 * many vectors, whether the server is there, and that something has changed.
 * Guarded by the lock of the device that owns it.
 */
#ifndef MV_DEVICE_IVSHMEM_EXT_H
#define MV_DEVICE_IVSHMEM_EXT_H

#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MV_IVSHMEM_EXT_START 0x10                 /* in BAR0, up to its end */
#define MV_IVSHMEM_EXT_MAGIC UINT32_C(0x31585649) /* "IVX1" */

enum mv_ivshmem_ext_register {
    MV_IVSHMEM_EXT_REG_MAGIC = 0x10,
    MV_IVSHMEM_EXT_REG_VERSION = 0x14,
    MV_IVSHMEM_EXT_REG_STATE = 0x18,
    MV_IVSHMEM_EXT_REG_CHANGES = 0x1c,
    MV_IVSHMEM_EXT_REG_PEERS = 0x20,
    MV_IVSHMEM_EXT_REG_VECTORS = 0x24,
    MV_IVSHMEM_EXT_REG_NOTIFY = 0x28,
    MV_IVSHMEM_EXT_REG_SELECT = 0x2c,
    MV_IVSHMEM_EXT_REG_WINDOW = 0x40,
};

#define MV_IVSHMEM_EXT_STATE_CONNECTED 1u
#define MV_IVSHMEM_EXT_NOTIFY_NONE     UINT32_C(0xffffffff)
#define MV_IVSHMEM_EXT_NO_PEER         UINT32_C(0xffffffff)
#define MV_IVSHMEM_EXT_IDS             UINT32_C(0xffff)

struct mv_ivshmem_ext_peer {
    uint16_t id;
    uint16_t vectors;
};

struct mv_ivshmem_ext {
    bool connected;
    uint32_t changes;
    uint32_t notify;                   /* the vector to raise on a change, or NONE */
    uint32_t select;                   /* the lowest ID in the window */
    uint32_t vectors;                  /* the device's own */
    struct mv_ivshmem_ext_peer *peers; /* by ID, the device itself left out */
    size_t peer_count;
    size_t peer_room;
};

void mv_ivshmem_ext_init(struct mv_ivshmem_ext *ext, unsigned vectors);
void mv_ivshmem_ext_destroy(struct mv_ivshmem_ext *ext);
/* What the guest wrote is forgotten; who is there stays. */
void mv_ivshmem_ext_reset(struct mv_ivshmem_ext *ext);

/* offset: in BAR0, from EXT_START on, a multiple of 4. */
uint32_t mv_ivshmem_ext_read(const struct mv_ivshmem_ext *ext, unsigned offset);
void mv_ivshmem_ext_write(struct mv_ivshmem_ext *ext, unsigned offset, uint32_t value);

/*
 * A peer has so many vectors now, or is gone (0).  True where the guest is to
 * be told, by the vector in `notify`.  A peer for which there is no memory is
 * left out.
 */
bool mv_ivshmem_ext_set_peer(struct mv_ivshmem_ext *ext, unsigned id, unsigned vectors);
/*
 * The server has gone, or is there, and the peers are told anew; true as above.
 * Those that were there when it went stay, since they can still be rung.
 */
bool mv_ivshmem_ext_set_connected(struct mv_ivshmem_ext *ext, bool connected);

/* The registers that a save carries, as fields of the device's struct. */
#define MV_IVSHMEM_EXT_STATE_FIELDS(struct_type, ext)                                              \
    MV_STATE_SAME("ext-vectors", struct_type, ext.vectors, MV_STATE_U32),                          \
        MV_STATE_ANY("ext-changes", struct_type, ext.changes, MV_STATE_U32),                       \
        MV_STATE_ANY("ext-notify", struct_type, ext.notify, MV_STATE_U32),                         \
        MV_STATE_BITS("ext-select", struct_type, ext.select, MV_STATE_U32, MV_IVSHMEM_EXT_IDS)

/* For the table's check: there is such a vector to notify by. */
int mv_ivshmem_ext_check(const struct mv_ivshmem_ext *ext, struct mv_error *err);
/* The guest goes on with another connection, of which it is told as above. */
bool mv_ivshmem_ext_loaded(struct mv_ivshmem_ext *ext);

#endif
