/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of the first patch for inter-VM shared memory, of 2009: 16 bits
 * each, no MSI-X, and a ring that carries a value, which the one that is rung
 * reads from its status register.  Its socket protocol had no version and is
 * gone with the server that spoke it; here the rings go over today's, each peer
 * by its first vector, and the value is what is added to the eventfd: values
 * that have not been read add up.
 */
#include "ivshmem.h"

#include "block.h"
#include "cleanup.h"

#define REG_MASK      0
#define REG_STATUS    16 /* a read clears it */
#define REG_DOORBELL  32
#define REG_POSITION  48
#define REG_LIVE_LIST 64
#define REG_MEM_SIZE  80

#define REGISTER_MAX   0xffffu
#define EVERYBODY      0xff /* as the one to ring */
#define LIVE_LIST_BITS 16
#define MIB            (UINT64_C(1) << 20)

/* Ring (bits 15 to 8) with a value (bits 7 to 0); 0 rings nothing. */
static void write_doorbell(struct mv_ivshmem_device *ivshmem, uint32_t value)
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

static const struct mv_ivshmem_register registers[] = {
    {REG_MASK, mv_ivshmem_read_mask, mv_ivshmem_write_mask},
    {REG_STATUS, mv_ivshmem_read_status, mv_ivshmem_write_status, mv_ivshmem_peek_status},
    {REG_DOORBELL, NULL, write_doorbell},
    {REG_POSITION, mv_ivshmem_read_position, NULL},
    {REG_LIVE_LIST, read_live_list, NULL},
    {REG_MEM_SIZE, read_mem_size, NULL},
};

static void rung(struct mv_ivshmem_device *ivshmem, unsigned vector, uint64_t count)
{
    (void)vector;
    MV_LOCK_SCOPE(&ivshmem->lock);
    uint64_t room = REGISTER_MAX - ivshmem->status;
    ivshmem->status += (uint32_t)(count < room ? count : room);
    mv_ivshmem_update_line(ivshmem);
}

const struct mv_ivshmem_model mv_ivshmem_2009 = {
    .ids = {.vendor = 0x1af4,
            .device = 0x1110,
            .subsystem_vendor = 0x1af4,
            .subsystem = 0x1100,
            .class_code = 0x050000, /* RAM controller */
            .revision = 0,
            .interrupt = true},
    .registers = registers,
    .register_count = sizeof registers / sizeof registers[0],
    .register_bits = REGISTER_MAX,
    .memory_bar = 1,
    .rung = rung,
};
