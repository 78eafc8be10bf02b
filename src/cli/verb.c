/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs (those of later versions, to be refused by name), and how one is run. */
#include "verb.h"

#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LATER(word, purpose)                                                                       \
    &(const struct mv_verb)                                                                        \
    {                                                                                              \
        .name = word, .later = purpose                                                             \
    }

const struct mv_verb *const mv_verbs[] = {
    &mv_run_verb,
    &mv_restore_verb,
    &mv_info_verb,
    &mv_fork_verb,
    &mv_ps_verb,
    &mv_mem_verb,
    &mv_stop_verb,
    &mv_cont_verb,
    &mv_quit_verb,
    &mv_qmp_verb,
    &mv_save_verb,
    &mv_send_verb,
    &mv_receive_verb,
    &mv_ivshmem_server_verb,
    &mv_ivshmem_client_verb,
    &mv_engines_verb,
    &mv_help_verb,
    &mv_version_verb,
    LATER("balloon", "take memory from a guest and give it back"),
    LATER("jit", "tell what the JIT does"),
    NULL,
};

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

static void refuse(const char *name)
{
    struct mv_suggestion near;
    if (name[0] == '-') {
        mv_log("'%s' stands before a verb: options go behind it, as in 'memvisor run %s'; "
               "'memvisor help' lists the verbs",
               name, name);
        return;
    }
    for (size_t i = 0; i < sizeof foreign_verbs / sizeof foreign_verbs[0]; i++) {
        if (strcmp(name, foreign_verbs[i].name) == 0) {
            mv_log("unknown verb '%s': type '%s'; 'memvisor help' lists the verbs", name,
                   foreign_verbs[i].ours);
            return;
        }
    }
    mv_suggestion_init(&near, name);
    for (size_t i = 0; mv_verbs[i] != NULL; i++)
        mv_suggestion_offer(&near, mv_verbs[i]->name);
    if (near.nearest != NULL)
        mv_log("unknown verb '%s': did you mean '%s'? 'memvisor help' lists the verbs", name,
               near.nearest);
    else
        mv_log("unknown verb '%s': 'memvisor help' lists the verbs", name);
}

const struct mv_verb *mv_verb_find(const char *name)
{
    size_t i = 0;
    struct mv_error err;
    while (mv_verbs[i] != NULL && strcmp(mv_verbs[i]->name, name) != 0)
        i++;
    if (mv_verbs[i] == NULL) {
        refuse(name);
    } else if (mv_verbs[i]->later != NULL) {
        mv_later_refuse(name, mv_verbs[i]->later, "", &err);
        mv_log("%s", err.text);
        return NULL;
    }
    return mv_verbs[i];
}

/* --- running one */

static void say(const struct mv_verb *verb, const struct mv_error *err)
{
    mv_log("%s%s%s", verb->names_itself ? verb->name : "", verb->names_itself ? ": " : "",
           err->text);
}

int mv_verb_answer(const struct mv_verb *verb, int r, struct mv_error *err)
{
    if (r == MV_OPTIONS_HELP) {
        mv_help_print_verb(verb);
        return MV_STATUS_OK;
    }
    say(verb, err);
    /* A host without memory is no wrong usage. */
    return r == -ENOMEM ? MV_STATUS_ERROR : MV_STATUS_USAGE;
}

static void free_fields(const struct mv_option *options, size_t count, char *config)
{
    for (size_t i = 0; i < count; i++) {
        void *field = config + options[i].offset;
        if (options[i].set == mv_names_append) {
            struct mv_names *names = field;
            while (names->count > 0)
                free(names->list[--names->count]);
            free(names->list);
        } else if (options[i].set == mv_option_set_string) {
            free(*(char **)field);
        }
    }
}

int mv_verb_run(const struct mv_verb *verb, int argc, char **argv)
{
    if (verb->main != NULL)
        return verb->main(argc, argv);
    const struct mv_option_table *options = verb->options;
    struct mv_error err;
    CLEANUP_FREE char *config = calloc(1, verb->config_size);
    if (config == NULL)
        return mv_verb_answer(verb, mv_error_set_errno(&err, ENOMEM, "options"), &err);
    int r = mv_options_parse(options, argc, argv, config, &err);
    if (r == 0 && verb->check != NULL)
        r = verb->check(config, &err);
    if (r != 0) {
        r = mv_verb_answer(verb, r, &err);
    } else if ((r = verb->run(config, &err)) < 0) {
        say(verb, &err);
        r = MV_STATUS_ERROR;
    }
    free_fields(options->options, options->count, config);
    free_fields(options->words, options->word_count, config);
    return r;
}

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
