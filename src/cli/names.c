/* SPDX-License-Identifier: Apache-2.0 */
/* Names of VMs on the command line.  Called by the verbs' files. */
#include "names.h"

#include "log.h"
#include "verb.h"
#include "vm-client.h"

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
                      int (*fn)(struct mv_vm_client *client, void *opaque, struct mv_error *err),
                      void *opaque)
{
    int status = MV_STATUS_OK;
    for (size_t i = 0; i < names->count; i++) {
        struct mv_vm_client *client = NULL;
        struct mv_error err;
        int r = mv_vm_client_open(names->list[i], &client, &err);
        if (r == 0) {
            r = fn(client, opaque, &err);
            if (r < 0)
                mv_error_prefix(&err, "%s", names->list[i]);
        }
        mv_vm_client_close(client);
        if (r < 0) {
            mv_log("%s", err.text);
            status = MV_STATUS_ERROR;
        }
    }
    return status;
}
