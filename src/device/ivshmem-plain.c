/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-plain: a PCI function whose BAR2 is memory that others map too, and
 * that rings nobody.  Main thread.
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

int mv_ivshmem_plain_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                            struct mv_error *err)
{
    int r = mv_ivshmem_device_check_size(params->size, err);
    if (r < 0)
        return r;
    struct mv_ivshmem_device *ivshmem =
        mv_ivshmem_device_alloc(&mv_ivshmem_revision1_plain, &device_ops);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    r = mv_block_create_backed(params->blocks, params->path, "bar2", params->size, params->backing,
                               &ivshmem->block, err);
    if (r < 0) {
        mv_ivshmem_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_ivshmem_device_add_bars(ivshmem);
    *ret = &ivshmem->function;
    return 0;
}
