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

/* Parse `text` as one -m argument and append it. */
int mv_config_add_bank(struct mv_config *config, const char *text, struct mv_error *err);
/* Append a --back, which becomes the configuration's. */
int mv_config_add_back(struct mv_config *config, struct mv_config_back *back,
                       struct mv_error *err);
/* Append a device, which becomes the configuration's. */
int mv_config_add_device(struct mv_config *config, struct mv_config_device *device,
                         struct mv_error *err);

/* --- backing-text.c: the keys of -m and --back that say where a block's bytes live, as data */

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

/* --- device-text.c: what the arguments of devices have in common */

/* What a device is before its arguments are read. */
extern const struct mv_config_device mv_device_text_fresh;

/* In the place of what the field held. */
int mv_device_text_copy(char **field, const char *value, struct mv_error *err);
/* A key that says which device it is and where it sits; 1 where it is none of these. */
int mv_device_text_place(struct mv_config_device *device, const char *key, const char *value,
                         struct mv_error *err);

typedef int mv_device_text_fn(struct mv_config_device *device, char *word, uint32_t *seen,
                              struct mv_error *err);
/* Calls fn for each word.  *ret_seen has a bit for each key of a backing that was given. */
int mv_device_text_words(struct mv_config_device *device, char *rest, mv_device_text_fn *fn,
                         uint32_t *ret_seen, struct mv_error *err);
/* Ends a parser: stores the device in *ret where r is 0, frees it where not; returns r. */
int mv_device_text_finish(int r, struct mv_config_device *device, struct mv_config_device *ret);

/* --- ivshmem-text.c: the words of device_add behind the type */
int mv_ivshmem_text_plain(struct mv_config_device *device, char *words, struct mv_error *err);
int mv_ivshmem_text_doorbell(struct mv_config_device *device, char *words, struct mv_error *err);

#endif
