/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_device: what the ivshmem functions have in common, whatever their
 * registers look like: BAR0 with registers as a table, a BAR with the memory,
 * and, where there is a server, a link to it.  Registers are accessed by vCPU
 * threads; all else is the main thread's.  Within the device room.
 */
#ifndef MV_DEVICE_IVSHMEM_H
#define MV_DEVICE_IVSHMEM_H

#include "pci-devices.h"
#include "ivshmem-ext.h"
#include "ivshmem-link.h"
#include "pci-msi.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_ivshmem_device;

/* Callbacks run in the accessing vCPU's thread with no lock held. */
struct mv_ivshmem_register {
    unsigned offset;                                                  /* in BAR0, bytes */
    uint32_t (*read)(struct mv_ivshmem_device *ivshmem);              /* NULL: it reads 0 */
    void (*write)(struct mv_ivshmem_device *ivshmem, uint32_t value); /* NULL: nothing happens */
    uint32_t (*peek)(struct mv_ivshmem_device *ivshmem); /* NULL: reading changes nothing */
};

/* What drivers see: one constant for each revision. */
struct mv_ivshmem_model {
    struct mv_pci_ids ids;
    const struct mv_ivshmem_register *registers;
    size_t register_count;
    uint32_t register_bits; /* of each: what is above reads 0 */
    unsigned memory_bar;
    /* A peer rang a vector, `count` times since it was last told.  The main thread. */
    void (*rung)(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count);
};

struct mv_ivshmem_device {
    struct mv_pci_function function;
    const struct mv_ivshmem_model *model;
    struct mv_mmio_region registers;
    struct mv_pci_msix msix;
    struct mv_block *block;                    /* behind the memory's BAR */
    bool shows_other;                          /* the block is not its own */
    struct mv_ivshmem_link *link;              /* NULL without a server */
    const struct mv_pci_device_params *making; /* NULL once it is made */
    uint64_t least_size;                       /* of a server's memory, bytes */
    struct mv_ivshmem_link_info link_then;     /* as it was when the state was saved */
    bool has_ext;
    pthread_mutex_t lock;                      /* of what follows */
    uint32_t mask;
    uint32_t status;
    struct mv_ivshmem_ext ext;
};

/*
 * The part of the state that all of them have, and those have that have a link.
 * The connection is not part of it, and its peers are not: who loads a state has
 * a connection of its own, and tells the guest so where it can be told.
 */
#define MV_IVSHMEM_STATE_FIELDS                                                                    \
    MV_PCI_STATE_FIELD(struct mv_ivshmem_device, function),                                        \
        MV_STATE_ANY("mask", struct mv_ivshmem_device, mask, MV_STATE_U32),                        \
        MV_STATE_ANY("status", struct mv_ivshmem_device, status, MV_STATE_U32)
#define MV_IVSHMEM_LINK_STATE_FIELDS                                                               \
    MV_IVSHMEM_STATE_FIELDS, MV_IVSHMEM_EXT_STATE_FIELDS(struct mv_ivshmem_device, ext),           \
        MV_STATE_SAME("ext", struct mv_ivshmem_device, has_ext, MV_STATE_BOOL),                    \
        MV_STATE_RANGE("link-id", struct mv_ivshmem_device, link_then.id, MV_STATE_U32, 0,         \
                       MV_IVSHMEM_EXT_IDS),                                                        \
        MV_STATE_ANY("link-sent", struct mv_ivshmem_device, link_then.sent, MV_STATE_U64),         \
        MV_STATE_ANY("link-received", struct mv_ivshmem_device, link_then.received, MV_STATE_U64)

/* The tables' hooks (ivshmem.c). */
void mv_ivshmem_state_saving(void *object);
int mv_ivshmem_state_check(const void *object, struct mv_error *err);
void mv_ivshmem_state_loaded(void *object);

/* --- ivshmem.c */

/* Without BARs yet; NULL where there is no memory for it. */
struct mv_ivshmem_device *mv_ivshmem_device_alloc(const struct mv_ivshmem_model *model,
                                                  const struct mv_device_ops *ops);
/* The BARs of registers and memory, once there is a block. */
void mv_ivshmem_device_add_bars(struct mv_ivshmem_device *ivshmem);
/* -EINVAL where a BAR cannot be as large. */
int mv_ivshmem_device_check_size(uint64_t size, struct mv_error *err);

/* For device ops. */
void mv_ivshmem_device_reset(struct mv_device *device);
void mv_ivshmem_device_destroy(struct mv_device *device);

/* --- ivshmem-models.c */

/* Revision 1: with INTx where there is a link, without for a plain device. */
extern const struct mv_ivshmem_model mv_ivshmem_revision1, mv_ivshmem_revision1_plain;
/* The first patch's registers. */
extern const struct mv_ivshmem_model mv_ivshmem_2009;
/* INTx follows mask and status; under the device's lock. */
void mv_ivshmem_update_line(struct mv_ivshmem_device *ivshmem);

#endif
