/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up commands and events in their families' tables.  Constant. */
#include "qmp-command.h"

#include <string.h>

static const struct mv_qmp_family *const families[] = {
    &mv_qmp_protocol, &mv_qmp_introspection, &mv_qmp_machine, &mv_qmp_memory,  &mv_qmp_memory_file,
    &mv_qmp_dirty,    &mv_qmp_pci,           &mv_qmp_device,  &mv_qmp_ivshmem,
};
#define FAMILIES (sizeof families / sizeof families[0])

const struct mv_qmp_command *mv_qmp_command_at(size_t index)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        for (const struct mv_qmp_command *c = families[i]->commands; c->name != NULL; c++) {
            if (index-- == 0)
                return c;
        }
    }
    return NULL;
}

const struct mv_qmp_event *mv_qmp_event_at(size_t index)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        const struct mv_qmp_event *e = families[i]->events;
        for (; e != NULL && e->name != NULL; e++) {
            if (index-- == 0)
                return e;
        }
    }
    return NULL;
}

const struct mv_qmp_command *mv_qmp_command_find(const char *name)
{
    const struct mv_qmp_command *c;
    for (size_t i = 0; (c = mv_qmp_command_at(i)) != NULL && strcmp(c->name, name) != 0;)
        i++;
    return c;
}

const struct mv_qmp_event *mv_qmp_event_find(const char *name)
{
    const struct mv_qmp_event *e;
    for (size_t i = 0; (e = mv_qmp_event_at(i)) != NULL && strcmp(e->name, name) != 0;)
        i++;
    return e;
}
