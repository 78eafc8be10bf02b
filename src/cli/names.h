/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs that take the names of VMs have in common. */
#ifndef MV_CLI_NAMES_H
#define MV_CLI_NAMES_H

#include "error.h"
#include "options.h"

#include <stddef.h>

struct mv_names {
    char **list;
    size_t count;
};

/* A word's setter: appends to the struct mv_names at option->offset. */
mv_option_set_fn mv_names_append;
void mv_names_free(struct mv_names *names);

/* Do fn with each name; the errors are logged with it, one line each: an exit status. */
int mv_names_for_each(const struct mv_names *names,
                      int (*fn)(const char *name, struct mv_error *err));

#endif
