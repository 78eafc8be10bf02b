/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers that guests see, of which each model of ivshmem has a table (see
 * ivshmem.h): those that all have, then revision 1's and the first patch's.
 */
#include "ivshmem.h"

#include "block.h"
#include "cleanup.h"

/* --- those that all models have */

#define MASK   offsetof(struct mv_ivshmem_device, mask)
#define STATUS offsetof(struct mv_ivshmem_device, status)

#define IDS(revision, pin)                                                                         \
    {                                                                                              \
        0x1af4, 0x1110, 0x1af4, 0x1100, .class_code = 0x050000 /* RAM controller */, revision, pin \
    }

/* After a change of mask or status; under the device's lock. */
void mv_ivshmem_update_line(struct mv_ivshmem_device *ivshmem)
{
    if (ivshmem->link != NULL)
        mv_pci_intx_set(&ivshmem->function, (ivshmem->status & ivshmem->mask) != 0);
}

static uint32_t read_position(struct mv_ivshmem_device *ivshmem)
{
    return ivshmem->link == NULL ? 0 : mv_ivshmem_link_id(ivshmem->link);
}

/*
 * --- revision 1: what QEMU has had since 2.6, and its drivers expect
 * (docs/specs/ivshmem-spec.txt).  A ring is a message of its vector's where the
 * guest has enabled MSI-X, and else a bit of the status register that INTx
 * follows; QEMU's own doorbell device has no INTx.
 */

#define REV1_MASK     0x0
#define REV1_STATUS   0x4 /* a read clears it */
#define REV1_POSITION 0x8
#define REV1_DOORBELL 0xc

#define STATUS_RUNG 1u

/* A peer or a vector that is not there is no matter. */
static void write_doorbell_rev1(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    if (ivshmem->link != NULL)
        (void)mv_ivshmem_link_ring(ivshmem->link, value >> 16, value & 0xffff, 1);
}

static const struct mv_ivshmem_register registers_rev1[] = {
    {REV1_MASK, MASK},
    {REV1_STATUS, STATUS, true},
    {REV1_POSITION, .read = read_position},
    {REV1_DOORBELL, .write = write_doorbell_rev1},
};

static void rung_rev1(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count)
{
    if (mv_pci_msix_send(&ivshmem->function, vector))
        return;
    MV_LOCK_SCOPE(&ivshmem->function.device.lock);
    ivshmem->status |= STATUS_RUNG;
    mv_ivshmem_update_line(ivshmem);
}

#define REVISION1(pin)                                                                             \
    {                                                                                              \
        .ids = IDS(1, pin), .registers = registers_rev1,                                           \
        .register_count = sizeof registers_rev1 / sizeof registers_rev1[0],                        \
        .register_bits = 0xffffffff, .memory_bar = 2, .rung = rung_rev1,                           \
    }

const struct mv_ivshmem_model mv_ivshmem_revision1 = REVISION1(true);
const struct mv_ivshmem_model mv_ivshmem_revision1_plain = REVISION1(false);

/*
 * --- the first patch for inter-VM shared memory, of 2009: registers of 16 bits,
 * no MSI-X, and a ring that carries a value, which the one that is rung reads
 * from its status register.  Its socket protocol had no version and is gone
 * with the server that spoke it; here the rings go over today's, each peer by
 * its first vector, and the value is what is added to the eventfd: values that
 * have not been read add up.
 */

#define OLD_MASK      0
#define OLD_STATUS    16 /* a read clears it */
#define OLD_DOORBELL  32
#define OLD_POSITION  48
#define OLD_LIVE_LIST 64
#define OLD_MEM_SIZE  80

#define REGISTER_MAX   0xffffu
#define EVERYBODY      0xff /* as the one to ring */
#define LIVE_LIST_BITS 16
#define MIB            (UINT64_C(1) << 20)

/* Ring (bits 15 to 8) with a value (bits 7 to 0); 0 rings nothing. */
static void write_doorbell_2009(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    unsigned peer = value >> 8, what = value & 0xff;
    if (what == 0)
        return;
    if (peer == EVERYBODY)
        mv_ivshmem_link_broadcast(ivshmem->link, 0, what);
    else
        (void)mv_ivshmem_link_ring(ivshmem->link, peer, 0, what);
}

/* A bit for each peer that is there, the device's own among them; IDs from 16 on show in none. */
static uint32_t read_live_list(struct mv_ivshmem_device *ivshmem)
{
    uint32_t list = 0;
    for (unsigned id = 0; id < LIVE_LIST_BITS; id++)
        list |= (mv_ivshmem_link_vectors(ivshmem->link, id) > 0 ? 1u : 0) << id;
    return list;
}

/* In MiB, as far as 16 bits go. */
static uint32_t read_mem_size(struct mv_ivshmem_device *ivshmem)
{
    uint64_t size = ivshmem->block->size / MIB;
    return size > REGISTER_MAX ? REGISTER_MAX : (uint32_t)size;
}

static const struct mv_ivshmem_register registers_2009[] = {
    {OLD_MASK, MASK},
    {OLD_STATUS, STATUS, true},
    {OLD_DOORBELL, .write = write_doorbell_2009},
    {OLD_POSITION, .read = read_position},
    {OLD_LIVE_LIST, .read = read_live_list},
    {OLD_MEM_SIZE, .read = read_mem_size},
};

static void rung_2009(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count)
{
    MV_LOCK_SCOPE(&ivshmem->function.device.lock);
    uint64_t room = REGISTER_MAX - ivshmem->status;
    ivshmem->status += (uint32_t)(count < room ? count : room);
    mv_ivshmem_update_line(ivshmem);
}

const struct mv_ivshmem_model mv_ivshmem_2009 = {
    .ids = IDS(0, true),
    .registers = registers_2009,
    .register_count = sizeof registers_2009 / sizeof registers_2009[0],
    .register_bits = REGISTER_MAX,
    .memory_bar = 1,
    .rung = rung_2009,
};
