/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of commands and events.  Constant. */
#include "qmp-command.h"

#include "qmp-types.h"

#include <string.h>

const struct mv_qmp_command mv_qmp_commands[] = {
    {"qmp_capabilities", &mv_type_capabilities_args, &mv_qmp_empty, mv_qmp_capabilities},
    {"query-version", &mv_qmp_empty, &mv_type_version_info, mv_qmp_query_version},
    {"query-commands", &mv_qmp_empty, &mv_type_command_list, mv_qmp_query_commands},
    {"query-qmp-schema", &mv_qmp_empty, &mv_type_schema, mv_qmp_query_schema},
    {"query-status", &mv_qmp_empty, &mv_type_status_info, mv_qmp_query_status},
    {"stop", &mv_qmp_empty, &mv_qmp_empty, mv_qmp_stop},
    {"cont", &mv_qmp_empty, &mv_qmp_empty, mv_qmp_cont},
    {"system_reset", &mv_qmp_empty, &mv_qmp_empty, mv_qmp_system_reset},
    {"system_powerdown", &mv_qmp_empty, &mv_qmp_empty, mv_qmp_system_powerdown},
    {"quit", &mv_qmp_empty, &mv_qmp_empty, mv_qmp_quit},
    {"query-cpus-fast", &mv_qmp_empty, &mv_type_cpu_list, mv_qmp_query_cpus_fast},
    {"query-memory-size-summary", &mv_qmp_empty, &mv_type_memory_size_summary,
     mv_qmp_query_memory_size_summary},
    {"query-memory-devices", &mv_qmp_empty, &mv_type_memory_devices, mv_qmp_query_memory_devices},
    {"query-memdev", &mv_qmp_empty, &mv_type_memdevs, mv_qmp_query_memdev},
    {"pmemsave", &mv_type_pmemsave_args, &mv_qmp_empty, mv_qmp_pmemsave},
    {"calc-dirty-rate", &mv_type_calc_dirty_rate_args, &mv_qmp_empty, mv_qmp_calc_dirty_rate},
    {"query-dirty-rate", &mv_qmp_empty, &mv_type_dirty_rate, mv_qmp_query_dirty_rate},
    {"query-pci", &mv_qmp_empty, &mv_type_pci_buses, mv_qmp_query_pci},
    {"device_add", &mv_type_device_add_args, &mv_qmp_empty, mv_qmp_device_add},
    {"device_del", &mv_type_device_del_args, &mv_qmp_empty, mv_qmp_device_del},
    {"x-query-space", &mv_qmp_empty, &mv_type_space_ranges, mv_qmp_query_space},
    {"x-query-blocks", &mv_type_blocks_args, &mv_type_blocks, mv_qmp_query_blocks},
    {"x-query-ivshmem", &mv_qmp_empty, &mv_type_ivshmems, mv_qmp_query_ivshmem},
    {"x-dirty-map", &mv_type_dirty_map_args, &mv_type_dirty_map, mv_qmp_dirty_map},
};
const size_t mv_qmp_command_count = sizeof mv_qmp_commands / sizeof mv_qmp_commands[0];

const struct mv_qmp_event mv_qmp_events[] = {
    {"STOP", &mv_qmp_empty},        {"RESUME", &mv_qmp_empty},
    {"RESET", &mv_type_reset_data}, {"SHUTDOWN", &mv_type_shutdown_data},
    {"POWERDOWN", &mv_qmp_empty},   {"X_BLOCK_ERROR", &mv_type_block_error_data},
    {"DEVICE_DELETED", &mv_type_device_deleted_data},
};
const size_t mv_qmp_event_count = sizeof mv_qmp_events / sizeof mv_qmp_events[0];

const struct mv_qmp_command *mv_qmp_command_find(const char *name)
{
    for (size_t i = 0; i < mv_qmp_command_count; i++) {
        if (strcmp(mv_qmp_commands[i].name, name) == 0)
            return &mv_qmp_commands[i];
    }
    return NULL;
}

const struct mv_qmp_event *mv_qmp_event_find(const char *name)
{
    for (size_t i = 0; i < mv_qmp_event_count; i++) {
        if (strcmp(mv_qmp_events[i].name, name) == 0)
            return &mv_qmp_events[i];
    }
    return NULL;
}
