/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands and events that there are.  A command is a row in the table of its
 * family: its name, what it takes, what it returns, and the function that does it,
 * all in one file.  All in the main thread.
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
struct mv_qmp_event {
    const char *name;
    const struct mv_qmp_type *data; /* an object */
};

/* The commands and events of one file. */
struct mv_qmp_family {
    const struct mv_qmp_command *commands; /* ended by a NULL name */
    const struct mv_qmp_event *events;     /* the same, or NULL */
};
extern const struct mv_qmp_family mv_qmp_protocol;      /* commands-protocol.c */
extern const struct mv_qmp_family mv_qmp_introspection; /* qmp-command.c */
extern const struct mv_qmp_family mv_qmp_machine;       /* commands-machine.c */
extern const struct mv_qmp_family mv_qmp_memory;        /* commands-memory.c */
extern const struct mv_qmp_family mv_qmp_memory_file;   /* pmemsave.c */
extern const struct mv_qmp_family mv_qmp_dirty;         /* commands-dirty.c */
extern const struct mv_qmp_family mv_qmp_pci;           /* commands-pci.c */
extern const struct mv_qmp_family mv_qmp_device;        /* commands-device.c */
extern const struct mv_qmp_family mv_qmp_ivshmem;       /* commands-ivshmem.c */

/* One after the other; NULL behind the last. */
const struct mv_qmp_command *mv_qmp_command_at(size_t index);
const struct mv_qmp_event *mv_qmp_event_at(size_t index);

/* NULL where there is none of this name. */
const struct mv_qmp_command *mv_qmp_command_find(const char *name);
const struct mv_qmp_event *mv_qmp_event_find(const char *name);

/* What a client is greeted with, and query-version returns. */
json_t *mv_qmp_version(void);

#endif
