/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How text becomes a struct mv_config: the tables of options and keys, from which
 * the help is made too, and what the files of this room that parse an argument
 * (-m, --back, --device, --ivshmem) have in common.
 */
#ifndef MV_CONFIG_CONFIG_TEXT_H
#define MV_CONFIG_CONFIG_TEXT_H

#include "config.h"
#include "options.h"

#include <stddef.h>
#include <stdint.h>

extern const struct mv_option_table mv_run_options;

/* Whether the text is digits alone, of a number that is no more than max: the number. */
bool mv_config_number(const char *text, unsigned long max, unsigned long *ret);

/* --- backing-text.c: the keys of -m and --back that say where a block's bytes live, as data */

struct mv_backing_key {
    const char *key;
    const char *argument; /* what its value is; words that '|' separates are all there are */
    const char *help;
    /* Check `value` and store it at key->offset. */
    int (*set)(struct mv_config_backing *backing, const struct mv_backing_key *key,
               const char *value, struct mv_error *err);
    size_t offset;
};
/* Ended by a key that is NULL. */
extern const struct mv_backing_key mv_backing_keys[];

/*
 * Take the next word off a list that commas separate, where ",," stands for a
 * comma of the word itself: the word, or NULL at the end.
 */
char *mv_backing_next_word(char **rest);

/* Split "key=value" into its halves: the value, or NULL where there is none. */
char *mv_backing_split(char *word);

/* The key of this name, or NULL. */
const struct mv_backing_key *mv_backing_find_key(const char *name);

/* Store one key.  -EINVAL where the value is none of the key's, or the key is given twice. */
int mv_backing_set(struct mv_config_backing *backing, const struct mv_backing_key *key,
                   const char *value, struct mv_error *err);

/* Whether the keys go together; -EINVAL names those that do not. */
int mv_backing_check(const struct mv_config_backing *backing, struct mv_error *err);

void mv_backing_clear(struct mv_config_backing *backing);

#endif
