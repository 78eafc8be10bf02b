/* SPDX-License-Identifier: Apache-2.0 */
/* What the entry point, the help and each verb's file know of one another. */
#ifndef MV_CLI_VERB_H
#define MV_CLI_VERB_H

#include "error.h"
#include "options.h"

#include <stddef.h>

/* Exit statuses (docs/DESIGN.md, command line); checks rely on them. */
enum {
    MV_STATUS_OK = 0, /* also where the guest powered itself off */
    MV_STATUS_ERROR = 1,
    MV_STATUS_USAGE = 2,
    MV_STATUS_GUEST_RESET = 3, /* under --no-reboot */
    MV_STATUS_SIGNAL = 128,    /* plus the number of the signal that ended it */
};

struct mv_verb {
    const char *name;
    const char *summary; /* a line in the list of verbs */
    const char *later;   /* what it will do, where this version has it not */
    const char *synopsis;
    const struct mv_option_table *options; /* NULL: takes none */
    const char *notes;                     /* behind the options in its help; may be NULL */
    bool names_itself;                     /* its errors begin with its name */
    /* The struct that the options are stored to, which begins as zeroes. */
    size_t config_size;
    /* What is wrong with the words as a whole; may be NULL. */
    int (*check)(void *config, struct mv_error *err);
    /* An exit status, or a negative errno. */
    int (*run)(void *config, struct mv_error *err);
    /* In place of all this: argv[0] is the word behind the verb.  The exit status. */
    int (*main)(int argc, char **argv);
};

/*
 * The verbs, each in the file of its name, but ps and engines in list.c, stop, cont and
 * quit in steer.c, and version in help.c.
 */
extern const struct mv_verb mv_run_verb, mv_restore_verb, mv_info_verb, mv_fork_verb, mv_ps_verb,
    mv_mem_verb, mv_stop_verb, mv_cont_verb, mv_quit_verb, mv_qmp_verb, mv_save_verb, mv_send_verb,
    mv_receive_verb, mv_ivshmem_server_verb, mv_ivshmem_client_verb, mv_engines_verb, mv_help_verb,
    mv_version_verb;

/* All of them, ended by NULL. */
extern const struct mv_verb *const mv_verbs[];

/* NULL where this version has none of this name, which is said on stderr. */
const struct mv_verb *mv_verb_find(const char *name);

/* The exit status. */
int mv_verb_run(const struct mv_verb *verb, int argc, char **argv);

/* What parsing its words came to, which is not 0: help, or an error that is said; the status. */
int mv_verb_answer(const struct mv_verb *verb, int r, struct mv_error *err);

/* help.c, on standard output. */
void mv_help_print_verb(const struct mv_verb *verb);

/* Words of which there may be any number, such as the names of VMs. */
struct mv_names {
    char **list;
    size_t count;
};
/* A word's setter: appends to the struct mv_names at option->offset. */
mv_option_set_fn mv_names_append;

/* --- rows of a table of options and words, by the member of the config that each is stored to */

#define MV_ROW(type, member, setter, text)                                                         \
    .help = text, .set = setter, .offset = offsetof(struct type, member)
#define MV_FLAG(type, member, text)              .name = #member, MV_ROW(type, member, mv_option_set_flag, text)
#define MV_TEXT(type, member, word, value, text) .name = word, MV_WORD(type, member, value, text)
#define MV_WORD(type, member, value, text)                                                         \
    .argument = value, MV_ROW(type, member, mv_option_set_string, text)
#define MV_WORDS(type, member, value, text)                                                        \
    .argument = value, .repeatable = true, MV_ROW(type, member, mv_names_append, text)

/* The table of a file's `options` and `words`. */
#define MV_OPTIONS(name, needed)                                                                   \
    &(const struct mv_option_table)                                                                \
    {                                                                                              \
        name, options, sizeof options / sizeof options[0], words, sizeof words / sizeof words[0],  \
            needed                                                                                 \
    }

#endif
