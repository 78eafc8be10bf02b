/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-doorbell: shared memory from a server, and doorbells.  Its vectors
 * stand in the MSI-X table of BAR1.  vCPU threads ring the peers' eventfds
 * themselves; the main thread's loop reads the device's own, and interrupts.
 */
#include "ivshmem.h"

#include "block.h"

static const struct mv_state_field state_fields[] = {
    MV_IVSHMEM_STATE_FIELDS, MV_PCI_MSIX_STATE_FIELDS(struct mv_ivshmem_device, msix)};

static const struct mv_state_table state_table = {
    .type = "ivshmem-doorbell",
    .version = 1,
    .fields = state_fields,
    .field_count = sizeof state_fields / sizeof state_fields[0],
};

static const struct mv_device_ops device_ops = {.type = "ivshmem-doorbell",
                                                .state = &state_table,
                                                .reset = mv_ivshmem_device_reset,
                                                .destroy = mv_ivshmem_device_destroy};

static int make_block(struct mv_ivshmem_device *ivshmem, int fd, uint64_t size,
                      struct mv_error *err)
{
    const struct mv_pci_device_params *params = ivshmem->making;
    const struct mv_config_backing backing = {
        .has_fd = true,
        .fd = fd,
        .same_file = true, /* another device of this guest may be a peer, too */
        .share = MV_SWITCH_ON,
        .save = MV_SWITCH_OFF, /* it is not this guest's alone */
    };
    return mv_block_create_backed(params->blocks, params->path, "bar2", size, &backing,
                                  &ivshmem->block, err);
}

static int take_memory(void *opaque, int fd, uint64_t size, struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    return ivshmem->block == NULL ? make_block(ivshmem, fd, size, err)
                                  : mv_block_replace_fd(ivshmem->block, fd, err);
}

static void take_ring(void *opaque, unsigned vector, uint64_t count)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    ivshmem->model->rung(ivshmem, vector, count);
}

static const struct mv_ivshmem_link_ops link_ops = {.memory = take_memory, .rung = take_ring};

static int open_link(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                     struct mv_error *err)
{
    const struct mv_ivshmem_link_config config = {
        .loop = params->loop,
        .path = params->socket,
        .name = params->path,
        .vectors = params->vectors,
        .ops = &link_ops,
        .opaque = ivshmem,
    };
    ivshmem->making = params;
    int r = mv_ivshmem_link_open(&config, &ivshmem->link, err);
    ivshmem->making = NULL;
    return r;
}

int mv_ivshmem_doorbell_create(const struct mv_pci_device_params *params,
                               struct mv_pci_function **ret, struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem = mv_ivshmem_device_alloc(&mv_ivshmem_revision1, &device_ops);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    int r = open_link(ivshmem, params, err);
    if (r < 0) {
        mv_ivshmem_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_ivshmem_device_add_bars(ivshmem);
    mv_pci_msix_add(&ivshmem->function, &ivshmem->msix, 1, params->vectors);
    *ret = &ivshmem->function;
    return 0;
}
