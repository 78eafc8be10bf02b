/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that all models of ivshmem have in common: see ivshmem.h. */
#include "ivshmem.h"

#include "cleanup.h"

void mv_ivshmem_update_line(struct mv_ivshmem_device *ivshmem)
{
    if (ivshmem->link != NULL)
        mv_pci_intx_set(&ivshmem->function, (ivshmem->status & ivshmem->mask) != 0);
}

uint32_t mv_ivshmem_read_mask(struct mv_ivshmem_device *ivshmem)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    return ivshmem->mask;
}

void mv_ivshmem_write_mask(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->mask = value;
    mv_ivshmem_update_line(ivshmem);
}

uint32_t mv_ivshmem_peek_status(struct mv_ivshmem_device *ivshmem)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    return ivshmem->status;
}

uint32_t mv_ivshmem_read_status(struct mv_ivshmem_device *ivshmem)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    uint32_t status = ivshmem->status;
    ivshmem->status = 0;
    mv_ivshmem_update_line(ivshmem);
    return status;
}

void mv_ivshmem_write_status(struct mv_ivshmem_device *ivshmem, uint32_t value)
{
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->status = value;
    mv_ivshmem_update_line(ivshmem);
}

uint32_t mv_ivshmem_read_position(struct mv_ivshmem_device *ivshmem)
{
    return ivshmem->link == NULL ? 0 : mv_ivshmem_link_id(ivshmem->link);
}
