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

/* Under the device's lock. */
static void update_line(struct mv_ivshmem_device *ivshmem)
{
    if (ivshmem->link != NULL)
        mv_pci_intx_set(&ivshmem->function, (ivshmem->status & ivshmem->mask) != 0);
}

static uint32_t read_mask(struct mv_ivshmem_device *ivshmem)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    return ivshmem->mask;
}

static void write_mask(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->mask = value;
    update_line(ivshmem);
}

static uint32_t read_status(struct mv_ivshmem_device *ivshmem)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    uint32_t status = ivshmem->status;
    ivshmem->status = 0;
    update_line(ivshmem);
    return status;
}

static void write_status(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->status = value;
    update_line(ivshmem);
}

static uint32_t read_position(struct mv_ivshmem_device *ivshmem)
{
    return ivshmem->link == NULL ? 0 : mv_ivshmem_link_id(ivshmem->link);
}

/* A peer or a vector that is not there is no matter. */
static void write_doorbell(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    if (ivshmem->link != NULL)
        (void)mv_ivshmem_link_ring(ivshmem->link, value >> 16, value & 0xffff);
}

static const struct mv_ivshmem_register registers[] = {
    {REG_MASK, read_mask, write_mask},
    {REG_STATUS, read_status, write_status},
    {REG_POSITION, read_position, NULL},
    {REG_DOORBELL, NULL, write_doorbell},
};

static const struct mv_mmio_ops registers_ops = {.read = mv_ivshmem_registers_read,
                                                 .write = mv_ivshmem_registers_write,
                                                 .min_access = 4,
                                                 .max_access = 4};

static void rung(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count)
{
    (void)count;
    if (mv_pci_msix_send(&ivshmem->function, vector))
        return;
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->status |= STATUS_RUNG;
    update_line(ivshmem);
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
        .ops = &registers_ops, .registers = registers,                                             \
        .register_count = sizeof registers / sizeof registers[0], .memory_bar = 2, .rung = rung,   \
    }

const struct mv_ivshmem_model mv_ivshmem_revision1 = REVISION1(true);
const struct mv_ivshmem_model mv_ivshmem_revision1_plain = REVISION1(false);
