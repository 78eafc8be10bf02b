/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI Express capability of a root port, and the life of its slot.  All
 * state that a guest sees is in the capability's registers, so that it is
 * saved with configuration space.
 */
#include "pcie-port.h"

#include "cleanup.h"
#include "pci-msi.h"

#define CAPABILITY_EXPRESS 0x10

/* Offsets in the capability (7.5.3). */
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

#define SLOT_CAP_BUTTON      (1u << 0)
#define SLOT_CAP_POWER       (1u << 1)
#define SLOT_CAP_ATTENTION   (1u << 3)
#define SLOT_CAP_POWER_LIGHT (1u << 4)
#define SLOT_CAP_HOTPLUG     (1u << 6)
#define SLOT_CAP_NUMBER      19

#define SLOT_BUTTON          (1u << 0) /* in control: is to interrupt; in status: has happened */
#define SLOT_PRESENCE        (1u << 3)
#define SLOT_COMMAND         (1u << 4)
#define SLOT_INTERRUPT       (1u << 5) /* control: any of them is to */
#define SLOT_ATTENTION_OFF   (3u << 6)
#define SLOT_LIGHT           (3u << 8) /* control: the power indicator */
#define SLOT_LIGHT_ON        (1u << 8)
#define SLOT_LIGHT_BLINKS    (2u << 8)
#define SLOT_LIGHT_OFF       (3u << 8)
#define SLOT_POWER_OFF       (1u << 10)
#define SLOT_LINK            (1u << 12) /* control: a change of the link is to interrupt */
#define STATUS_PRESENT       (1u << 6)
#define STATUS_LINK          (1u << 8)
#define STATUS_LINK_SHIFT    4 /* from its bit in status to that in control */

#define CONTROL_WRITABLE                                                                           \
    (SLOT_BUTTON | SLOT_PRESENCE | SLOT_COMMAND | SLOT_INTERRUPT | SLOT_ATTENTION_OFF |            \
     SLOT_LIGHT | SLOT_POWER_OFF | SLOT_LINK)
#define STATUS_EVENTS (SLOT_BUTTON | SLOT_PRESENCE | SLOT_COMMAND | STATUS_LINK)

static unsigned get(const struct mv_pcie_port *port, unsigned reg)
{
    return (unsigned)mv_pci_config_get(&port->bridge.function, port->express + reg, 2);
}

/* Change the bits of a 16-bit register that `mask` has. */
static void change(struct mv_pcie_port *port, unsigned reg, unsigned mask, unsigned value)
{
    mv_pci_config_set(&port->bridge.function, port->express + reg, 2,
                      (get(port, reg) & ~mask) | (value & mask));
}

static struct mv_pci_function *occupant(const struct mv_pcie_port *port)
{
    return mv_pci_bus_function(port->bridge.function.behind, 0);
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
    mv_pci_intx_set_locked(&port->bridge.function, port->event);
    if (port->event && !before)
        mv_pci_msi_send_locked(&port->bridge.function);
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
        mv_pci_bus_set_reset_due(port->bridge.function.behind, true);
    change(port, LINK_STATUS, LINK_ACTIVE, linked ? LINK_ACTIVE : 0);
    port->bridge.shut = !linked;
    mv_pci_bridge_follow(&port->bridge);
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
    mv_pci_bus_set_reset_due(port->bridge.function.behind, false);
}

/* --- what the guest writes */

/* The part of a write that goes to a 16-bit register of the capability, in place. */
static bool part_of(const struct mv_pcie_port *port, unsigned reg, unsigned offset, unsigned size,
                    uint32_t value, unsigned *ret_part)
{
    unsigned at = port->express + reg;
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
    mv_pci_bridge_written(&port->bridge, offset, size, value);
    if (part_of(port, SLOT_STATUS, offset, size, value, &part))
        change(port, SLOT_STATUS, part & STATUS_EVENTS, 0);
    if (part_of(port, SLOT_CONTROL, offset, size, value, &part))
        follow_control(port);
    update_link(port);
    update_event(port);
}

static void follow(struct mv_pci_function *function)
{
    mv_pci_messages_follow(function);
    mv_pci_bridge_follow((struct mv_pci_bridge *)function);
}

static const struct mv_pci_function_ops function_ops = {.written = written, .follow = follow};

/* --- making */

static void define_express(struct mv_pcie_port *port, unsigned slot_number)
{
    const struct {
        uint8_t offset, size;
        uint32_t value, writable;
    } registers[] = {
        {EXPRESS_FLAGS, 2, FLAGS_VERSION_2 | FLAGS_ROOT_PORT | FLAGS_SLOT, 0},
        {DEVICE_CAP, 4, DEVICE_CAP_ROLE_BASED_ERRORS, 0},
        {DEVICE_CONTROL, 2, 0, 0x001f},
        {LINK_CAP, 4, LINK_SPEED_2_5GT | LINK_WIDTH_1 | LINK_CAP_TELLS_STATE, 0},
        {LINK_CONTROL, 2, 0, 0x00d3},
        {LINK_STATUS, 2, LINK_SPEED_2_5GT | LINK_WIDTH_1, 0},
        {SLOT_CAP, 4,
         SLOT_CAP_BUTTON | SLOT_CAP_POWER | SLOT_CAP_ATTENTION | SLOT_CAP_POWER_LIGHT |
             SLOT_CAP_HOTPLUG | slot_number << SLOT_CAP_NUMBER,
         0},
        {SLOT_CONTROL, 2, SLOT_ATTENTION_OFF | SLOT_LIGHT_OFF | SLOT_POWER_OFF, CONTROL_WRITABLE},
        {ROOT_CONTROL, 2, 0, 0x000f},
        {DEVICE_CONTROL2, 2, 0, 0x001f},
        {LINK_CAP2, 4, LINK_SPEED_2_5GT << 1, 0},
        {LINK_CONTROL2, 2, LINK_SPEED_2_5GT, 0x000f},
    };
    port->express =
        mv_pci_capability_add(&port->bridge.function, CAPABILITY_EXPRESS, EXPRESS_SIZE);
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        mv_pci_config_define(&port->bridge.function, port->express + registers[i].offset,
                             registers[i].size, registers[i].value, registers[i].writable);
    mv_pci_config_own(&port->bridge.function, port->express + LINK_STATUS, 2, LINK_ACTIVE);
    mv_pci_config_own(&port->bridge.function, port->express + SLOT_STATUS, 2,
                      STATUS_EVENTS | STATUS_PRESENT);
}

int mv_pcie_port_init(struct mv_pcie_port *port, const struct mv_device_ops *ops,
                      const struct mv_pci_ids *ids, const struct mv_pcie_place *place,
                      mv_pcie_eject_fn *eject, void *eject_opaque, struct mv_error *err)
{
    int r = mv_pci_bridge_init(&port->bridge, ops, ids, err);
    if (r < 0)
        return r;
    mv_pci_msi_add(&port->bridge.function);
    define_express(port, place->slot_number);
    port->place = *place;
    port->bridge.function.ops = &function_ops;
    port->bridge.shut = true;
    port->eject = eject;
    port->eject_opaque = eject_opaque;
    port->control = (uint16_t)get(port, SLOT_CONTROL);
    return 0;
}

void mv_pcie_port_reset(struct mv_pcie_port *port)
{
    mv_pci_function_reset(&port->bridge.function);
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
    if (occupant(port) != NULL) {
        change(port, SLOT_CONTROL, SLOT_LIGHT | SLOT_POWER_OFF, SLOT_LIGHT_ON);
        change(port, SLOT_STATUS, STATUS_PRESENT, STATUS_PRESENT);
    }
    port->control = (uint16_t)get(port, SLOT_CONTROL);
    update_link(port);
    change(port, SLOT_STATUS, STATUS_EVENTS, 0);
    mv_pci_bus_set_reset_due(port->bridge.function.behind, false);
    port->event = false;
}

/* --- loading */

int mv_pcie_port_check(const struct mv_pcie_port *port, struct mv_error *err)
{
    bool is_there = occupant(port) != NULL;
    int r = mv_pci_function_check(&port->bridge.function, err);
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
void mv_pcie_port_loaded(struct mv_pcie_port *port)
{
    {
        MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
        port->control = (uint16_t)get(port, SLOT_CONTROL);
        port->bridge.shut = !is_linked(port);
        mv_pci_bus_set_reset_due(port->bridge.function.behind, false);
        port->event = is_event_due(port);
        mv_pci_intx_set_locked(&port->bridge.function, port->event);
    }
    mv_pci_function_loaded(&port->bridge.function);
}

/* --- coming and going */

void mv_pcie_port_inserted(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
    update_presence(port);
    change(port, SLOT_STATUS, SLOT_BUTTON, SLOT_BUTTON);
    update_event(port);
}

enum mv_pcie_removal mv_pcie_port_remove(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
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
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
    if (occupant(port) != NULL)
        take_out(port);
    update_event(port);
}

struct mv_device *mv_pcie_port_gone(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
    return port->gone;
}

struct mv_device *mv_pcie_port_collect(struct mv_pcie_port *port)
{
    MV_LOCK_SCOPE(mv_pci_bus_mutex(port->bridge.function.behind));
    struct mv_device *gone = port->gone;
    port->gone = NULL;
    return gone;
}
