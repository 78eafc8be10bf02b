/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_bus: the slots of a bus, one function each, and the three
 * things that configuration writes have an effect on: where BARs are mapped,
 * interrupt lines, messages.  The host bridge's bus is the root of those behind
 * bridges; its `lock` guards all of them and is taken before the space's and
 * the interrupt controller's.
 */
#include "pci.h"

#include "block.h"
#include "cleanup.h"
#include "pci-bridge.h"
#include "pci-msix.h"
#include "pci-windows.h"

#include <stdlib.h>
#include <string.h>

struct mv_pci_bus {
    struct mv_pci_bus *root;      /* the host bridge's bus, maybe itself */
    struct mv_pci_bridge *bridge; /* that it is behind; NULL for the root */
    struct mv_pci_function *slots[MV_PCI_SLOTS];
    /* The root's alone. */
    struct mv_pci_bus_params params;
    pthread_mutex_t lock;
    unsigned driven[MV_PCI_LINES]; /* by how many functions */
};

int mv_pci_bus_create(const struct mv_pci_bus_params *params, struct mv_pci_bus **ret,
                      struct mv_error *err)
{
    struct mv_pci_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI bus");
    bus->root = bus;
    bus->params = *params;
    pthread_mutex_init(&bus->lock, NULL);
    *ret = bus;
    return 0;
}

int mv_pci_bus_create_behind(struct mv_pci_bridge *bridge, struct mv_pci_bus **ret,
                             struct mv_error *err)
{
    struct mv_pci_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI bus");
    bus->bridge = bridge;
    *ret = bus;
    return 0;
}

void mv_pci_bus_destroy(struct mv_pci_bus *bus)
{
    if (bus == NULL)
        return;
    if (bus->root == bus)
        pthread_mutex_destroy(&bus->lock);
    free(bus);
}

struct mv_space *mv_pci_bus_space(struct mv_pci_bus *bus)
{
    return bus->root->params.space;
}

pthread_mutex_t *mv_pci_bus_mutex(struct mv_pci_bus *bus)
{
    return &bus->root->lock;
}

/* The bus on the other side of its bridge. */
static struct mv_pci_bus *upstream(const struct mv_pci_bus *bus)
{
    return bus->bridge->function.bus;
}

/* Call fn for each function of the bus and of those behind its bridges. */
static void for_each(struct mv_pci_bus *bus, void (*fn)(struct mv_pci_function *f))
{
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        struct mv_pci_function *f = bus->slots[i];
        if (f == NULL)
            continue;
        fn(f);
        if (f->bridge != NULL)
            for_each(f->bridge->secondary, fn);
    }
}

/* --- BARs */

/* Whether the host bridge, and every other one before the bus, forwards all of it. */
static bool is_forwarded(const struct mv_pci_bus *bus, uint64_t gpa, uint64_t size)
{
    for (; bus->bridge != NULL; bus = upstream(bus)) {
        if (!mv_pci_bridge_forwards(bus->bridge, gpa, size))
            return false;
    }
    for (size_t i = 0; i < sizeof bus->params.windows / sizeof bus->params.windows[0]; i++) {
        uint64_t start = bus->params.windows[i].gpa, length = bus->params.windows[i].size;
        if (gpa >= start && size <= length && gpa - start <= length - size)
            return true;
    }
    return false;
}

/* Where a BAR ought to be mapped; false where nowhere. */
static bool wanted(const struct mv_pci_function *f, unsigned index, uint64_t *ret_gpa)
{
    return mv_pci_bar_address(f, index, ret_gpa) &&
           is_forwarded(f->bus, *ret_gpa, f->bars[index].size);
}

static void unmap_bar(struct mv_pci_bus *bus, struct mv_pci_bar *bar)
{
    if (bar->mapped)
        mv_space_remove(mv_pci_bus_space(bus), bar->gpa);
    bar->mapped = false;
}

/* Where something else stands already it stays unmapped, until that moves. */
static void map_bar(struct mv_pci_bus *bus, struct mv_pci_bar *bar, uint64_t gpa)
{
    struct mv_space *space = mv_pci_bus_space(bus);
    struct mv_error ignored;
    int r;
    if (bar->block != NULL)
        r = mv_space_add_ram(space, gpa, bar->block, 0, bar->size, &ignored);
    else
        r = mv_space_add_mmio(space, gpa, bar->size, bar->region, &ignored);
    bar->mapped = r == 0;
    bar->gpa = gpa;
}

static void unmap_moved(struct mv_pci_function *f)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        uint64_t gpa;
        if (!wanted(f, i, &gpa) || gpa != f->bars[i].gpa)
            unmap_bar(f->bus, &f->bars[i]);
    }
}

static void map_wanted(struct mv_pci_function *f)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        uint64_t gpa;
        if (!f->bars[i].mapped && wanted(f, i, &gpa))
            map_bar(f->bus, &f->bars[i], gpa);
    }
}

/* All leave before any comes, since one may come to where another was. */
static void remap(struct mv_pci_bus *bus)
{
    for_each(bus->root, unmap_moved);
    for_each(bus->root, map_wanted);
}

/* --- interrupts */

/* A bridge turns the pins of what is behind it by the slot (PCI-to-PCI Bridge, 1.2, 9.1). */
static unsigned line_of(const struct mv_pci_function *f)
{
    unsigned pin = f->slot;
    for (const struct mv_pci_bus *bus = f->bus; bus->bridge != NULL; bus = upstream(bus))
        pin += bus->bridge->function.slot;
    return pin % MV_PCI_LINES;
}

static void drive(struct mv_pci_function *f, bool level)
{
    struct mv_pci_bus *root = f->bus->root;
    unsigned line = line_of(f);
    if (level == f->intx_driven)
        return;
    f->intx_driven = level;
    root->driven[line] += level ? 1u : -1u;
    mv_irq_set(&root->params.lines[line], root->driven[line] != 0);
}

static void update_line(struct mv_pci_function *f)
{
    bool disabled = mv_pci_config_read(f, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_INTX_DISABLE;
    drive(f, f->intx_wanted && !disabled && !mv_pci_msi_enabled(f));
}

/* Accesses to memory get through bridges that may be masters themselves. */
static bool may_master(const struct mv_pci_function *f)
{
    for (;;) {
        if (!(mv_pci_config_read(f, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MASTER))
            return false;
        if (f->bus->bridge == NULL)
            return true;
        f = &f->bus->bridge->function;
    }
}

/* A message is a write, which goes to the interrupt controller's frame or nowhere. */
void mv_pci_bus_post(const struct mv_pci_function *function, uint64_t address, uint32_t data)
{
    const struct mv_pci_bus_params *params = &function->bus->root->params;
    const struct mv_mmio_region *region = params->msi_region;
    if (may_master(function) && address >= params->msi_gpa &&
        address - params->msi_gpa < params->msi_size)
        region->ops->write(region->opaque, address - params->msi_gpa, data, 4);
}

void mv_pci_intx_set_locked(struct mv_pci_function *function, bool level)
{
    if (!function->plugged)
        return;
    function->intx_wanted = level;
    update_line(function);
}

void mv_pci_intx_set(struct mv_pci_function *function, bool level)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    mv_pci_intx_set_locked(function, level);
}

void mv_pci_msi_send_locked(struct mv_pci_function *function)
{
    uint64_t address;
    uint32_t data;
    if (function->plugged && mv_pci_msi_message(function, &address, &data))
        mv_pci_bus_post(function, address, data);
}

void mv_pci_msi_send(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    mv_pci_msi_send_locked(function);
}

bool mv_pci_is_master(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return false;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    return function->plugged && may_master(function);
}

/* --- slots */

struct mv_pci_function *mv_pci_bus_function(const struct mv_pci_bus *bus, unsigned slot)
{
    return slot < MV_PCI_SLOTS ? bus->slots[slot] : NULL;
}

bool mv_pci_bus_describe(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_info *ret)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(bus));
    const struct mv_pci_function *f = mv_pci_bus_function(bus, slot);
    if (f == NULL)
        return false;
    ret->id = f->device.id;
    memcpy(ret->header, f->config, sizeof ret->header);
    memcpy(ret->bars, f->bars, sizeof ret->bars);
    ret->behind = f->bridge == NULL ? NULL : f->bridge->secondary;
    return true;
}

int mv_pci_bus_free_slot(struct mv_pci_bus *bus)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(bus));
    for (int slot = 1; slot < MV_PCI_SLOTS; slot++) {
        if (bus->slots[slot] == NULL)
            return slot;
    }
    return -1;
}

int mv_pci_bus_plug(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_function *function,
                    struct mv_error *err)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(bus));
    if (bus->slots[slot] != NULL)
        return mv_error_set(err, EBUSY, "PCI slot %02x.0 holds a %s already: give another addr=",
                            slot, bus->slots[slot]->device.ops->type);
    int r = mv_pci_windows_check(&bus->root->params, bus->root, function, err);
    if (r < 0)
        return r;
    bus->slots[slot] = function;
    function->bus = bus;
    function->slot = slot;
    function->plugged = true;
    if (function->bridge != NULL)
        function->bridge->secondary->root = bus->root;
    return 0;
}

static void restore_power_on(struct mv_pci_function *f)
{
    memcpy(f->config, f->power_on, sizeof f->config);
    f->intx_wanted = false;
    mv_pci_msix_reset(f);
    update_line(f);
    remap(f->bus);
}

void mv_pci_bus_unplug_locked(struct mv_pci_function *function)
{
    restore_power_on(function);
    function->bus->slots[function->slot] = NULL;
    function->plugged = false;
}

void mv_pci_bus_unplug(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    if (function->plugged)
        mv_pci_bus_unplug_locked(function);
}

void mv_pci_function_reset(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    if (function->plugged)
        restore_power_on(function);
}

pthread_mutex_t *mv_pci_function_mutex(void *object)
{
    const struct mv_pci_function *function = object;
    return function->bus == NULL ? NULL : mv_pci_bus_mutex(function->bus);
}

void mv_pci_function_loaded(struct mv_pci_function *function)
{
    if (function->bus == NULL)
        return;
    MV_LOCK_SCOPE(mv_pci_bus_mutex(function->bus));
    if (function->plugged) {
        update_line(function);
        remap(function->bus);
    }
}

/* --- configuration accesses */

/* The bus that the guest has given this number; NULL where none has it. */
static const struct mv_pci_bus *find_bus(const struct mv_pci_bus *bus, unsigned number)
{
    const struct mv_pci_bus *next = bus;
    while (number != 0 && next != NULL) {
        bus = next;
        next = NULL;
        for (unsigned i = 0; i < MV_PCI_SLOTS && next == NULL; i++) {
            const struct mv_pci_function *f = bus->slots[i];
            if (f != NULL && f->bridge != NULL && mv_pci_bridge_leads_to(f->bridge, number))
                next = f->bridge->secondary;
        }
        if (next != NULL && mv_pci_bridge_number(next->bridge) == number)
            return next;
    }
    return next;
}

static struct mv_pci_function *find(const struct mv_pci_bus *root, unsigned address)
{
    const struct mv_pci_bus *bus = find_bus(root, address / MV_PCI_SLOTS);
    return bus == NULL ? NULL : bus->slots[address % MV_PCI_SLOTS];
}

uint32_t mv_pci_bus_read(struct mv_pci_bus *bus, unsigned address, unsigned offset, unsigned size)
{
    MV_LOCK_SCOPE(&bus->lock);
    const struct mv_pci_function *f = find(bus, address);
    return f == NULL ? UINT32_MAX : mv_pci_config_read(f, offset, size);
}

/* What is behind a bridge; how many. */
static unsigned list_behind(const struct mv_pci_bridge *bridge, struct mv_pci_function **ret)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        if (bridge->secondary->slots[i] != NULL)
            ret[count++] = bridge->secondary->slots[i];
    }
    return count;
}

/* The function was written to; what is to be reset for that, without the lock; how many. */
static unsigned follow_write(struct mv_pci_function *f, unsigned offset, unsigned size,
                             uint32_t value, struct mv_pci_function **ret_reset)
{
    uint64_t address;
    uint32_t data;
    unsigned reset = 0;
    if (f->written != NULL)
        f->written(f, offset, size, value);
    remap(f->bus);
    update_line(f);
    if (mv_pci_msi_unmasked(f, &address, &data))
        mv_pci_bus_post(f, address, data);
    mv_pci_msix_flush(f);
    if (f->bridge != NULL && f->bridge->reset_due)
        reset = list_behind(f->bridge, ret_reset);
    if (f->bridge != NULL)
        f->bridge->reset_due = false;
    return reset;
}

void mv_pci_bus_write(struct mv_pci_bus *bus, unsigned address, unsigned offset, uint32_t value,
                      unsigned size)
{
    struct mv_pci_function *behind[MV_PCI_SLOTS];
    unsigned count = 0;
    {
        MV_LOCK_SCOPE(&bus->lock);
        struct mv_pci_function *f = find(bus, address);
        if (f != NULL) {
            mv_pci_config_write(f, offset, value, size);
            count = follow_write(f, offset, size, value, behind);
        }
    }
    /* They are there until this vCPU's access is over, also where one is unplugged now. */
    for (unsigned i = 0; i < count; i++)
        behind[i]->device.ops->reset(&behind[i]->device);
}
