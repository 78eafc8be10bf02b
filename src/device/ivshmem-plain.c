/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-plain: a PCI function whose BAR2 is memory that others map too, or a
 * block that the guest has already, and that rings nobody.  Main thread.
 */
#include "ivshmem.h"

#include "block.h"

static const struct mv_state_field state_fields[] = {MV_IVSHMEM_STATE_FIELDS};

static const struct mv_state_table state_table = {
    .type = "ivshmem-plain",
    .version = 1,
    .fields = state_fields,
    .field_count = sizeof state_fields / sizeof state_fields[0],
};

static const struct mv_device_ops device_ops = {.type = "ivshmem-plain",
                                                .state = &state_table,
                                                .reset = mv_ivshmem_device_reset,
                                                .destroy = mv_ivshmem_device_destroy};

static int take_block(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                      struct mv_error *err)
{
    ivshmem->shows_other = params->block != NULL;
    ivshmem->block = params->block;
    if (ivshmem->shows_other)
        return 0;
    return mv_block_create_backed(params->blocks, params->path, "bar2", params->size,
                                  params->backing, &ivshmem->block, err);
}

int mv_ivshmem_plain_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                            struct mv_error *err)
{
    uint64_t size = params->block != NULL ? params->block->size : params->size;
    int r = mv_ivshmem_device_check_size(size, err);
    if (r < 0)
        return r;
    struct mv_ivshmem_device *ivshmem =
        mv_ivshmem_device_alloc(&mv_ivshmem_revision1_plain, &device_ops);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    r = take_block(ivshmem, params, err);
    if (r < 0) {
        mv_ivshmem_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_ivshmem_device_add_bars(ivshmem);
    *ret = &ivshmem->function;
    return 0;
}
