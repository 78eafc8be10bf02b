/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs; those of later versions are in it to be refused by name. */
#include "verb.h"

#include "config-text.h"
#include "log.h"
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct mv_verb mv_verbs[] = {
    {.name = "run",
     .summary = "Boot a guest.",
     .synopsis = mv_run_synopsis,
     .options = &mv_run_options,
     .notes = mv_run_notes,
     .run = mv_run_main},
    {.name = "ps",
     .summary = "List the VMs that run.",
     .synopsis = "memvisor ps [--json]",
     .options = &mv_ps_options,
     .run = mv_ps_main},
    {.name = "mem",
     .summary = "Show the memory of a VM.",
     .synopsis = "memvisor mem NAME [--json | --map | --heat] [--watch] | --read GPA LEN",
     .options = &mv_mem_options,
     .notes = mv_mem_notes,
     .run = mv_mem_main},
    {.name = "stop",
     .summary = "Pause a VM.",
     .synopsis = "memvisor stop NAME...",
     .options = &mv_stop_options,
     .run = mv_stop_main},
    {.name = "cont",
     .summary = "Continue a VM that is paused, or was started so.",
     .synopsis = "memvisor cont NAME...",
     .options = &mv_cont_options,
     .run = mv_cont_main},
    {.name = "quit",
     .summary = "End a VM at once, without a word to its guest, and wait until it is gone.",
     .synopsis = "memvisor quit NAME...",
     .options = &mv_quit_options,
     .run = mv_quit_main},
    {.name = "qmp",
     .summary = "Send commands to a VM's control socket.",
     .synopsis = "memvisor qmp NAME [COMMAND [KEY=VALUE]...]",
     .options = &mv_qmp_options,
     .notes = mv_qmp_notes,
     .run = mv_qmp_main},
    {.name = "ivshmem-server",
     .summary = "Serve memory that guests and programs share, or show the status of a server.",
     .synopsis = "memvisor ivshmem-server SOCKET --size SIZE [OPTION]...\n"
                 "       memvisor ivshmem-server SOCKET|--control PATH --status [--json] [--watch]",
     .options = &mv_ivshmem_server_options,
     .run = mv_ivshmem_server_main},
    {.name = "ivshmem-client",
     .summary = "Join shared memory: list peers, ring and wait, read and write.",
     .synopsis = "memvisor ivshmem-client SOCKET [COMMAND [ARGUMENT]...] [OPTION]...",
     .options = &mv_ivshmem_client_options,
     .notes = mv_ivshmem_client_notes,
     .run = mv_ivshmem_client_main},
    {.name = "engines",
     .summary = "List what can run virtual CPUs here.",
     .synopsis = "memvisor engines [--json]",
     .options = &mv_engines_options,
     .run = mv_engines_main},
    {.name = "help",
     .summary = "Explain memvisor, or one verb.",
     .synopsis = "memvisor help [VERB]",
     .run = mv_help_main},
    {.name = "version",
     .summary = "Say which version this is.",
     .synopsis = "memvisor version",
     .run = mv_version_main},
    {.name = "save", .later = "save a VM to a file"},
    {.name = "restore", .later = "restore a VM from a file"},
    {.name = "send", .later = "send a VM to another host"},
    {.name = "receive", .later = "receive a VM from another host"},
    {.name = "info", .later = "describe a saved VM"},
    {.name = "fork", .later = "clone a VM that runs"},
    {.name = "balloon", .later = "take memory from a guest and give it back"},
    {.name = "jit", .later = "tell what the JIT does"},
};

const size_t mv_verb_count = sizeof mv_verbs / sizeof mv_verbs[0];

const struct mv_verb *mv_verb_find(const char *name)
{
    for (size_t i = 0; i < mv_verb_count; i++) {
        if (strcmp(mv_verbs[i].name, name) == 0)
            return &mv_verbs[i];
    }
    return NULL;
}

/* What others call it: virsh, docker, kvmtool, QEMU's monitor. */
static const struct {
    const char *name, *ours;
} foreign_verbs[] = {
    {"list", "memvisor ps"},
    {"ls", "memvisor ps"},
    {"start", "memvisor run"},
    {"boot", "memvisor run"},
    {"create", "memvisor run"},
    {"pause", "memvisor stop NAME"},
    {"suspend", "memvisor stop NAME"},
    {"resume", "memvisor cont NAME"},
    {"continue", "memvisor cont NAME"},
    {"kill", "memvisor quit NAME"},
    {"destroy", "memvisor quit NAME"},
    {"rm", "memvisor quit NAME"},
    {"shutdown", "memvisor qmp NAME system_powerdown"},
    {"reboot", "memvisor qmp NAME system_reset"},
    {"reset", "memvisor qmp NAME system_reset"},
    {"status", "memvisor ps"},
    {"stat", "memvisor mem NAME"},
    {"monitor", "memvisor qmp NAME"},
};

static const char *find_foreign(const char *name)
{
    for (size_t i = 0; i < sizeof foreign_verbs / sizeof foreign_verbs[0]; i++) {
        if (strcmp(name, foreign_verbs[i].name) == 0)
            return foreign_verbs[i].ours;
    }
    return NULL;
}

int mv_verb_refuse(const char *name)
{
    const struct mv_verb *verb = mv_verb_find(name);
    struct mv_error err;
    struct mv_suggestion near;

    if (verb != NULL && verb->later != NULL) {
        mv_later_refuse(verb->name, verb->later, "", &err);
        mv_log("%s", err.text);
        return MV_STATUS_USAGE;
    }
    if (name[0] == '-') {
        mv_log("'%s' stands before a verb: options go behind it, as in 'memvisor run %s'; "
               "'memvisor help' lists the verbs",
               name, name);
        return MV_STATUS_USAGE;
    }
    if (find_foreign(name) != NULL) {
        mv_log("unknown verb '%s': type '%s'; 'memvisor help' lists the verbs", name,
               find_foreign(name));
        return MV_STATUS_USAGE;
    }
    mv_suggestion_init(&near, name);
    for (size_t i = 0; i < mv_verb_count; i++)
        mv_suggestion_offer(&near, mv_verbs[i].name);
    if (near.nearest != NULL)
        mv_log("unknown verb '%s': did you mean '%s'? 'memvisor help' lists the verbs", name,
               near.nearest);
    else
        mv_log("unknown verb '%s': 'memvisor help' lists the verbs", name);
    return MV_STATUS_USAGE;
}

int mv_verb_status_of_words(int r)
{
    return r == -ENOMEM ? MV_STATUS_ERROR : MV_STATUS_USAGE;
}

/* --- names of VMs on the command line */

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
