/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_function: configuration space as bytes with a mask of writable
 * bits, and what its registers mean.  A write changes the bits that the mask
 * allows and nothing else; BAR sizing follows from that.  Under the bus's lock
 * once the function sits in a slot.
 */
#include "pci.h"

#include "block.h"
#include "size.h"

#include <string.h>

#define BAR_64BIT        (2u << 1)
#define BAR_PREFETCHABLE (1u << 3)
#define BAR_FLAGS        UINT64_C(0xf)

static void put(uint8_t *bytes, unsigned offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *bytes, unsigned offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[offset + i] << (8 * i);
    return value;
}

void mv_pci_config_define(struct mv_pci_function *function, unsigned offset, unsigned size,
                          uint64_t value, uint64_t writable)
{
    put(function->power_on, offset, size, value);
    put(function->config, offset, size, value);
    put(function->writable, offset, size, writable);
}

void mv_pci_config_own(struct mv_pci_function *function, unsigned offset, unsigned size,
                       uint64_t bits)
{
    put(function->own, offset, size, bits);
}

int mv_pci_function_check(const struct mv_pci_function *function, struct mv_error *err)
{
    for (unsigned i = 0; i < MV_PCI_CONFIG_SIZE; i++) {
        uint8_t fixed = (uint8_t) ~(function->writable[i] | function->own[i]);
        if (((function->config[i] ^ function->power_on[i]) & fixed) != 0)
            return mv_state_refuse(err, "config",
                                   "byte 0x%x is 0x%x, and of this device 0x%x, of which 0x%x "
                                   "never changes",
                                   i, function->config[i], function->power_on[i], fixed);
    }
    return 0;
}

uint64_t mv_pci_config_get(const struct mv_pci_function *function, unsigned offset, unsigned size)
{
    return get(function->config, offset, size);
}

void mv_pci_config_set(struct mv_pci_function *function, unsigned offset, unsigned size,
                       uint64_t value)
{
    put(function->config, offset, size, value);
}

void mv_pci_function_init(struct mv_pci_function *function, const struct mv_device_ops *ops,
                          const struct mv_pci_ids *ids)
{
    function->device.ops = ops;
    function->capability_end = 0x40;
    mv_pci_config_define(function, 0x00, 4, ids->vendor | (uint32_t)ids->device << 16, 0);
    mv_pci_config_define(function, MV_PCI_COMMAND, 2, 0,
                         MV_PCI_COMMAND_MEMORY | MV_PCI_COMMAND_MASTER |
                             (ids->interrupt ? MV_PCI_COMMAND_INTX_DISABLE : 0));
    mv_pci_config_define(function, 0x08, 4, ids->revision | ids->class_code << 8, 0);
    mv_pci_config_define(function, 0x0c, 1, 0, 0xff); /* cache line size */
    mv_pci_config_define(function, 0x2c, 4, ids->subsystem_vendor | (uint32_t)ids->subsystem << 16,
                         0);
    mv_pci_config_define(function, MV_PCI_INTERRUPT_LINE, 1, 0, 0xff);
    mv_pci_config_define(function, MV_PCI_INTERRUPT_PIN, 1, ids->interrupt, 0);
}

void mv_pci_bar_mmio(struct mv_pci_function *function, unsigned index, uint64_t size,
                     const struct mv_mmio_region *region)
{
    function->bars[index] = (struct mv_pci_bar){.size = size, .region = region};
    mv_pci_config_define(function, MV_PCI_BAR0 + 4 * index, 4, 0, ~(size - 1));
}

void mv_pci_bar_ram(struct mv_pci_function *function, unsigned index, struct mv_block *block)
{
    function->bars[index] = (struct mv_pci_bar){.size = block->size, .block = block, .wide = true};
    mv_pci_config_define(function, MV_PCI_BAR0 + 4 * index, 8, BAR_64BIT | BAR_PREFETCHABLE,
                         ~(block->size - 1));
}

uint8_t mv_pci_capability_add(struct mv_pci_function *function, uint8_t id, unsigned size)
{
    uint8_t at = function->capability_end;
    mv_pci_config_define(function, at, 1, id, 0);
    mv_pci_config_define(function, at + 1u, 1, function->power_on[MV_PCI_CAPABILITIES], 0);
    mv_pci_config_define(function, MV_PCI_CAPABILITIES, 1, at, 0);
    mv_pci_config_define(function, MV_PCI_STATUS, 2, MV_PCI_STATUS_CAPABILITIES, 0);
    function->capability_end = (uint8_t)mv_align_up(at + size, 4);
    return at;
}

uint32_t mv_pci_config_read(const struct mv_pci_function *function, unsigned offset, unsigned size)
{
    if (offset > MV_PCI_CONFIG_SIZE - size)
        return UINT32_MAX;
    uint32_t value = (uint32_t)get(function->config, offset, size);
    if (offset <= MV_PCI_STATUS && offset + size > MV_PCI_STATUS && function->intx_wanted)
        value |= MV_PCI_STATUS_INTERRUPT << (8 * (MV_PCI_STATUS - offset));
    return value;
}

void mv_pci_config_write(struct mv_pci_function *function, unsigned offset, uint32_t value,
                         unsigned size)
{
    for (unsigned i = 0; i < size && offset + i < MV_PCI_CONFIG_SIZE; i++) {
        uint8_t mask = function->writable[offset + i];
        uint8_t *byte = &function->config[offset + i];
        *byte = (uint8_t)((*byte & ~mask) | ((value >> (8 * i)) & mask));
    }
}

bool mv_pci_bar_address(const struct mv_pci_function *function, unsigned index, uint64_t *ret_gpa)
{
    const struct mv_pci_bar *bar = &function->bars[index];
    if (bar->size == 0 || !(function->config[MV_PCI_COMMAND] & MV_PCI_COMMAND_MEMORY))
        return false;
    *ret_gpa = get(function->config, MV_PCI_BAR0 + 4 * index, bar->wide ? 8 : 4) & ~BAR_FLAGS;
    return true;
}
