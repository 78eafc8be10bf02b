/* SPDX-License-Identifier: Apache-2.0 */
/* Names of VMs on the command line.  Called by the verbs' files. */
#include "names.h"

#include "log.h"
#include "verb.h"

#include <stdlib.h>
#include <string.h>

int mv_names_append(void *target, const struct mv_option *option, const char *value,
                    struct mv_error *err)
{
    struct mv_names *names = (struct mv_names *)((char *)target + option->offset);
    char **list = reallocarray(names->list, names->count + 1, sizeof *list);
    char *copy = strdup(value);
    if (list != NULL)
        names->list = list;
    if (list == NULL || copy == NULL) {
        free(copy);
        return mv_error_set_errno(err, ENOMEM, "copying it");
    }
    names->list[names->count++] = copy;
    return 0;
}

void mv_names_free(struct mv_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct mv_names){0};
}

int mv_names_for_each(const struct mv_names *names,
                      int (*fn)(const char *name, struct mv_error *err))
{
    int status = MV_STATUS_OK;
    for (size_t i = 0; i < names->count; i++) {
        struct mv_error err;
        if (fn(names->list[i], &err) < 0) {
            mv_log("%s", err.text);
            status = MV_STATUS_ERROR;
        }
    }
    return status;
}
