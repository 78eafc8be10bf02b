/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the options of `memvisor run`, and of the keys of a bank. */
#ifndef MV_CONFIG_RUN_OPTIONS_H
#define MV_CONFIG_RUN_OPTIONS_H

#include "config.h"
#include "options.h"

extern const struct mv_option_table mv_run_options;

/* The part of -m behind the comma; ended by a key that is NULL. */
struct mv_bank_key {
    const char *key;
    const char *argument;
    const char *help;
    const char *later; /* as in struct mv_option */
    int (*set)(struct mv_config_bank *bank, const char *value, struct mv_error *err);
};
extern const struct mv_bank_key mv_bank_keys[];

/* Parse `text` as one -m argument and append it. */
int mv_config_add_bank(struct mv_config *config, const char *text, struct mv_error *err);

#endif
