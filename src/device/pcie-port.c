/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of type 1, the PCI Express capability of a root port, and the life of
 * its slot.  All state that a guest sees is in registers, so that it is saved with
 * configuration space; what they say of bus numbers and windows is told to the bus
 * on the other side whenever they change.  No I/O window, since there is no I/O
 * space.
 */
#include "pcie-port.h"

#include "cleanup.h"
#include "pci-devices.h"
#include "pci-msi.h"

/* Offsets in the header (PCI-to-PCI Bridge, 3.2). */
#define HEADER_TYPE         0x0e
#define PRIMARY_NUMBER      0x18
#define SECONDARY_NUMBER    0x19
#define SUBORDINATE_NUMBER  0x1a
#define MEMORY_BASE         0x20
#define MEMORY_LIMIT        0x22
#define PREFETCH_BASE       0x24
#define PREFETCH_LIMIT      0x26
#define PREFETCH_BASE_HIGH  0x28
#define PREFETCH_LIMIT_HIGH 0x2c
#define BRIDGE_CONTROL      0x3e

#define TYPE_BRIDGE   0x01
#define PREFETCH_64   0x01 /* in base and limit: the high halves are there */
#define CONTROL_RESET (1u << 6)
/* What a guest may set that means nothing here: parity, SERR#, ISA, VGA, master aborts. */
#define CONTROL_REST 0x3fu

#define WINDOW_UNIT UINT64_C(0x100000)

#define CAPABILITY_EXPRESS 0x10

/* Offsets in the capability (PCI Express, 7.5.3). */
#define EXPRESS_FLAGS   0x02
#define DEVICE_CAP      0x04
#define DEVICE_CONTROL  0x08
#define LINK_CAP        0x0c
#define LINK_CONTROL    0x10
#define LINK_STATUS     0x12
#define SLOT_CAP        0x14
#define SLOT_CONTROL    0x18
#define SLOT_STATUS     0x1a
#define ROOT_CONTROL    0x1c
#define DEVICE_CONTROL2 0x28
#define LINK_CAP2       0x2c
#define LINK_CONTROL2   0x30
#define EXPRESS_SIZE    0x3c

#define FLAGS_VERSION_2 2u
#define FLAGS_ROOT_PORT (4u << 4)
#define FLAGS_SLOT      (1u << 8)

#define DEVICE_CAP_ROLE_BASED_ERRORS (1u << 15)

#define LINK_SPEED_2_5GT     1u
#define LINK_WIDTH_1         (1u << 4)
#define LINK_CAP_TELLS_STATE (1u << 20) /* data link layer link active */
#define LINK_DISABLE         (1u << 4)
#define LINK_ACTIVE          (1u << 13)

/* A button, a power controller, an attention and a power indicator, hot-plug. */
#define SLOT_CAP_BITS   (1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 6)
#define SLOT_CAP_NUMBER 19

#define SLOT_BUTTON        (1u << 0) /* in control: is to interrupt; in status: has happened */
#define SLOT_PRESENCE      (1u << 3)
#define SLOT_COMMAND       (1u << 4)
#define SLOT_INTERRUPT     (1u << 5) /* control: any of them is to */
#define SLOT_ATTENTION_OFF (3u << 6)
#define SLOT_LIGHT         (3u << 8) /* control: the power indicator */
#define SLOT_LIGHT_ON      (1u << 8)
#define SLOT_LIGHT_BLINKS  (2u << 8)
#define SLOT_LIGHT_OFF     (3u << 8)
#define SLOT_POWER_OFF     (1u << 10)
#define SLOT_LINK          (1u << 12) /* control: a change of the link is to interrupt */
#define STATUS_PRESENT     (1u << 6)
#define STATUS_LINK        (1u << 8)
#define STATUS_LINK_SHIFT  4 /* from its bit in status to that in control */

#define CONTROL_WRITABLE                                                                           \
    (SLOT_BUTTON | SLOT_PRESENCE | SLOT_COMMAND | SLOT_INTERRUPT | SLOT_ATTENTION_OFF |            \
     SLOT_LIGHT | SLOT_POWER_OFF | SLOT_LINK)
#define STATUS_EVENTS (SLOT_BUTTON | SLOT_PRESENCE | SLOT_COMMAND | STATUS_LINK)

static unsigned get(const struct mv_pcie_port *port, unsigned reg)
{
    return (unsigned)mv_pci_config_get(&port->function, port->express + reg, 2);
}

/* Change the bits of a 16-bit register that `mask` has. */
static void change(struct mv_pcie_port *port, unsigned reg, unsigned mask, unsigned value)
{
    mv_pci_config_set(&port->function, port->express + reg, 2,
                      (get(port, reg) & ~mask) | (value & mask));
}

static struct mv_pci_function *occupant(const struct mv_pcie_port *port)
{
    return mv_pci_bus_function(port->function.behind, 0);
}

/* --- the bus behind it */

static uint64_t field(const struct mv_pcie_port *port, unsigned offset, unsigned size)
{
    return mv_pci_config_get(&port->function, offset, size);
}

/* Bits 31 to 20 of the base and of the limit's last unit (3.2.5.8, 3.2.5.9). */
static uint64_t unit_of(uint64_t value, uint64_t high)
{
    return high << 32 | (value & 0xfff0) << 16;
}

/* 0 is the number before the guest gives one, and the host bridge's bus has it. */
static void follow_bridge(struct mv_pcie_port *port)
{
    struct mv_pci_route route = {1, 0, {{1, 0}, {1, 0}}};
    bool linked = get(port, LINK_STATUS) & LINK_ACTIVE;
    unsigned number = (unsigned)field(port, SECONDARY_NUMBER, 1);
    if (linked && number != 0) {
        route.first_number = number;
        route.last_number = (unsigned)field(port, SUBORDINATE_NUMBER, 1);
    }
    if (linked && (field(port, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MEMORY) != 0) {
        uint64_t high = field(port, PREFETCH_BASE_HIGH, 4);
        uint64_t limit_high = field(port, PREFETCH_LIMIT_HIGH, 4);
        route.windows[0].first = unit_of(field(port, MEMORY_BASE, 2), 0);
        route.windows[0].last = unit_of(field(port, MEMORY_LIMIT, 2), 0) + (WINDOW_UNIT - 1);
        route.windows[1].first = unit_of(field(port, PREFETCH_BASE, 2), high);
        route.windows[1].last =
            unit_of(field(port, PREFETCH_LIMIT, 2), limit_high) + (WINDOW_UNIT - 1);
    }
    mv_pci_bus_set_route(port->function.behind, &route);
}

/* --- events */

/* Whether any event stands that is to interrupt (6.7.3.4). */
static bool is_event_due(const struct mv_pcie_port *port)
{
    unsigned control = get(port, SLOT_CONTROL), status = get(port, SLOT_STATUS);
    unsigned wanted = control & (SLOT_BUTTON | SLOT_PRESENCE | SLOT_COMMAND);
    if (control & SLOT_LINK)
        wanted |= SLOT_LINK >> STATUS_LINK_SHIFT;
    return (control & SLOT_INTERRUPT) && (status & wanted);
}

/* A message goes out when an interrupt becomes due; the line follows it. */
static void update_event(struct mv_pcie_port *port)
{
    bool before = port->event;
    port->event = is_event_due(port);
    mv_pci_intx_set_locked(&port->function, port->event);
    if (port->event && !before)
        mv_pci_msi_send_locked(&port->function);
}

/* The link is there while the slot has a device and power and the guest wants it. */
static bool is_linked(const struct mv_pcie_port *port)
{
    return occupant(port) != NULL && !(get(port, SLOT_CONTROL) & SLOT_POWER_OFF) &&
           !(get(port, LINK_CONTROL) & LINK_DISABLE);
}

/* What loses the link is reset, and not to be reached. */
static void update_link(struct mv_pcie_port *port)
{
    bool linked = is_linked(port), before = get(port, LINK_STATUS) & LINK_ACTIVE;
    if (linked != before)
        change(port, SLOT_STATUS, STATUS_LINK, STATUS_LINK);
    if (before && !linked)
        mv_pci_bus_set_reset_due(port->function.behind, true);
    change(port, LINK_STATUS, LINK_ACTIVE, linked ? LINK_ACTIVE : 0);
    follow_bridge(port);
}

static void update_presence(struct mv_pcie_port *port)
{
    change(port, SLOT_STATUS, STATUS_PRESENT | SLOT_PRESENCE,
           (occupant(port) != NULL ? STATUS_PRESENT : 0) | SLOT_PRESENCE);
    update_link(port);
}

static void take_out(struct mv_pcie_port *port)
{
    struct mv_pci_function *function = occupant(port);
    mv_pci_bus_unplug_locked(function);
    port->gone = &function->device;
    update_presence(port);
    mv_pci_bus_set_reset_due(port->function.behind, false);
}

/* --- what the guest writes */

/* The part of a write that goes to the 16-bit register at `at`, in place. */
static bool part_of(unsigned at, unsigned offset, unsigned size, uint32_t value, unsigned *ret_part)
{
    if (offset >= at + 2 || offset + size <= at)
        return false;
    uint64_t wide = (uint64_t)value & (UINT64_MAX >> (64 - 8 * size));
    *ret_part = (unsigned)(offset < at ? wide >> 8 * (at - offset) : wide << 8 * (offset - at));
    *ret_part &= 0xffff;
    return true;
}

static bool is_let_go(unsigned control)
{
    return (control & SLOT_POWER_OFF) && (control & SLOT_LIGHT) == SLOT_LIGHT_OFF;
}

/* A guest has done with a device when it has switched off the slot's power and then its light. */
static void follow_control(struct mv_pcie_port *port)
{
    unsigned control = get(port, SLOT_CONTROL), before = port->control;
    port->control = (uint16_t)control;
    change(port, SLOT_STATUS, SLOT_COMMAND, SLOT_COMMAND);
    if (occupant(port) != NULL && is_let_go(control) && !is_let_go(before)) {
        take_out(port);
        port->eject(port->eject_opaque);
    }
}

static void written(struct mv_pci_function *function, unsigned offset, unsigned size,
                    uint32_t value)
{
    struct mv_pcie_port *port = (struct mv_pcie_port *)function;
    unsigned part;
    if (part_of(BRIDGE_CONTROL, offset, size, value, &part) && (part & CONTROL_RESET))
        mv_pci_bus_set_reset_due(function->behind, true);
    if (part_of(port->express + SLOT_STATUS, offset, size, value, &part))
        change(port, SLOT_STATUS, part & STATUS_EVENTS, 0);
    if (part_of(port->express + SLOT_CONTROL, offset, size, value, &part))
        follow_control(port);
    update_link(port);
    update_event(port);
}

static void follow(struct mv_pci_function *function)
{
    mv_pci_messages_follow(function);
    follow_bridge((struct mv_pcie_port *)function);
}

static const struct mv_pci_function_ops function_ops = {.written = written, .follow = follow};

/* --- coming and going */

void mv_pcie_port_inserted(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    update_presence(port);
    change(port, SLOT_STATUS, SLOT_BUTTON, SLOT_BUTTON);
    update_event(port);
}

enum mv_pcie_removal mv_pcie_port_remove(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    unsigned control = get(port, SLOT_CONTROL);
    if (occupant(port) == NULL)
        return MV_PCIE_REMOVED;
    if ((control & SLOT_LIGHT) == SLOT_LIGHT_BLINKS)
        return MV_PCIE_BUSY;
    if (control & SLOT_POWER_OFF) {
        take_out(port);
        update_event(port);
        return MV_PCIE_REMOVED;
    }
    change(port, SLOT_STATUS, SLOT_BUTTON, SLOT_BUTTON);
    update_event(port);
    return MV_PCIE_ASKED;
}

void mv_pcie_port_take(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    if (occupant(port) != NULL)
        take_out(port);
    update_event(port);
}

struct mv_device *mv_pcie_port_gone(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    return port->gone;
}

struct mv_device *mv_pcie_port_collect(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    struct mv_device *gone = port->gone;
    port->gone = NULL;
    return gone;
}

/* --- the device */

/* Power-on values: the slot has power where something is in it. */
static void reset(struct mv_device *device)
{
    struct mv_pcie_port *port = (struct mv_pcie_port *)device;
    mv_pci_function_reset(&port->function);
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
    if (occupant(port) != NULL) {
        change(port, SLOT_CONTROL, SLOT_LIGHT | SLOT_POWER_OFF, SLOT_LIGHT_ON);
        change(port, SLOT_STATUS, STATUS_PRESENT, STATUS_PRESENT);
    }
    port->control = (uint16_t)get(port, SLOT_CONTROL);
    update_link(port);
    change(port, SLOT_STATUS, STATUS_EVENTS, 0);
    mv_pci_bus_set_reset_due(port->function.behind, false);
    port->event = false;
}

static void destroy(struct mv_device *device)
{
    struct mv_pci_function *function = (struct mv_pci_function *)device;
    mv_pci_bus_unplug(function);
    mv_pci_bus_destroy(function->behind);
}

static const struct mv_state_field state_fields[] = {
    MV_PCI_STATE_FIELD(struct mv_pcie_port, function),
    MV_STATE_FLAG("removal-asked", struct mv_pcie_port, asked),
    MV_STATE_ANY("removal-asked-ns", struct mv_pcie_port, asked_ns, MV_STATE_U64),
};

/* Does the slot's status say what is in it? */
static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_pcie_port *port = object;
    bool is_there = occupant(port) != NULL;
    int r = mv_pci_function_check(&port->function, err);
    if (r < 0)
        return r;
    if (is_there != ((get(port, SLOT_STATUS) & STATUS_PRESENT) != 0))
        return mv_state_refuse(err, "config", "slot status 0x%x, and the slot is %s",
                               get(port, SLOT_STATUS), is_there ? "taken" : "empty");
    if (is_linked(port) != ((get(port, LINK_STATUS) & LINK_ACTIVE) != 0))
        return mv_state_refuse(err, "config", "link status 0x%x, and the link is %s",
                               get(port, LINK_STATUS), is_linked(port) ? "up" : "down");
    if (port->asked && !is_there)
        return mv_state_refuse(err, "removal-asked", "the slot is empty");
    return 0;
}

/* The guest was told already of what stands in the slot's status. */
static void state_loaded(void *object)
{
    struct mv_pcie_port *port = object;
    {
        MV_LOCK_SCOPE(mv_pci_bus_mutex(port->function.behind));
        port->control = (uint16_t)get(port, SLOT_CONTROL);
        mv_pci_bus_set_reset_due(port->function.behind, false);
        port->event = is_event_due(port);
        mv_pci_intx_set_locked(&port->function, port->event);
    }
    mv_pci_function_loaded(&port->function);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_pcie_port, "pcie-root-port", 1, state_fields,
                   .lock = mv_pci_function_mutex, .check = check_state, .loaded = state_loaded);

static const struct mv_device_ops device_ops = {"pcie-root-port", &state_table, reset, destroy};

static void define_registers(struct mv_pcie_port *port)
{
    struct mv_pci_function *f = &port->function;
    unsigned at = mv_pci_capability_add(f, CAPABILITY_EXPRESS, EXPRESS_SIZE);
    /* A function's subsystem numbers stand where the windows are. */
    const struct {
        unsigned offset, size;
        uint32_t value, writable;
    } registers[] = {
        {HEADER_TYPE, 1, TYPE_BRIDGE, 0},
        {PRIMARY_NUMBER, 1, 0, 0xff},
        {SECONDARY_NUMBER, 1, 0, 0xff},
        {SUBORDINATE_NUMBER, 1, 0, 0xff},
        {MEMORY_BASE, 2, 0, 0xfff0},
        {MEMORY_LIMIT, 2, 0, 0xfff0},
        {PREFETCH_BASE, 2, PREFETCH_64, 0xfff0},
        {PREFETCH_LIMIT, 2, PREFETCH_64, 0xfff0},
        {PREFETCH_BASE_HIGH, 4, 0, UINT32_MAX},
        {PREFETCH_LIMIT_HIGH, 4, 0, UINT32_MAX},
        {BRIDGE_CONTROL, 2, 0, CONTROL_REST | CONTROL_RESET},
        {at + EXPRESS_FLAGS, 2, FLAGS_VERSION_2 | FLAGS_ROOT_PORT | FLAGS_SLOT, 0},
        {at + DEVICE_CAP, 4, DEVICE_CAP_ROLE_BASED_ERRORS, 0},
        {at + DEVICE_CONTROL, 2, 0, 0x001f},
        {at + LINK_CAP, 4, LINK_SPEED_2_5GT | LINK_WIDTH_1 | LINK_CAP_TELLS_STATE, 0},
        {at + LINK_CONTROL, 2, 0, 0x00d3},
        {at + LINK_STATUS, 2, LINK_SPEED_2_5GT | LINK_WIDTH_1, 0},
        {at + SLOT_CAP, 4, SLOT_CAP_BITS | port->place.slot_number << SLOT_CAP_NUMBER, 0},
        {at + SLOT_CONTROL, 2, SLOT_ATTENTION_OFF | SLOT_LIGHT_OFF | SLOT_POWER_OFF,
         CONTROL_WRITABLE},
        {at + ROOT_CONTROL, 2, 0, 0x000f},
        {at + DEVICE_CONTROL2, 2, 0, 0x001f},
        {at + LINK_CAP2, 4, LINK_SPEED_2_5GT << 1, 0},
        {at + LINK_CONTROL2, 2, LINK_SPEED_2_5GT, 0x000f},
    };
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        mv_pci_config_define(f, registers[i].offset, registers[i].size, registers[i].value,
                             registers[i].writable);
    mv_pci_config_own(f, at + LINK_STATUS, 2, LINK_ACTIVE);
    mv_pci_config_own(f, at + SLOT_STATUS, 2, STATUS_EVENTS | STATUS_PRESENT);
    port->express = (uint8_t)at;
}

int mv_pci_root_port_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                            struct mv_error *err)
{
    static const struct mv_pci_ids ids = {
        .vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400 /* bridge */, .interrupt = true};
    struct mv_pcie_port *port = mv_device_alloc(sizeof *port, &device_ops, NULL, NULL, err);
    if (port == NULL)
        return -ENOMEM;
    mv_pci_function_init(&port->function, &device_ops, &ids);
    mv_pci_msi_add(&port->function);
    port->function.ops = &function_ops;
    port->place = params->place;
    port->eject = params->eject;
    port->eject_opaque = params->eject_opaque;
    define_registers(port);
    port->control = (uint16_t)get(port, SLOT_CONTROL);
    int r = mv_pci_bus_create_behind(&port->function, err);
    if (r < 0) {
        mv_device_destroy(&port->function.device);
        return r;
    }
    *ret = &port->function;
    return 0;
}

struct mv_pcie_port *mv_pci_root_port_of(struct mv_device *device)
{
    return device->ops == &device_ops ? (struct mv_pcie_port *)device : NULL;
}
