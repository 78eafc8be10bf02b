/* SPDX-License-Identifier: Apache-2.0 */
/* The types of the commands' arguments and answers, and of the events' data. */
#ifndef MV_CONTROL_QMP_TYPES_H
#define MV_CONTROL_QMP_TYPES_H

#include "qmp-type.h"

/* types-protocol.c (QEMU, qapi/control.json, qapi/introspect.json) */
extern const struct mv_qmp_type mv_type_capabilities_args, mv_type_version_info,
    mv_type_command_list, mv_type_schema;
extern const struct mv_qmp_type mv_type_json_type, mv_type_meta_type;

/* types-machine.c (QEMU, qapi/run-state.json, qapi/machine.json) */
extern const struct mv_qmp_type mv_type_status_info, mv_type_cpu_list, mv_type_reset_data,
    mv_type_shutdown_data;

/* types-memory.c (QEMU, qapi/machine.json) */
extern const struct mv_qmp_type mv_type_memory_size_summary, mv_type_memory_devices,
    mv_type_memdevs, mv_type_pmemsave_args, mv_type_space_ranges, mv_type_blocks_args,
    mv_type_blocks, mv_type_uint_list, mv_type_block_error_data;

/* types-ivshmem.c */
extern const struct mv_qmp_type mv_type_ivshmems;

/* types-dirty.c (QEMU, qapi/migration.json) */
extern const struct mv_qmp_type mv_type_calc_dirty_rate_args, mv_type_dirty_rate,
    mv_type_dirty_map_args, mv_type_dirty_map;

/* types-pci.c (QEMU, qapi/pci.json) */
extern const struct mv_qmp_type mv_type_pci_buses;

/* types-device.c (QEMU, qapi/qdev.json) */
extern const struct mv_qmp_type mv_type_device_add_args, mv_type_device_del_args,
    mv_type_device_deleted_data;

#endif
