/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the options of `memvisor run`. */
#ifndef MV_CONFIG_RUN_OPTIONS_H
#define MV_CONFIG_RUN_OPTIONS_H

#include "config.h"
#include "options.h"

extern const struct mv_option_table mv_run_options;

/* Parse `text` as one -m argument and append it. */
int mv_config_add_bank(struct mv_config *config, const char *text, struct mv_error *err);
/* Append a --back, which becomes the configuration's. */
int mv_config_add_back(struct mv_config *config, struct mv_config_back *back,
                       struct mv_error *err);
/* Append a device, which becomes the configuration's. */
int mv_config_add_device(struct mv_config *config, struct mv_config_device *device,
                         struct mv_error *err);

#endif
