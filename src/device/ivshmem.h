/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_device: what the ivshmem functions have in common, whatever their
 * registers look like: BAR0 with registers as a table, a BAR with the memory,
 * and, where there is a server, a link to it.  Registers are accessed by vCPU
 * threads; all else is the main thread's.  Within the device room.
 */
#ifndef MV_DEVICE_IVSHMEM_H
#define MV_DEVICE_IVSHMEM_H

#include "ivshmem-ext.h"
#include "ivshmem-link.h"
#include "pci-devices.h"
#include "pci-msi.h"

struct mv_ivshmem_device;

/*
 * One that is no more than a value, which INTx may follow, or callbacks, in the
 * accessing vCPU's thread with no lock held.
 */
struct mv_ivshmem_register {
    unsigned offset; /* in BAR0, bytes */
    size_t value;    /* where it stands in the device; 0: nowhere */
    bool read_clears;
    uint32_t (*read)(struct mv_ivshmem_device *ivshmem);              /* NULL: it reads 0 */
    void (*write)(struct mv_ivshmem_device *ivshmem, uint32_t value); /* NULL: nothing happens */
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
    struct mv_pci_msix msix;
    struct mv_block *block;                    /* behind the memory's BAR */
    bool shows_other;                          /* the block is not its own */
    struct mv_ivshmem_link *link;              /* NULL without a server */
    const struct mv_pci_device_params *making; /* NULL once it is made */
    uint64_t least_size;                       /* of a server's memory, bytes */
    struct mv_ivshmem_link_info link_then;     /* as it was when the state was saved */
    bool has_ext;
    /* Under the device's lock. */
    uint32_t mask;
    uint32_t status;
    struct mv_ivshmem_ext ext;
};

/* --- ivshmem-models.c */

/* Revision 1: with INTx where there is a link, without for a plain device. */
extern const struct mv_ivshmem_model mv_ivshmem_revision1, mv_ivshmem_revision1_plain;
/* The first patch's registers. */
extern const struct mv_ivshmem_model mv_ivshmem_2009;
/* INTx follows mask and status; under the device's lock. */
void mv_ivshmem_update_line(struct mv_ivshmem_device *ivshmem);

#endif
