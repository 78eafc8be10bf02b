/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor stop, cont and quit: a command to each VM that is named. */
#include "verb.h"

#include "log.h"
#include "names.h"
#include "vm-client.h"
#include "vm-end.h"

struct steer_config {
    struct mv_names names;
};

static const struct mv_option words[] = {
    {.argument = "NAME",
     .help = "Name of the VM, as 'memvisor ps' lists it; any number of them.",
     .repeatable = true,
     .set = mv_names_append,
     .offset = offsetof(struct steer_config, names)},
};

#define TABLE(name)                                                                                \
    {                                                                                              \
        .verb = name, .words = words, .word_count = 1, .words_needed = 1                           \
    }
const struct mv_option_table mv_stop_options = TABLE("stop");
const struct mv_option_table mv_cont_options = TABLE("cont");
const struct mv_option_table mv_quit_options = TABLE("quit");

static int steer(const struct mv_option_table *table, int argc, char **argv,
                 int (*fn)(const char *name, struct mv_error *err))
{
    struct steer_config config = {0};
    struct mv_error err;
    int status = MV_STATUS_OK;
    int r = mv_options_parse(table, argc, argv, &config, &err);
    if (r == MV_OPTIONS_HELP) {
        mv_help_print_verb(stdout, mv_verb_find(table->verb));
    } else if (r < 0) {
        mv_log("%s", err.text);
        status = mv_verb_status_of_words(r);
    } else {
        status = mv_names_for_each(&config.names, fn);
    }
    mv_names_free(&config.names);
    return status;
}

static int execute(const char *name, const char *command, struct mv_error *err)
{
    struct mv_vm_client *client;
    int r = mv_vm_client_open(name, &client, err);
    if (r < 0)
        return r;
    r = mv_vm_client_execute(client, command, NULL, NULL, err);
    mv_vm_client_close(client);
    if (r < 0)
        mv_error_prefix(err, "%s", name);
    return r;
}

static int stop(const char *name, struct mv_error *err)
{
    return execute(name, "stop", err);
}

static int cont(const char *name, struct mv_error *err)
{
    return execute(name, "cont", err);
}

int mv_stop_main(int argc, char **argv)
{
    return steer(&mv_stop_options, argc, argv, stop);
}

int mv_cont_main(int argc, char **argv)
{
    return steer(&mv_cont_options, argc, argv, cont);
}

int mv_quit_main(int argc, char **argv)
{
    return steer(&mv_quit_options, argc, argv, mv_vm_end);
}
