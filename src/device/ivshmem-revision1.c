/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revision 1: what QEMU has had since 2.6, and its drivers expect
 * (docs/specs/ivshmem-spec.txt).  A ring is a message of its vector's where the
 * guest has enabled MSI-X, and else a bit of the status register that INTx
 * follows; QEMU's own doorbell device has no INTx.
 */
#include "ivshmem.h"

#include "cleanup.h"

#define REG_MASK     0x0
#define REG_STATUS   0x4 /* a read clears it */
#define REG_POSITION 0x8
#define REG_DOORBELL 0xc

#define STATUS_RUNG 1u

/* A peer or a vector that is not there is no matter. */
static void write_doorbell(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    if (ivshmem->link != NULL)
        (void)mv_ivshmem_link_ring(ivshmem->link, value >> 16, value & 0xffff, 1);
}

static const struct mv_ivshmem_register registers[] = {
    {REG_MASK, mv_ivshmem_read_mask, mv_ivshmem_write_mask},
    {REG_STATUS, mv_ivshmem_read_status, mv_ivshmem_write_status, mv_ivshmem_peek_status},
    {REG_POSITION, mv_ivshmem_read_position, NULL},
    {REG_DOORBELL, NULL, write_doorbell},
};

static void rung(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count)
{
    (void)count;
    if (mv_pci_msix_send(&ivshmem->function, vector))
        return;
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->status |= STATUS_RUNG;
    mv_ivshmem_update_line(ivshmem);
}

#define REVISION1(pin)                                                                             \
    {                                                                                              \
        .ids = {.vendor = 0x1af4,                                                                  \
                .device = 0x1110,                                                                  \
                .subsystem_vendor = 0x1af4,                                                        \
                .subsystem = 0x1100,                                                               \
                .class_code = 0x050000, /* RAM controller */                                       \
                .revision = 1,                                                                     \
                .interrupt = (pin)},                                                               \
        .registers = registers, .register_count = sizeof registers / sizeof registers[0],          \
        .register_bits = 0xffffffff, .memory_bar = 2, .rung = rung,                                \
    }

const struct mv_ivshmem_model mv_ivshmem_revision1 = REVISION1(true);
const struct mv_ivshmem_model mv_ivshmem_revision1_plain = REVISION1(false);
