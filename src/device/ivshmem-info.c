/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket tells of ivshmem functions.  Main thread. */
#include "ivshmem.h"

#include "block.h"

/* They differ in their models and have this in common. */
static struct mv_ivshmem_device *ivshmem_of(struct mv_device *device)
{
    return device->ops->destroy == mv_ivshmem_device_destroy ? (struct mv_ivshmem_device *)device
                                                             : NULL;
}

bool mv_ivshmem_describe(struct mv_device *device, struct mv_ivshmem_info *ret)
{
    const struct mv_ivshmem_device *ivshmem = ivshmem_of(device);
    if (ivshmem == NULL)
        return false;
    *ret = (struct mv_ivshmem_info){.block = ivshmem->block->id, .size = ivshmem->block->size};
    if (ivshmem->link == NULL)
        return true;
    struct mv_ivshmem_link_info link;
    mv_ivshmem_link_describe(ivshmem->link, &link);
    ret->socket = link.path;
    ret->connected = link.connected;
    ret->id = link.id;
    ret->vectors = link.vectors;
    ret->sent = link.sent;
    ret->received = link.received;
    return true;
}

void mv_ivshmem_for_each_peer(struct mv_device *device,
                              void (*fn)(void *opaque, unsigned id, unsigned vectors), void *opaque)
{
    struct mv_ivshmem_device *ivshmem = ivshmem_of(device);
    if (ivshmem != NULL && ivshmem->link != NULL)
        mv_ivshmem_link_for_each(ivshmem->link, fn, opaque);
}
