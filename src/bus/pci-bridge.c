/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type 1 header: bus numbers, windows of memory that is forwarded to the
 * other side, and the reset of what is there.  No I/O window, since there is
 * no I/O space.  What the registers say is told to the bus on the other side
 * whenever they change.  Under the bus's lock once the bridge sits in a slot.
 */
#include "pci.h"

/* Offsets in the header (3.2). */
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
#define CONTROL_REST  0x3fu

#define WINDOW_UNIT UINT64_C(0x100000)

int mv_pci_bridge_init(struct mv_pci_bridge *bridge, const struct mv_device_ops *ops,
                       const struct mv_pci_ids *ids, struct mv_error *err)
{
    static const struct {
        uint8_t offset, size;
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
    };
    struct mv_pci_function *f = &bridge->function;
    mv_pci_function_init(f, ops, ids);
    /* A function's subsystem numbers stand where the windows are. */
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        mv_pci_config_define(f, registers[i].offset, registers[i].size, registers[i].value,
                             registers[i].writable);
    return mv_pci_bus_create_behind(f, err);
}

void mv_pci_bridge_clear(struct mv_pci_bridge *bridge)
{
    mv_pci_bus_destroy(bridge->function.behind);
    bridge->function.behind = NULL;
}

static uint64_t field(const struct mv_pci_bridge *bridge, unsigned offset, unsigned size)
{
    return mv_pci_config_get(&bridge->function, offset, size);
}

/* Bits 31 to 20 of the base and of the limit's last unit (3.2.5.8, 3.2.5.9). */
static uint64_t unit_of(uint64_t value, uint64_t high)
{
    return high << 32 | (value & 0xfff0) << 16;
}

/* 0 is the number before the guest gives one, and the host bridge's bus has it. */
void mv_pci_bridge_follow(struct mv_pci_bridge *bridge)
{
    struct mv_pci_route route = {1, 0, {{1, 0}, {1, 0}}};
    unsigned number = (unsigned)field(bridge, SECONDARY_NUMBER, 1);
    if (!bridge->shut && number != 0) {
        route.first_number = number;
        route.last_number = (unsigned)field(bridge, SUBORDINATE_NUMBER, 1);
    }
    if (!bridge->shut && (field(bridge, MV_PCI_COMMAND, 2) & MV_PCI_COMMAND_MEMORY) != 0) {
        uint64_t high = field(bridge, PREFETCH_BASE_HIGH, 4);
        uint64_t limit_high = field(bridge, PREFETCH_LIMIT_HIGH, 4);
        route.windows[0].first = unit_of(field(bridge, MEMORY_BASE, 2), 0);
        route.windows[0].last = unit_of(field(bridge, MEMORY_LIMIT, 2), 0) + (WINDOW_UNIT - 1);
        route.windows[1].first = unit_of(field(bridge, PREFETCH_BASE, 2), high);
        route.windows[1].last =
            unit_of(field(bridge, PREFETCH_LIMIT, 2), limit_high) + (WINDOW_UNIT - 1);
    }
    mv_pci_bus_set_route(bridge->function.behind, &route);
}

void mv_pci_bridge_written(struct mv_pci_bridge *bridge, unsigned offset, unsigned size,
                           uint32_t value)
{
    bool covers = offset <= BRIDGE_CONTROL && BRIDGE_CONTROL < offset + size;
    if (covers && (value >> 8 * (BRIDGE_CONTROL - offset) & CONTROL_RESET))
        mv_pci_bus_set_reset_due(bridge->function.behind, true);
}
