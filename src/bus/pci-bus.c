/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_pci_bus: the slots of a bus, one function each, and the effects of
 * configuration writes: where BARs are mapped, interrupt lines, messages, who
 * may access memory.  The host bridge's bus is the root of those behind bridges;
 * its `lock` guards all of them and is taken before the space's and the
 * interrupt controller's.
 */
#include "pci.h"

#include "block.h"
#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

struct mv_pci_bus {
    struct mv_pci_bus *root;        /* the host bridge's bus, maybe itself */
    struct mv_pci_function *bridge; /* that it is behind; NULL for the root */
    struct mv_pci_route route;      /* what that lets through */
    bool reset_due;                 /* for what sits on it */
    struct mv_pci_function *slots[MV_PCI_SLOTS];
    /* The root's alone. */
    struct mv_pci_bus_params params;
    pthread_mutex_t lock;
    unsigned driven[MV_PCI_LINES]; /* by how many functions */
};

/* Nothing; the root's own bus has the number 0. */
static const struct mv_pci_route no_route = {1, 0, {{1, 0}, {1, 0}}};

int mv_pci_bus_create(const struct mv_pci_bus_params *params, struct mv_pci_bus **ret,
                      struct mv_error *err)
{
    struct mv_pci_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI bus");
    bus->root = bus;
    bus->params = *params;
    bus->route = no_route;
    bus->route.first_number = 0;
    for (size_t i = 0; i < sizeof params->windows / sizeof params->windows[0]; i++) {
        uint64_t gpa = params->windows[i].gpa, size = params->windows[i].size;
        if (size != 0) {
            bus->route.windows[i].first = gpa;
            bus->route.windows[i].last = gpa + (size - 1);
        }
    }
    pthread_mutex_init(&bus->lock, NULL);
    *ret = bus;
    return 0;
}

int mv_pci_bus_create_behind(struct mv_pci_function *function, struct mv_error *err)
{
    struct mv_pci_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the PCI bus");
    bus->bridge = function;
    bus->route = no_route;
    function->behind = bus;
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

pthread_mutex_t *mv_pci_bus_mutex(struct mv_pci_bus *bus)
{
    return &bus->root->lock;
}

/* The bus on the other side of its bridge; NULL for the root. */
static const struct mv_pci_bus *upstream(const struct mv_pci_bus *bus)
{
    return bus->bridge == NULL ? NULL : bus->bridge->bus;
}

/* Call fn for each function of the bus and of those behind its bridges. */
static void for_each(struct mv_pci_bus *bus, void (*fn)(struct mv_pci_function *f, void *opaque),
                     void *opaque)
{
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        struct mv_pci_function *f = bus->slots[i];
        if (f == NULL)
            continue;
        fn(f, opaque);
        if (f->behind != NULL)
            for_each(f->behind, fn, opaque);
    }
}

/* --- BARs */

static bool lets_through(const struct mv_pci_route *route, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < sizeof route->windows / sizeof route->windows[0]; i++) {
        uint64_t first = route->windows[i].first, last = route->windows[i].last;
        if (gpa >= first && gpa <= last && size - 1 <= last - gpa)
            return true;
    }
    return false;
}

/* Whether the host bridge, and every other one before the bus, forwards all of it. */
static bool is_forwarded(const struct mv_pci_bus *bus, uint64_t gpa, uint64_t size)
{
    while (bus != NULL && lets_through(&bus->route, gpa, size))
        bus = upstream(bus);
    return bus == NULL;
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
        mv_space_remove(bus->root->params.space, bar->gpa);
    bar->mapped = false;
}

/* Where something else stands already it stays unmapped, until that moves. */
static void map_bar(struct mv_pci_bus *bus, struct mv_pci_bar *bar, uint64_t gpa)
{
    struct mv_space *space = bus->root->params.space;
    struct mv_error ignored;
    int r;
    if (bar->block != NULL)
        r = mv_space_add_ram(space, gpa, bar->block, 0, bar->size, &ignored);
    else
        r = mv_space_add_mmio(space, gpa, bar->size, bar->region, &ignored);
    bar->mapped = r == 0;
    bar->gpa = gpa;
}

static void unmap_moved(struct mv_pci_function *f, void *opaque)
{
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        uint64_t gpa;
        if (!wanted(f, i, &gpa) || gpa != f->bars[i].gpa)
            unmap_bar(f->bus, &f->bars[i]);
    }
}

static void map_wanted(struct mv_pci_function *f, void *opaque)
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
    for_each(bus->root, unmap_moved, NULL);
    for_each(bus->root, map_wanted, NULL);
}

void mv_pci_bus_set_route(struct mv_pci_bus *bus, const struct mv_pci_route *route)
{
    if (memcmp(&bus->route, route, sizeof *route) == 0)
        return;
    bus->route = *route;
    remap(bus);
}

/* --- interrupts */

/* A bridge turns the pins of what is behind it by the slot (PCI-to-PCI Bridge, 1.2, 9.1). */
static unsigned line_of(const struct mv_pci_function *f)
{
    unsigned pin = f->slot;
    for (const struct mv_pci_bus *bus = f->bus; bus->bridge != NULL; bus = upstream(bus))
        pin += bus->bridge->slot;
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
    drive(f, f->intx_wanted && !disabled && !f->messages);
}

/* A message is a write, which goes to the interrupt controller's frame or nowhere. */
void mv_pci_bus_post(const struct mv_pci_function *function, uint64_t address, uint32_t data)
{
    const struct mv_pci_bus_params *params = &function->bus->root->params;
    const struct mv_mmio_region *region = params->msi_region;
    if (mv_dma_is_allowed(&function->dma) && address >= params->msi_gpa &&
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

/* --- access to memory */

/* Accesses of what sits on the bus get through bridges that may be masters themselves. */
static void update_masters(struct mv_pci_bus *bus, bool lets_out)
{
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        struct mv_pci_function *f = bus->slots[i];
        if (f == NULL)
            continue;
        bool may =
            lets_out && (mv_pci_config_read(f, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MASTER) != 0;
        mv_dma_allow(&f->dma, may);
        if (f->behind != NULL)
            update_masters(f->behind, may);
    }
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
    ret->behind = f->behind;
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

static void add_demand(struct mv_pci_function *f, void *opaque)
{
    mv_pci_demand_add(opaque, f);
}

int mv_pci_bus_plug(struct mv_pci_bus *bus, unsigned slot, struct mv_pci_function *function,
                    struct mv_error *err)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(bus));
    if (bus->slots[slot] != NULL)
        return mv_error_set(err, EBUSY,
                            "PCI slot %02x.0 holds a %s already: give another addr=", slot,
                            bus->slots[slot]->device.ops->type);
    struct mv_pci_demand demand = {0};
    mv_pci_demand_add(&demand, function);
    for_each(bus->root, add_demand, &demand);
    int r = mv_pci_windows_check(&bus->root->params, function, &demand, err);
    if (r < 0)
        return r;
    bus->slots[slot] = function;
    function->bus = bus;
    function->slot = slot;
    function->plugged = true;
    mv_dma_init(&function->dma, bus->root->params.space);
    if (function->behind != NULL)
        function->behind->root = bus->root;
    return 0;
}

/* The function's configuration space has changed, and it has done its own part. */
static void follow(struct mv_pci_function *f)
{
    if (f->ops != NULL && f->ops->follow != NULL)
        f->ops->follow(f);
    remap(f->bus);
    update_line(f);
}

static void restore_power_on(struct mv_pci_function *f)
{
    memcpy(f->config, f->power_on, sizeof f->config);
    f->intx_wanted = false;
    update_masters(f->bus->root, true);
    if (f->ops != NULL && f->ops->power_on != NULL)
        f->ops->power_on(f);
    follow(f);
}

/* Its DMA is over then: at power-on no function is a master. */
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
    if (!function->plugged)
        return;
    update_masters(function->bus->root, true);
    follow(function);
}

/* --- configuration accesses */

/* The bus that the guest has given this number; NULL where none has it. */
static const struct mv_pci_bus *find_bus(const struct mv_pci_bus *bus, unsigned number)
{
    while (bus != NULL && bus->route.first_number != number) {
        const struct mv_pci_bus *next = NULL;
        for (unsigned i = 0; i < MV_PCI_SLOTS && next == NULL; i++) {
            const struct mv_pci_bus *behind = bus->slots[i] == NULL ? NULL : bus->slots[i]->behind;
            if (behind != NULL && number >= behind->route.first_number &&
                number <= behind->route.last_number)
                next = behind;
        }
        bus = next;
    }
    return bus;
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

void mv_pci_bus_set_reset_due(struct mv_pci_bus *bus, bool due)
{
    bus->reset_due = due;
}

/* What sits behind a bridge and is to be reset; how many. */
static unsigned take_reset_due(const struct mv_pci_function *f, struct mv_pci_function **ret)
{
    unsigned count = 0;
    if (f->behind == NULL || !f->behind->reset_due)
        return 0;
    f->behind->reset_due = false;
    for (unsigned i = 0; i < MV_PCI_SLOTS; i++) {
        if (f->behind->slots[i] != NULL)
            ret[count++] = f->behind->slots[i];
    }
    return count;
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
            update_masters(bus, true);
            if (f->ops != NULL && f->ops->written != NULL)
                f->ops->written(f, offset, size, value);
            follow(f);
            count = take_reset_due(f, behind);
        }
    }
    /* They are there until this vCPU's access is over, also where one is unplugged now. */
    for (unsigned i = 0; i < count; i++)
        behind[i]->device.ops->reset(&behind[i]->device);
}
