/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as data.  A verb's options stand in one table, from which the
 * command line is parsed, --help is written, and options of later versions
 * are refused by name.  No state beyond the call; called by run-options.c and the verbs of
 * the cli room.
 */
#ifndef MV_CONFIG_OPTIONS_H
#define MV_CONFIG_OPTIONS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct mv_option;

/* Check `value` (NULL for a flag) and store it in `target`. */
typedef int mv_option_set_fn(void *target, const struct mv_option *option, const char *value,
                             struct mv_error *err);

struct mv_option {
    const char *name;      /* long name without dashes */
    char letter;           /* short name, or 0 */
    const char *argument;  /* what the help calls its value; NULL: a flag */
    mv_option_set_fn *set; /* NULL only where `later` is set */
    size_t offset;         /* of the field that the common setters store to */
    const char *help;      /* one or more sentences; lists of values and defaults */
    const char *alias;     /* a second long name, or NULL */
    const char *later;     /* what it is for, where this version does not have it yet; else NULL */
    bool repeatable;
    bool dash_value; /* a separate value may start with '-' */
};

/* An option of another VMM's that users try, and what to do here instead. */
struct mv_foreign_option {
    const char *name; /* without dashes */
    const char *hint; /* behind "unknown option '-smp': " */
};

struct mv_option_table {
    const char *verb;
    const struct mv_option *options;
    size_t count;
    /*
     * Words that are no options, in their order; `argument` names each.  NULL where there are
     * none.  A repeatable one takes all that are left.
     */
    const struct mv_option *words;
    size_t word_count;
    size_t words_needed; /* the first so many have to be there */
    const struct mv_foreign_option *foreign;
    size_t foreign_count;
    /* Further options, which other verbs have, too, ended by one without a name; or NULL. */
    const struct mv_option *shared;
};

/* One after the other, those of the verb and those that it shares; NULL behind the last. */
const struct mv_option *mv_option_at(const struct mv_option_table *table, size_t index);

/* What mv_options_parse returns where -h or --help was given. */
#define MV_OPTIONS_HELP 1

/*
 * Parse the words behind a verb.  Accepts --name VALUE, --name=VALUE, -x VALUE
 * and -xVALUE; behind -- all are words.  0, MV_OPTIONS_HELP, or -EINVAL (or what a setter returned)
 * with a message that names the option and says what would be right; `target`
 * then holds what was stored before.
 */
int mv_options_parse(const struct mv_option_table *table, int argc, char *const *argv, void *target,
                     struct mv_error *err);

/* Common setters: a copy of a non-empty string at option->offset; a bool. */
mv_option_set_fn mv_option_set_string;
mv_option_set_fn mv_option_set_flag;

/* "'X' is not in this version (0.1.0) of memvisor …": -EINVAL. */
int mv_later_refuse(const char *what, const char *purpose, const char *help_verb,
                    struct mv_error *err);

/* --- the nearest spelling of a mistyped word, for "did you mean" in messages */

struct mv_suggestion {
    const char *word;
    const char *nearest; /* NULL while nothing is near enough */
    size_t distance;
};

/* Start looking for what is near `word`, which stays the caller's. */
void mv_suggestion_init(struct mv_suggestion *suggestion, const char *word);

/*
 * Offer a candidate (NULL is ignored); kept where it is nearer than those
 * before it.  Near enough means that about a third of the letters are wrong at
 * most, or that one word starts with the other.
 */
void mv_suggestion_offer(struct mv_suggestion *suggestion, const char *candidate);

#endif
