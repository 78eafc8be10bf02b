/* SPDX-License-Identifier: Apache-2.0 */
/* The list of PCI functions that a user may add.  No state, no lock; any thread. */
#include "pci-devices.h"

#include <stdio.h>
#include <string.h>

static const struct mv_pci_type types[] = {
    {"edu", mv_edu_create, 0},
    {"ivshmem-plain", mv_ivshmem_plain_create, MV_PCI_SHOWS_MEMORY},
    {"ivshmem-doorbell", mv_ivshmem_doorbell_create, MV_PCI_SHOWS_MEMORY},
    {"ivshmem-2009", mv_ivshmem_2009_create, MV_PCI_SHOWS_MEMORY},
    {"pcie-root-port", mv_pci_root_port_create, MV_PCI_IS_PORT},
};
#define TYPES (sizeof types / sizeof types[0])

const struct mv_pci_type *mv_pci_type_find(const char *name)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

void mv_pci_type_names(unsigned traits, char *buf, size_t size)
{
    const struct mv_pci_type *chosen[TYPES];
    size_t count = 0, used = 0;
    for (size_t i = 0; i < TYPES; i++) {
        if ((types[i].traits & traits) == 0)
            chosen[count++] = &types[i];
    }
    buf[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *join = i == 0 ? "" : i + 1 < count ? ", " : " and ";
        used += (size_t)snprintf(buf + used, size - used, "%s%s", join, chosen[i]->name);
    }
}
