/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor fork: a command to a VM that runs, which becomes several.  And what its process
 * does as a clone (mv_clone_run), called deep in the stack of the VM that was forked.
 */
#include "fork.h"

#include "cleanup.h"
#include "config-text.h"
#include "log.h"
#include "rundir.h"
#include "screen.h"
#include "signals.h"
#include "verb.h"
#include "vm-client.h"
#include "vm.h"

#include <string.h>

/* --- a clone */

static int make(void *opaque, struct mv_loop *loop, struct mv_serial_backend *serial,
                struct mv_machine **ret, struct mv_error *err)
{
    return mv_clone_machine(opaque, loop, serial, ret, err);
}

static void begun(void *opaque)
{
    mv_clone_tell(opaque, NULL);
}

static void failed(void *opaque, const struct mv_error *err)
{
    if (!mv_clone_tell(opaque, err))
        mv_log("%s", err->text);
}

int mv_clone_run(struct mv_clone *clone)
{
    const struct mv_vm vm = {.config = mv_clone_config(clone),
                             .clone = clone,
                             .own_serial = mv_clone_has_own_serial(clone),
                             .make = make,
                             .begun = begun,
                             .failed = failed,
                             .opaque = clone};
    mv_signals_forget();
    mv_log_set_name(vm.config->name);
    return mv_vm_run(&vm);
}

/* --- the verb */

struct fork_config {
    struct mv_names words; /* the VM's name, then clones' */
    struct mv_names clones;
    char *count;
    char *share;
    char *serial;
    bool paused;
    bool json;
};

static int check(void *opaque, struct mv_error *err)
{
    const struct fork_config *config = opaque;
    unsigned long count;
    if ((config->clones.count == 0) == (config->count == NULL))
        return mv_error_set(err, EINVAL,
                            "either -n CLONE... or --count N says which clones there are to be");
    if (config->count != NULL && config->words.count > 1)
        return mv_error_set(err, EINVAL, "'%s': --count N names the clones: leave it out",
                            config->words.list[1]);
    if (config->count != NULL &&
        (!mv_config_number(config->count, MV_FORK_CLONES_MAX, &count) || count == 0))
        return mv_error_set(err, EINVAL, "--count %s: give a number from 1 to %d", config->count,
                            MV_FORK_CLONES_MAX);
    if (config->share != NULL && strcmp(config->share, "keep") != 0 &&
        strcmp(config->share, "refuse") != 0)
        return mv_error_set(err, EINVAL, "--share %s: choose keep or refuse", config->share);
    return 0;
}

static bool is_taken(const struct mv_rundir_vm *vms, size_t count, const char *name)
{
    bool taken = false;
    for (size_t i = 0; i < count; i++)
        taken |= strcmp(vms[i].name, name) == 0;
    return taken;
}

/* NAME-1, NAME-2 and so on, but for those that run. */
static int number_clones(const char *name, unsigned long count, json_t *names, struct mv_error *err)
{
    struct mv_rundir_vm *vms;
    size_t running;
    int r = mv_rundir_list(&vms, &running, err);
    if (r < 0)
        return r;
    for (unsigned long i = 1; i <= count + running && json_array_size(names) < count; i++) {
        CLEANUP_FREE char *clone = NULL;
        if (asprintf(&clone, "%s-%lu", name, i) < 0)
            clone = NULL;
        else if (!is_taken(vms, running, clone))
            json_array_append_new(names, json_string(clone));
    }
    mv_rundir_list_free(vms, running);
    return 0;
}

static int name_clones(const struct fork_config *config, json_t *names, struct mv_error *err)
{
    unsigned long count = config->clones.count + config->words.count - 1;
    int r = 0;
    for (size_t i = 0; i < config->clones.count; i++)
        json_array_append_new(names, json_string(config->clones.list[i]));
    for (size_t i = 1; i < config->words.count; i++)
        json_array_append_new(names, json_string(config->words.list[i]));
    if (config->count != NULL && mv_config_number(config->count, MV_FORK_CLONES_MAX, &count))
        r = number_clones(config->words.list[0], count, names, err);
    if (r == 0 && json_array_size(names) < count)
        r = mv_error_set(err, EILSEQ,
                         "there is no memory for the clones' names, or one of them "
                         "is no UTF-8");
    return r;
}

/* A line for each clone; those that do not run are errors. */
static int print(const struct fork_config *config, const json_t *result)
{
    const json_t *clones = json_object_get(result, "clones"), *clone;
    int status = MV_STATUS_OK;
    size_t i;
    if (config->json)
        mv_json_print(stdout, clones);
    json_array_foreach(clones, i, clone)
    {
        const char *name = json_string_value(json_object_get(clone, "name"));
        const char *why = json_string_value(json_object_get(clone, "error"));
        if (why != NULL) {
            mv_log("clone '%s': %s", name, why);
            status = MV_STATUS_ERROR;
        } else if (!config->json) {
            printf("%s\n", name);
        }
    }
    return status;
}

/* The clones make it, whose folder is another one: NULL where there is none, or no memory. */
static char *place_serial(const char *where)
{
    char *placed = NULL;
    const char *path = strchr(where, ':');
    if (path == NULL || path[1] == '/' || path[1] == '\0')
        return strdup(where);
    CLEANUP_FREE char *folder = get_current_dir_name();
    int kind = (int)(path - where);
    return folder == NULL || asprintf(&placed, "%.*s:%s/%s", kind, where, folder, path + 1) < 0
               ? NULL
               : placed;
}

static int serve(void *opaque, struct mv_error *err)
{
    const struct fork_config *config = opaque;
    const char *name = config->words.list[0];
    struct mv_vm_client *client;
    CLEANUP_FREE char *serial = config->serial == NULL ? NULL : place_serial(config->serial);
    if (config->serial != NULL && serial == NULL)
        return mv_error_set_errno(err, errno, "--serial %s", config->serial);
    json_t *names = json_array(), *result;
    int r = name_clones(config, names, err);
    json_t *arguments = json_pack("{s:o, s:s*, s:s*, s:b}", "names", names, "share", config->share,
                                  "serial", serial, "paused", config->paused);
    if (r == 0 && arguments == NULL)
        r = mv_error_set(err, EILSEQ, "--serial %s: it is no UTF-8", config->serial);
    if (r == 0)
        r = mv_vm_client_open(name, &client, err);
    if (r < 0) {
        json_decref(arguments);
        return r;
    }
    r = mv_vm_client_execute(client, "x-fork", arguments, &result, err);
    mv_vm_client_close(client);
    if (r < 0) {
        mv_error_prefix(err, "%s", name);
        return r;
    }
    int status = print(config, result);
    json_decref(result);
    return status;
}

static const struct mv_option words[] = {
    {MV_WORDS(fork_config, words, "NAME",
              "Name of the VM, as 'memvisor ps' lists it; behind -n CLONE, names of more clones.")},
};

static const struct mv_option options[] = {
    {.name = "name",
     .letter = 'n',
     .argument = "CLONE",
     .repeatable = true,
     MV_ROW(fork_config, clones, mv_names_append, "Name of a clone; others may follow.")},
    {MV_TEXT(fork_config, count, "count", "N",
             "How many clones there are to be; they are named NAME-1, NAME-2 and so on, but for "
             "names of VMs that run.")},
    {MV_TEXT(fork_config, share, "share", "keep|refuse",
             "Whether memory that others can write, such as a file, stays shared between the VM "
             "and its clones; refuse, the default: such a VM is not forked.")},
    {MV_TEXT(fork_config, serial, "serial", "WHERE",
             "Where the clones' consoles are: none, file:PATH or unix:PATH, in which %n stands for "
             "a clone's name; default a socket, serial.sock, in each one's run-time folder.")},
    {MV_FLAG(fork_config, paused, "The clones wait for 'memvisor cont'.")},
    {MV_FLAG(fork_config, json,
             "Print a list of objects with name and pid, or name and error, of each clone.")},
};

const struct mv_verb mv_fork_verb = {
    .name = "fork",
    .summary = "Make several VMs of one that runs.",
    .synopsis = "memvisor fork NAME -n CLONE... | --count N [--share keep|refuse]\n"
                "                     [--serial WHERE] [--paused] [--json]",
    .options = MV_OPTIONS("fork", 1),
    .notes = "The VM stands still for some milliseconds and goes on. Each clone goes on from\n"
             "there too, as a process of its own, and shares all memory with the VM and the\n"
             "other clones until one of them writes it.\n"
             "\n"
             "Examples:\n"
             "  memvisor fork vm1 -n one two three\n"
             "  memvisor fork vm1 --count 100 --serial none\n"
             "  memvisor fork vm1 -n test --paused --serial unix:/tmp/%n.console\n",
    .config_size = sizeof(struct fork_config),
    .check = check,
    .run = serve,
};
