/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ivshmem_plain: a PCI function whose BAR2 is memory that others map
 * too, and that rings nobody (QEMU, docs/specs/ivshmem-spec.txt, revision 1).
 * It owns the block behind BAR2.  `lock` guards its two registers, which hold
 * what is written and do nothing; called by vCPU threads.
 */
#include "device-list.h"

#include "block.h"
#include "cleanup.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define REGISTERS_SIZE 256
#define REG_MASK       0x0
#define REG_STATUS     0x4 /* a read clears it */

struct mv_ivshmem_plain {
    struct mv_pci_function function;
    struct mv_mmio_region registers;
    struct mv_block *block;
    pthread_mutex_t lock;
    uint32_t mask;
    uint32_t status;
};

static const struct mv_state_field state_fields[] = {
    MV_PCI_STATE_FIELDS(struct mv_ivshmem_plain),
    MV_STATE_FIELD(struct mv_ivshmem_plain, mask, MV_STATE_U32),
    MV_STATE_FIELD(struct mv_ivshmem_plain, status, MV_STATE_U32),
};

static const struct mv_state_table state_table = {
    .type = "ivshmem-plain",
    .version = 1,
    .fields = state_fields,
    .field_count = sizeof state_fields / sizeof state_fields[0],
};

/* IVPosition is 0 without a server, and the doorbell reads so. */
static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_ivshmem_plain *ivshmem = opaque;
    (void)size;
    MV_LOCK_SCOPE(&ivshmem->lock);
    uint32_t value = offset == REG_MASK ? ivshmem->mask : 0;
    if (offset == REG_STATUS) {
        value = ivshmem->status;
        ivshmem->status = 0;
    }
    return value;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_ivshmem_plain *ivshmem = opaque;
    (void)size;
    MV_LOCK_SCOPE(&ivshmem->lock);
    if (offset == REG_MASK)
        ivshmem->mask = (uint32_t)value;
    else if (offset == REG_STATUS)
        ivshmem->status = (uint32_t)value;
}

static const struct mv_mmio_ops registers_ops = {
    .read = registers_read, .write = registers_write, .min_access = 4, .max_access = 4};

static void reset(struct mv_device *device)
{
    struct mv_ivshmem_plain *ivshmem = (struct mv_ivshmem_plain *)device;
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->mask = ivshmem->status = 0;
    mv_pci_function_reset(&ivshmem->function);
}

static void destroy(struct mv_device *device)
{
    struct mv_ivshmem_plain *ivshmem = (struct mv_ivshmem_plain *)device;
    mv_pci_bus_unplug(&ivshmem->function);
    if (ivshmem->block != NULL)
        mv_block_destroy(ivshmem->block);
    pthread_mutex_destroy(&ivshmem->lock);
    free(ivshmem);
}

static const struct mv_device_ops device_ops = {
    .type = "ivshmem-plain", .state = &state_table, .reset = reset, .destroy = destroy};

int mv_ivshmem_plain_create(const struct mv_pci_device_params *params,
                            struct mv_pci_function **ret, struct mv_error *err)
{
    static const struct mv_pci_ids ids = {
        .vendor = 0x1af4,
        .device = 0x1110,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x050000, /* RAM controller */
        .revision = 1,
    };
    if (params->size < 4096 || (params->size & (params->size - 1)) != 0)
        return mv_error_set(err, EINVAL,
                            "the size of %" PRIu64 " bytes cannot be that of a BAR: give a power "
                            "of two from 4K up, such as size=64M",
                            params->size);
    struct mv_ivshmem_plain *ivshmem = calloc(1, sizeof *ivshmem);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    pthread_mutex_init(&ivshmem->lock, NULL);
    mv_pci_function_init(&ivshmem->function, &device_ops, &ids);
    int r = mv_block_create_backed(params->blocks, params->path, "bar2", params->size,
                                   params->backing, &ivshmem->block, err);
    if (r < 0) {
        destroy(&ivshmem->function.device);
        return r;
    }
    ivshmem->registers = (struct mv_mmio_region){
        .name = "ivshmem registers", .ops = &registers_ops, .opaque = ivshmem};
    mv_pci_bar_mmio(&ivshmem->function, 0, REGISTERS_SIZE, &ivshmem->registers);
    mv_pci_bar_ram(&ivshmem->function, 2, ivshmem->block);
    *ret = &ivshmem->function;
    return 0;
}
