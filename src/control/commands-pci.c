/* SPDX-License-Identifier: Apache-2.0 */
/* query-pci: PCI devices as the guest has set them up (QEMU, qapi/pci.json).  Main thread. */
#include "machine.h"
#include "pci.h"
#include "qmp-command.h"

#include <linux/pci_regs.h>

/* --- types */

/* A bridge's has devices in it again. */
static const struct mv_qmp_type devices_type;

MV_QMP_OBJECT_TYPE(range_type, "PciMemoryRange", {"base", &mv_qmp_int}, {"limit", &mv_qmp_int});

MV_QMP_OBJECT_TYPE(region_type, "PciMemoryRegion", {"bar", &mv_qmp_int}, {"type", &mv_qmp_str},
                   {"address", &mv_qmp_int}, {"size", &mv_qmp_int},
                   {"prefetch", &mv_qmp_bool, true}, {"mem_type_64", &mv_qmp_bool, true});
MV_QMP_LIST_TYPE(regions_type, "PciMemoryRegionList", region_type);

MV_QMP_OBJECT_TYPE(bus_type, "PciBusInfo", {"number", &mv_qmp_int}, {"secondary", &mv_qmp_int},
                   {"subordinate", &mv_qmp_int}, {"io_range", &range_type},
                   {"memory_range", &range_type}, {"prefetchable_range", &range_type});

MV_QMP_OBJECT_TYPE(bridge_type, "PciBridgeInfo", {"bus", &bus_type},
                   {"devices", &devices_type, true});

MV_QMP_OBJECT_TYPE(class_type, "PciDeviceClass", {"desc", &mv_qmp_str, true},
                   {"class", &mv_qmp_int});

MV_QMP_OBJECT_TYPE(id_type, "PciDeviceId", {"device", &mv_qmp_int}, {"vendor", &mv_qmp_int},
                   {"subsystem", &mv_qmp_int, true}, {"subsystem-vendor", &mv_qmp_int, true});

MV_QMP_OBJECT_TYPE(device_type, "PciDeviceInfo", {"bus", &mv_qmp_int}, {"slot", &mv_qmp_int},
                   {"function", &mv_qmp_int}, {"class_info", &class_type}, {"id", &id_type},
                   {"irq", &mv_qmp_int, true}, {"irq_pin", &mv_qmp_int}, {"qdev_id", &mv_qmp_str},
                   {"pci_bridge", &bridge_type, true}, {"regions", &regions_type});
MV_QMP_LIST_TYPE(devices_type, "PciDeviceInfoList", device_type);

MV_QMP_OBJECT_TYPE(pci_type, "PciInfo", {"bus", &mv_qmp_int}, {"devices", &devices_type});
MV_QMP_LIST_TYPE(pci_buses_type, "PciInfoList", pci_type);

/* --- commands */

static json_int_t get(const struct mv_pci_info *info, unsigned offset, unsigned size)
{
    json_int_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (json_int_t)info->header[offset + i] << 8 * i;
    return value;
}

static json_t *describe_id(const struct mv_pci_info *info)
{
    json_t *id = json_pack("{s:I, s:I}", "vendor", get(info, PCI_VENDOR_ID, 2), "device",
                           get(info, PCI_DEVICE_ID, 2));
    if (info->behind == NULL) {
        json_object_set_new(id, "subsystem-vendor",
                            json_integer(get(info, PCI_SUBSYSTEM_VENDOR_ID, 2)));
        json_object_set_new(id, "subsystem", json_integer(get(info, PCI_SUBSYSTEM_ID, 2)));
    }
    return id;
}

static json_t *describe_bars(const struct mv_pci_info *info)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < MV_PCI_BARS; i++) {
        const struct mv_pci_bar *bar = &info->bars[i];
        if (bar->size == 0)
            continue;
        json_int_t address = bar->mapped ? (json_int_t)bar->gpa : -1;
        bool prefetch = get(info, MV_PCI_BAR0 + 4 * i, 1) & 8;
        json_array_append_new(list,
                              json_pack("{s:i, s:s, s:I, s:I, s:b, s:b}", "bar", (int)i, "type",
                                        "memory", "address", address, "size", (json_int_t)bar->size,
                                        "prefetch", prefetch, "mem_type_64", bar->wide));
    }
    return list;
}

static json_t *describe_range(json_int_t base, json_int_t limit)
{
    return json_pack("{s:I, s:I}", "base", base, "limit", limit);
}

/* A window of memory: bits from 20 on of its ends, and maybe those from 32 on. */
static json_t *describe_window(const struct mv_pci_info *info, unsigned base, unsigned limit,
                               json_int_t high_base, json_int_t high_limit)
{
    return describe_range((get(info, base, 2) & 0xfff0) << 16 | high_base << 32,
                          (get(info, limit, 2) & 0xfff0) << 16 | 0xfffff | high_limit << 32);
}

static json_t *list_bus(struct mv_pci_bus *bus, json_int_t number);

static json_t *describe_bridge(const struct mv_pci_info *info)
{
    json_int_t secondary = get(info, PCI_SECONDARY_BUS, 1);
    json_t *bridge = json_pack(
        "{s:{s:I, s:I, s:I, s:o, s:o, s:o}}", "bus", "number", get(info, PCI_PRIMARY_BUS, 1),
        "secondary", secondary, "subordinate", get(info, PCI_SUBORDINATE_BUS, 1), "io_range",
        describe_range((get(info, PCI_IO_BASE, 1) & 0xf0) << 8,
                       (get(info, PCI_IO_LIMIT, 1) & 0xf0) << 8 | 0xfff),
        "memory_range", describe_window(info, PCI_MEMORY_BASE, PCI_MEMORY_LIMIT, 0, 0),
        "prefetchable_range",
        describe_window(info, PCI_PREF_MEMORY_BASE, PCI_PREF_MEMORY_LIMIT,
                        get(info, PCI_PREF_BASE_UPPER32, 4), get(info, PCI_PREF_LIMIT_UPPER32, 4)));
    /* Until the guest has given the bus a number, nobody can reach what is on it. */
    if (secondary != 0)
        json_object_set_new(bridge, "devices", list_bus(info->behind, secondary));
    return bridge;
}

static json_t *describe_function(const struct mv_pci_info *info, json_int_t bus, unsigned slot)
{
    json_int_t pin = get(info, MV_PCI_INTERRUPT_PIN, 1);
    json_t *function =
        json_pack("{s:I, s:i, s:i, s:{s:I}, s:o, s:I, s:s, s:o}", "bus", bus, "slot", (int)slot,
                  "function", 0, "class_info", "class", get(info, PCI_CLASS_DEVICE, 2), "id",
                  describe_id(info), "irq_pin", pin, "qdev_id", info->id == NULL ? "" : info->id,
                  "regions", describe_bars(info));
    if (pin != 0)
        json_object_set_new(function, "irq", json_integer(get(info, MV_PCI_INTERRUPT_LINE, 1)));
    if (info->behind != NULL)
        json_object_set_new(function, "pci_bridge", describe_bridge(info));
    return function;
}

static json_t *list_bus(struct mv_pci_bus *bus, json_int_t number)
{
    json_t *list = json_array();
    for (unsigned slot = 0; slot < MV_PCI_SLOTS; slot++) {
        struct mv_pci_info info;
        if (mv_pci_bus_describe(bus, slot, &info))
            json_array_append_new(list, describe_function(&info, number, slot));
    }
    return list;
}

static int query_pci(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_pci_bus *bus = mv_machine_pci_bus(call->machine);
    call->result = bus == NULL ? json_array()
                               : json_pack("[{s:i, s:o}]", "bus", 0, "devices", list_bus(bus, 0));
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_pci[] = {
    {"query-pci", &mv_qmp_empty, &pci_buses_type, query_pci, MV_QMP_MADE},
    {NULL},
};
