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
struct mv_machine;
struct mv_qmp_session;

struct mv_qmp_call {
    struct mv_machine *machine;
    struct mv_qmp_session *session;
    const json_t *arguments; /* an object that fits the command's type */
    json_t *result;          /* what the function returns; NULL: an empty object */
};

/*
 * Do it: 0 and the result, or a negative errno with a message for the client.
 * MV_QMP_LATER where the answer comes of a job.
 */
typedef int mv_qmp_command_fn(struct mv_qmp_call *call, struct mv_error *err);
#define MV_QMP_LATER 1

/* What a command needs while a guest is awaited, or on its way (mv_incoming_is_due). */
enum mv_qmp_when {
    MV_QMP_HERE,   /* that it is here: it is refused until then */
    MV_QMP_MADE,   /* its machine, which is looked at alone */
    MV_QMP_ALWAYS, /* nothing: call->machine may be NULL */
};

struct mv_qmp_command {
    const char *name;
    const struct mv_qmp_type *arguments; /* an object; an event's data */
    const struct mv_qmp_type *returns;
    mv_qmp_command_fn *run; /* NULL: it is an event */
    enum mv_qmp_when when;
};

/* The commands and events of one file, ended by a NULL name. */
extern const struct mv_qmp_command mv_qmp_machine[];        /* commands-machine.c */
extern const struct mv_qmp_command mv_qmp_memory[];         /* commands-memory.c */
extern const struct mv_qmp_command mv_qmp_dirty[];          /* commands-dirty.c */
extern const struct mv_qmp_command mv_qmp_pci[];            /* commands-pci.c */
extern const struct mv_qmp_command mv_qmp_device[];         /* commands-device.c */
extern const struct mv_qmp_command mv_qmp_fd[];             /* commands-fd.c */
extern const struct mv_qmp_command mv_qmp_fork[];           /* commands-fork.c */
extern const struct mv_qmp_command mv_qmp_sync[];           /* commands-sync.c */
extern const struct mv_qmp_command mv_qmp_restore[];        /* commands-restore.c */
extern const struct mv_qmp_command mv_qmp_migration[];      /* commands-migration.c */
extern const struct mv_qmp_command mv_qmp_migrate[];        /* commands-migrate.c */
extern const struct mv_qmp_command mv_qmp_migrate_params[]; /* migrate-params.c */
extern const struct mv_qmp_command mv_qmp_postcopy[];       /* commands-postcopy.c */

/* One after the other, the commands or the events; NULL behind the last. */
const struct mv_qmp_command *mv_qmp_command_at(size_t index, bool event);
/* NULL where there is none of this name. */
const struct mv_qmp_command *mv_qmp_command_find(const char *name, bool event);

/* What a client is greeted with, and query-version returns. */
json_t *mv_qmp_version(void);

#endif
