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
#include <stdio.h>

extern const struct mv_option_table mv_run_options, mv_restore_options, mv_receive_options;

/*
 * restore-options.c: what takes the place of what a state says, for a target that begins as
 * mv_config_restore, and whether it goes together.
 */
extern const struct mv_option mv_restore_shared[];
int mv_config_check_restore(const struct mv_config_restore *restore, struct mv_error *err);

/* run-options.c: setters of options that other verbs have, too; the target begins as mv_config. */
mv_option_set_fn mv_config_set_name, mv_config_set_cmdline, mv_config_set_cpus, mv_config_set_bank,
    mv_config_set_back, mv_config_set_ivshmem, mv_config_set_device, mv_config_set_engine,
    mv_config_set_machine, mv_config_set_serial;

/* Whether the text is digits alone, of a number that is no more than max: the number. */
bool mv_config_number(const char *text, unsigned long max, unsigned long *ret);

/* --- backing-text.c: the keys of -m and --back that say where a block's bytes live, as data */

struct mv_backing_key;

/* Room for a value that is a number. */
#define MV_VALUE_TEXT 32

/* How values of a kind are read and written. */
struct mv_backing_kind {
    /* Check `value` and store it at key->offset. */
    int (*set)(struct mv_config_backing *backing, const struct mv_backing_key *key,
               const char *value, struct mv_error *err);
    /* The reverse; NULL: it was not given.  It may stand in buf. */
    const char *(*get)(const struct mv_config_backing *backing, const struct mv_backing_key *key,
                       char buf[MV_VALUE_TEXT]);
};

struct mv_backing_key {
    const char *key;
    const char *argument; /* what its value is; words that '|' separates are all there are */
    const char *help;
    const struct mv_backing_kind *kind;
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

/* Whether the key was given as text; what code has set was not. */
bool mv_backing_is_seen(const struct mv_config_backing *backing, const struct mv_backing_key *key);

/* Whether a place for bytes is written as an NBD export's URI is. */
bool mv_backing_is_nbd(const char *text);

/* Whether the keys go together; -EINVAL names those that do not. */
int mv_backing_check(const struct mv_config_backing *backing, struct mv_error *err);

void mv_backing_clear(struct mv_config_backing *backing);

/* --- print-text.c: from structs to text */

/* A word of a list that commas separate: its own are doubled. */
void mv_text_word(FILE *out, const char *word);
/* ",key=value" */
void mv_text_key(FILE *out, const char *key, const char *value);
/* Each key that is set. */
void mv_backing_print(FILE *out, const struct mv_config_backing *backing);
/* A size as mv_size_parse takes it; what it does not take is written all the same. */
const char *mv_size_word(uint64_t bytes, char buf[MV_VALUE_TEXT]);

/* --- device-text.c */

/* The type and the keys, as mv_config_parse_device_add takes them. */
void mv_device_print(FILE *out, const struct mv_config_device *device);

#endif
