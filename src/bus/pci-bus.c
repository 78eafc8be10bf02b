/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_bus: the slots behind a host bridge, one function each, and
 * the three things that configuration writes have an effect on: where BARs are
 * mapped, interrupt lines, messages.  `lock` guards all of it and is taken
 * before the space's and the interrupt controller's.
 */
#include "pci.h"

#include "block.h"
#include "cleanup.h"
#include "pci-msix.h"

#include <stdlib.h>
#include <string.h>

struct mv_pci_bus {
    struct mv_pci_bus_params params;
    pthread_mutex_t lock;
    struct mv_pci_function *slots[MV_PCI_SLOTS];
    unsigned driven[MV_PCI_LINES]; /* by how many functions */
};

int mv_pci_bus_create(const struct mv_pci_bus_params *params, struct mv_pci_bus **ret,
                      struct mv_error *err)
{
    struct mv_pci_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI bus");
    bus->params = *params;
    pthread_mutex_init(&bus->lock, NULL);
    *ret = bus;
    return 0;
}

void mv_pci_bus_destroy(struct mv_pci_bus *bus)
{
    if (bus == NULL)
        return;
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

struct mv_space *mv_pci_bus_space(struct mv_pci_bus *bus)
{
    return bus->params.space;
}

pthread_mutex_t *mv_pci_bus_mutex(struct mv_pci_bus *bus)
{
    return &bus->lock;
}

/* --- BARs */

static bool in_window(const struct mv_pci_bus *bus, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < sizeof bus->params.windows / sizeof bus->params.windows[0]; i++) {
        uint64_t start = bus->params.windows[i].gpa, length = bus->params.windows[i].size;
        if (gpa >= start && size <= length && gpa - start <= length - size)
            return true;
    }
    return false;
}

static void unmap_bar(struct mv_pci_bus *bus, struct mv_pci_bar *bar)
{
    if (bar->mapped)
        mv_space_remove(bus->params.space, bar->gpa);
    bar->mapped = false;
}

/* Where something else stands already it stays unmapped, until that moves. */
static void map_bar(struct mv_pci_bus *bus, struct mv_pci_bar *bar, uint64_t gpa)
{
    struct mv_error ignored;
    int r;
    if (bar->block != NULL)
        r = mv_space_add_ram(bus->params.space, gpa, bar->block, 0, bar->size, &ignored);
    else
        r = mv_space_add_mmio(bus->params.space, gpa, bar->size, bar->region, &ignored);
    bar->mapped = r == 0;
    bar->gpa = gpa;
}

static void unmap_moved(struct mv_pci_bus *bus, struct mv_pci_function *f)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        uint64_t gpa;
        if (!mv_pci_bar_address(f, i, &gpa) || gpa != f->bars[i].gpa)
            unmap_bar(bus, &f->bars[i]);
    }
}

static void map_wanted(struct mv_pci_bus *bus, struct mv_pci_function *f)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        uint64_t gpa;
        struct mv_pci_bar *bar = &f->bars[i];
        if (!bar->mapped && mv_pci_bar_address(f, i, &gpa) && in_window(bus, gpa, bar->size))
            map_bar(bus, bar, gpa);
    }
}

/* All leave before any comes, since one may come to where another was. */
static void remap(struct mv_pci_bus *bus)
{
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        if (bus->slots[i] != NULL)
            unmap_moved(bus, bus->slots[i]);
    }
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        if (bus->slots[i] != NULL)
            map_wanted(bus, bus->slots[i]);
    }
}

/* --- interrupts */

static void drive(struct mv_pci_bus *bus, struct mv_pci_function *f, bool level)
{
    unsigned line = f->slot % MV_PCI_LINES;
    if (level == f->intx_driven)
        return;
    f->intx_driven = level;
    bus->driven[line] += level ? 1u : -1u;
    mv_irq_set(&bus->params.lines[line], bus->driven[line] != 0);
}

static void update_line(struct mv_pci_bus *bus, struct mv_pci_function *f)
{
    bool disabled = mv_pci_config_read(f, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_INTX_DISABLE;
    drive(bus, f, f->intx_wanted && !disabled && !mv_pci_msi_enabled(f));
}

/* A message is a write, which goes to the interrupt controller's frame or nowhere. */
void mv_pci_bus_post(const struct mv_pci_function *function, uint64_t address, uint32_t data)
{
    const struct mv_pci_bus_params *params = &function->bus->params;
    const struct mv_mmio_region *region = params->msi_region;
    bool master = mv_pci_config_read(function, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MASTER;
    if (master && address >= params->msi_gpa && address - params->msi_gpa < params->msi_size)
        region->ops->write(region->opaque, address - params->msi_gpa, data, 4);
}

void mv_pci_intx_set(struct mv_pci_function *function, bool level)
{
    struct mv_pci_bus *bus = function->bus;
    if (bus == NULL)
        return;
    MV_LOCK_SCOPE(&bus->lock);
    function->intx_wanted = level;
    update_line(bus, function);
}

void mv_pci_msi_send(struct mv_pci_function *function)
{
    struct mv_pci_bus *bus = function->bus;
    uint64_t address;
    uint32_t data;
    if (bus == NULL)
        return;
    MV_LOCK_SCOPE(&bus->lock);
    if (mv_pci_msi_message(function, &address, &data))
        mv_pci_bus_post(function, address, data);
}

bool mv_pci_is_master(struct mv_pci_function *function)
{
    struct mv_pci_bus *bus = function->bus;
    if (bus == NULL)
        return false;
    MV_LOCK_SCOPE(&bus->lock);
    return mv_pci_config_read(function, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MASTER;
}

/* --- slots */

int mv_pci_bus_free_slot(struct mv_pci_bus *bus)
{
    MV_LOCK_SCOPE(&bus->lock);
    for (int slot = 1; slot < MV_PCI_SLOTS; slot++) {
        if (bus->slots[slot] == NULL)
            return slot;
    }
    return -1;
}

int mv_pci_bus_plug(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_function *function,
                    struct mv_error *err)
{
    MV_LOCK_SCOPE(&bus->lock);
    if (bus->slots[slot] != NULL)
        return mv_error_set(err, EBUSY, "PCI slot %02x.0 holds a %s already: give another addr=",
                            slot, bus->slots[slot]->device.ops->type);
    bus->slots[slot] = function;
    function->bus = bus;
    function->slot = slot;
    return 0;
}

static void restore_power_on(struct mv_pci_bus *bus, struct mv_pci_function *f)
{
    memcpy(f->config, f->power_on, sizeof f->config);
    f->intx_wanted = false;
    mv_pci_msix_reset(f);
    update_line(bus, f);
    remap(bus);
}

void mv_pci_bus_unplug(struct mv_pci_function *function)
{
    struct mv_pci_bus *bus = function->bus;
    if (bus == NULL)
        return;
    MV_LOCK_SCOPE(&bus->lock);
    restore_power_on(bus, function);
    bus->slots[function->slot] = NULL;
    function->bus = NULL;
}

void mv_pci_function_reset(struct mv_pci_function *function)
{
    struct mv_pci_bus *bus = function->bus;
    if (bus == NULL)
        return;
    MV_LOCK_SCOPE(&bus->lock);
    restore_power_on(bus, function);
}

/* --- configuration accesses */

uint32_t mv_pci_bus_read(struct mv_pci_bus *bus, unsigned slot, unsigned offset, unsigned size)
{
    MV_LOCK_SCOPE(&bus->lock);
    if (slot >= MV_PCI_SLOTS || bus->slots[slot] == NULL)
        return UINT32_MAX;
    return mv_pci_config_read(bus->slots[slot], offset, size);
}

void mv_pci_bus_write(struct mv_pci_bus *bus, unsigned slot, unsigned offset, uint32_t value,
                      unsigned size)
{
    uint64_t address;
    uint32_t data;
    MV_LOCK_SCOPE(&bus->lock);
    if (slot >= MV_PCI_SLOTS || bus->slots[slot] == NULL)
        return;
    struct mv_pci_function *f = bus->slots[slot];
    mv_pci_config_write(f, offset, value, size);
    remap(bus);
    update_line(bus, f);
    if (mv_pci_msi_unmasked(f, &address, &data))
        mv_pci_bus_post(f, address, data);
    mv_pci_msix_flush(f);
}
