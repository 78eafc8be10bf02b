/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what tells of memory. */
#include "qmp-types.h"

#define OBJECT(id, what, list)                                                                     \
    const struct mv_qmp_type id = {.kind = MV_QMP_OBJECT, .name = what, .members = list}

static const struct mv_qmp_member summary_members[] = {
    {"base-memory", &mv_qmp_uint}, {"plugged-memory", &mv_qmp_uint, true}, {NULL}};
OBJECT(mv_type_memory_size_summary, "MemoryInfo", summary_members);

/* No device of these kinds is built yet: the list is empty, and no kind has members. */
static const char *const device_values[] = {"dimm",       "nvdimm",  "virtio-pmem",
                                            "virtio-mem", "sgx-epc", NULL};
static const struct mv_qmp_type device_kind = {
    .kind = MV_QMP_ENUM, .name = "MemoryDeviceInfoKind", .values = device_values};
static const struct mv_qmp_member device_members[] = {{"type", &device_kind}, {NULL}};
static const struct mv_qmp_variant device_variants[] = {{NULL}};
static const struct mv_qmp_type memory_device = {.kind = MV_QMP_OBJECT,
                                                 .name = "MemoryDeviceInfo",
                                                 .members = device_members,
                                                 .tag = "type",
                                                 .variants = device_variants};
const struct mv_qmp_type mv_type_memory_devices = {
    .kind = MV_QMP_ARRAY, .name = "MemoryDeviceInfoList", .element = &memory_device};

static const struct mv_qmp_member pmemsave_members[] = {
    {"val", &mv_qmp_uint}, {"size", &mv_qmp_uint}, {"filename", &mv_qmp_str}, {NULL}};
OBJECT(mv_type_pmemsave_args, "q_obj_pmemsave-arg", pmemsave_members);

/* --- our own */

static const char *const range_values[] = {"ram", "mmio", "reserved", NULL};
static const struct mv_qmp_type range_kind = {
    .kind = MV_QMP_ENUM, .name = "SpaceRangeKind", .values = range_values};
/* A RAM range shows `size` bytes of the block `name` from `offset` on. */
static const struct mv_qmp_member range_members[] = {
    {"kind", &range_kind}, {"gpa", &mv_qmp_uint},          {"size", &mv_qmp_uint},
    {"name", &mv_qmp_str}, {"offset", &mv_qmp_uint, true}, {NULL}};
static OBJECT(space_range, "SpaceRange", range_members);
const struct mv_qmp_type mv_type_space_ranges = {
    .kind = MV_QMP_ARRAY, .name = "SpaceRangeList", .element = &space_range};
