/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what is told of PCI devices (QEMU, qapi/pci.json). */
#include "qmp-types.h"

#define OBJECT(id, what, list)                                                                     \
    static const struct mv_qmp_type id = {.kind = MV_QMP_OBJECT, .name = what, .members = list}

/* A bridge's has devices in it again. */
static const struct mv_qmp_type devices;

static const struct mv_qmp_member range_members[] = {
    {"base", &mv_qmp_int}, {"limit", &mv_qmp_int}, {NULL}};
OBJECT(range, "PciMemoryRange", range_members);

static const struct mv_qmp_member region_members[] = {{"bar", &mv_qmp_int},
                                                      {"type", &mv_qmp_str},
                                                      {"address", &mv_qmp_int},
                                                      {"size", &mv_qmp_int},
                                                      {"prefetch", &mv_qmp_bool, true},
                                                      {"mem_type_64", &mv_qmp_bool, true},
                                                      {NULL}};
OBJECT(region, "PciMemoryRegion", region_members);
static const struct mv_qmp_type regions = {
    .kind = MV_QMP_ARRAY, .name = "PciMemoryRegionList", .element = &region};

static const struct mv_qmp_member bus_members[] = {{"number", &mv_qmp_int},
                                                   {"secondary", &mv_qmp_int},
                                                   {"subordinate", &mv_qmp_int},
                                                   {"io_range", &range},
                                                   {"memory_range", &range},
                                                   {"prefetchable_range", &range},
                                                   {NULL}};
OBJECT(bus, "PciBusInfo", bus_members);

static const struct mv_qmp_member bridge_members[] = {
    {"bus", &bus}, {"devices", &devices, true}, {NULL}};
OBJECT(bridge, "PciBridgeInfo", bridge_members);

static const struct mv_qmp_member class_members[] = {
    {"desc", &mv_qmp_str, true}, {"class", &mv_qmp_int}, {NULL}};
OBJECT(class, "PciDeviceClass", class_members);

static const struct mv_qmp_member id_members[] = {{"device", &mv_qmp_int},
                                                  {"vendor", &mv_qmp_int},
                                                  {"subsystem", &mv_qmp_int, true},
                                                  {"subsystem-vendor", &mv_qmp_int, true},
                                                  {NULL}};
OBJECT(id, "PciDeviceId", id_members);

static const struct mv_qmp_member device_members[] = {{"bus", &mv_qmp_int},
                                                      {"slot", &mv_qmp_int},
                                                      {"function", &mv_qmp_int},
                                                      {"class_info", &class},
                                                      {"id", &id},
                                                      {"irq", &mv_qmp_int, true},
                                                      {"irq_pin", &mv_qmp_int},
                                                      {"qdev_id", &mv_qmp_str},
                                                      {"pci_bridge", &bridge, true},
                                                      {"regions", &regions},
                                                      {NULL}};
OBJECT(device, "PciDeviceInfo", device_members);
static const struct mv_qmp_type devices = {
    .kind = MV_QMP_ARRAY, .name = "PciDeviceInfoList", .element = &device};

static const struct mv_qmp_member pci_members[] = {
    {"bus", &mv_qmp_int}, {"devices", &devices}, {NULL}};
OBJECT(pci, "PciInfo", pci_members);
const struct mv_qmp_type mv_type_pci_buses = {
    .kind = MV_QMP_ARRAY, .name = "PciInfoList", .element = &pci};
