/* SPDX-License-Identifier: Apache-2.0 */
/* What the entry point, the help and each verb's file know of one another. */
#ifndef MV_CLI_VERB_H
#define MV_CLI_VERB_H

#include "error.h"
#include "options.h"

#include <stddef.h>
#include <stdio.h>

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
    /* argv[0] is the word behind the verb.  The process's exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct mv_verb mv_verbs[];
extern const size_t mv_verb_count;

/* NULL where there is none of this name. */
const struct mv_verb *mv_verb_find(const char *name);

/* Say on stderr that there is no such verb, or not yet: MV_STATUS_USAGE. */
int mv_verb_refuse(const char *name);

/* The status where words were refused with r: a host without memory is no wrong usage. */
int mv_verb_status_of_words(int r);

/* The verbs, each in the file of its name. */
extern const char mv_run_synopsis[];
extern const char mv_run_notes[];
int mv_run_main(int argc, char **argv);
extern const struct mv_option_table mv_engines_options;
int mv_engines_main(int argc, char **argv);
extern const struct mv_option_table mv_ps_options;
int mv_ps_main(int argc, char **argv);
extern const struct mv_option_table mv_mem_options;
extern const char mv_mem_notes[];
int mv_mem_main(int argc, char **argv);
/* steer.c */
extern const struct mv_option_table mv_stop_options, mv_cont_options, mv_quit_options;
int mv_stop_main(int argc, char **argv);
int mv_cont_main(int argc, char **argv);
int mv_quit_main(int argc, char **argv);
extern const struct mv_option_table mv_qmp_options;
extern const char mv_qmp_notes[];
int mv_qmp_main(int argc, char **argv);
extern const struct mv_option_table mv_ivshmem_server_options;
int mv_ivshmem_server_main(int argc, char **argv);
extern const struct mv_option_table mv_ivshmem_client_options;
extern const char mv_ivshmem_client_notes[];
int mv_ivshmem_client_main(int argc, char **argv);
int mv_help_main(int argc, char **argv);
int mv_version_main(int argc, char **argv);

/* help.c: the help of one verb, all verbs, and the few lines for a bare `memvisor`. */
void mv_help_print_verb(FILE *out, const struct mv_verb *verb);
void mv_help_print_all(FILE *out);
void mv_help_print_short(FILE *out);

/* --- what verbs that take the names of VMs have in common */

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
