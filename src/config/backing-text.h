/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of -m and --back that say where a block's bytes live, as data. */
#ifndef MV_CONFIG_BACKING_TEXT_H
#define MV_CONFIG_BACKING_TEXT_H

#include "config.h"
#include "options.h"

#include <stddef.h>

struct mv_backing_key {
    const char *key;
    const char *argument;
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

/*
 * Store one key.  `seen` has a bit for each key that was given before.
 * -EINVAL where the value is none of the key's, or the key is given twice.
 */
int mv_backing_set(struct mv_config_backing *backing, const struct mv_backing_key *key,
                   const char *value, uint32_t *seen, struct mv_error *err);

/* Whether the keys go together; -EINVAL names those that do not. */
int mv_backing_check(const struct mv_config_backing *backing, struct mv_error *err);

void mv_backing_clear(struct mv_config_backing *backing);

#endif
