/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands and events that there are, as one table each.  A command is a
 * row: its name, what it takes, what it returns, and the function that does
 * it.  All in the main thread.
 */
#ifndef MV_CONTROL_QMP_COMMAND_H
#define MV_CONTROL_QMP_COMMAND_H

#include "error.h"
#include "qmp-type.h"

#include <jansson.h>
#include <stddef.h>

struct mv_control;
struct mv_qmp_session;

struct mv_qmp_call {
    struct mv_control *control;
    struct mv_qmp_session *session;
    const json_t *arguments; /* an object that fits the command's type */
    json_t *result;          /* what the function returns; NULL: an empty object */
};

/*
 * Do it: 0 and the result, or a negative errno with a message for the client.
 * MV_QMP_LATER where the answer comes by mv_qmp_later_finish.
 */
typedef int mv_qmp_command_fn(struct mv_qmp_call *call, struct mv_error *err);
#define MV_QMP_LATER 1

struct mv_qmp_command {
    const char *name;
    const struct mv_qmp_type *arguments; /* an object */
    const struct mv_qmp_type *returns;
    mv_qmp_command_fn *run;
};
extern const struct mv_qmp_command mv_qmp_commands[];
extern const size_t mv_qmp_command_count;

struct mv_qmp_event {
    const char *name;
    const struct mv_qmp_type *data; /* an object */
};
extern const struct mv_qmp_event mv_qmp_events[];
extern const size_t mv_qmp_event_count;

/* NULL where there is none of this name. */
const struct mv_qmp_command *mv_qmp_command_find(const char *name);
const struct mv_qmp_event *mv_qmp_event_find(const char *name);

/* What a client is greeted with, and query-version returns. */
json_t *mv_qmp_version(void);

/* Every type, command and event, as QEMU's query-qmp-schema tells them. */
json_t *mv_qmp_schema(void);

/* The commands' functions, by file. */
mv_qmp_command_fn mv_qmp_capabilities, mv_qmp_query_version, mv_qmp_query_commands,
    mv_qmp_query_schema; /* commands-protocol.c */
mv_qmp_command_fn mv_qmp_query_status, mv_qmp_stop, mv_qmp_cont, mv_qmp_system_reset,
    mv_qmp_system_powerdown, mv_qmp_quit, mv_qmp_query_cpus_fast; /* commands-machine.c */
mv_qmp_command_fn mv_qmp_query_memory_size_summary, mv_qmp_query_memory_devices,
    mv_qmp_query_space;                                     /* commands-memory.c */
mv_qmp_command_fn mv_qmp_query_blocks, mv_qmp_query_memdev; /* commands-block.c */
mv_qmp_command_fn mv_qmp_calc_dirty_rate, mv_qmp_query_dirty_rate,
    mv_qmp_dirty_map;              /* commands-dirty.c */
mv_qmp_command_fn mv_qmp_pmemsave; /* pmemsave.c */
mv_qmp_command_fn mv_qmp_device_add, mv_qmp_device_del; /* commands-device.c */
mv_qmp_command_fn mv_qmp_query_pci;                     /* commands-pci.c */
mv_qmp_command_fn mv_qmp_query_ivshmem;                 /* commands-ivshmem.c */

#endif
