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

static const char *const block_error_values[] = {"shrunk", "no-space", "no-huge-page", "io-error",
                                                 NULL};
static const struct mv_qmp_type block_error_reason = {
    .kind = MV_QMP_ENUM, .name = "XBlockErrorReason", .values = block_error_values};
static const struct mv_qmp_member block_error_members[] = {
    {"id", &mv_qmp_str},          {"offset", &mv_qmp_uint},          {"file", &mv_qmp_str, true},
    {"reason", &block_error_reason}, {"message", &mv_qmp_str}, {NULL}};
OBJECT(mv_type_block_error_data, "q_obj_X_BLOCK_ERROR-arg", block_error_members);

static const struct mv_qmp_member pmemsave_members[] = {
    {"val", &mv_qmp_uint}, {"size", &mv_qmp_uint}, {"filename", &mv_qmp_str}, {NULL}};
OBJECT(mv_type_pmemsave_args, "q_obj_pmemsave-arg", pmemsave_members);

static const char *const policy_values[] = {"default", "preferred", "bind", "interleave", NULL};
static const struct mv_qmp_type policy = {
    .kind = MV_QMP_ENUM, .name = "HostMemPolicy", .values = policy_values};
const struct mv_qmp_type mv_type_uint_list = {
    .kind = MV_QMP_ARRAY, .name = "intList", .element = &mv_qmp_uint};
static const struct mv_qmp_member memdev_members[] = {{"id", &mv_qmp_str, true},
                                                      {"size", &mv_qmp_uint},
                                                      {"merge", &mv_qmp_bool},
                                                      {"dump", &mv_qmp_bool},
                                                      {"prealloc", &mv_qmp_bool},
                                                      {"share", &mv_qmp_bool},
                                                      {"reserve", &mv_qmp_bool, true},
                                                      {"host-nodes", &mv_type_uint_list},
                                                      {"policy", &policy},
                                                      {NULL}};
static OBJECT(memdev, "Memdev", memdev_members);
const struct mv_qmp_type mv_type_memdevs = {
    .kind = MV_QMP_ARRAY, .name = "MemdevList", .element = &memdev};

/* --- our own */

/* How finely to tell where in a block the bytes are. */
static const struct mv_qmp_member blocks_args_members[] = {{"parts", &mv_qmp_uint, true}, {NULL}};
OBJECT(mv_type_blocks_args, "q_obj_x-query-blocks-arg", blocks_args_members);

/* "lock", "merge", "no-dump", "thp", "no-thp", "bind=0-1" and its like. */
static const struct mv_qmp_type block_policies = {
    .kind = MV_QMP_ARRAY, .name = "strList", .element = &mv_qmp_str};
static const struct mv_qmp_member block_members[] = {{"id", &mv_qmp_str},
                                                     {"device", &mv_qmp_str},
                                                     {"generation", &mv_qmp_uint},
                                                     {"gpa", &mv_qmp_uint, true},
                                                     {"size", &mv_qmp_uint},
                                                     {"backing", &mv_qmp_str},
                                                     {"path", &mv_qmp_str, true},
                                                     {"offset", &mv_qmp_uint, true},
                                                     {"share", &mv_qmp_bool},
                                                     {"save", &mv_qmp_bool},
                                                     {"page-size", &mv_qmp_uint},
                                                     {"resident", &mv_qmp_uint},
                                                     {"huge", &mv_qmp_uint},
                                                     {"policies", &block_policies},
                                                     {"residency", &mv_type_uint_list, true},
                                                     {NULL}};
static OBJECT(block, "BlockInfo", block_members);
const struct mv_qmp_type mv_type_blocks = {
    .kind = MV_QMP_ARRAY, .name = "BlockInfoList", .element = &block};

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
