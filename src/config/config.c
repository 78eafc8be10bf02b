/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_config as a whole: defaults, the checks that concern more than one
 * option, and its end.  The options themselves are in run-options.c.
 */
#include "config.h"

#include "options.h"
#include "config-text.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_BANK "512M"

void mv_config_free(struct mv_config *config)
{
    char *texts[] = {config->name,    config->kernel,      config->firmware,
                     config->initrd,  config->cmdline,     config->engine,
                     config->machine, config->serial_path, config->qmp_path, config->gdb,
                     config->dump_dtb,    config->mem_dir};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < config->bank_count; i++)
        mv_config_bank_clear(&config->banks[i]);
    free(config->banks);
    for (size_t i = 0; i < config->back_count; i++)
        mv_config_back_clear(&config->backs[i]);
    free(config->backs);
    for (size_t i = 0; i < config->device_count; i++)
        mv_config_device_clear(&config->devices[i]);
    free(config->devices);
    *config = (struct mv_config){0};
}

static int default_text(char **field, const char *text, struct mv_error *err)
{
    if (*field == NULL && (*field = strdup(text)) == NULL)
        return mv_error_set_errno(err, ENOMEM, "options");
    return 0;
}

static int fill_defaults(struct mv_config *config, struct mv_error *err)
{
    int r = default_text(&config->cmdline, "", err);
    if (r == 0)
        r = default_text(&config->engine, "auto", err);
    if (r == 0)
        r = default_text(&config->machine, "arm64", err);
    if (r == 0 && config->bank_count == 0)
        r = mv_config_add_bank(config, DEFAULT_BANK, err);
    return r;
}

static int check_what_boots(const struct mv_config *config, struct mv_error *err)
{
    if (config->kernel != NULL && config->firmware != NULL)
        return mv_error_set(err, EINVAL,
                            "-k and --firmware exclude each other: a guest starts with a kernel "
                            "or with a bare-metal binary");
    if (config->kernel == NULL && config->firmware == NULL)
        return mv_error_set(err, EINVAL,
                            "nothing to run: give a kernel with -k FILE, or a bare-metal binary "
                            "with --firmware FILE");
    return 0;
}

int mv_config_parse_run(int argc, char *const *argv, struct mv_config *ret, struct mv_error *err)
{
    struct mv_config config = {.cpus = 1, .serial = MV_SERIAL_STDIO};
    int r = mv_options_parse(&mv_run_options, argc, argv, &config, err);
    if (r == 0)
        r = check_what_boots(&config, err);
    if (r == 0)
        r = fill_defaults(&config, err);
    if (r != 0) {
        mv_config_free(&config);
        return r;
    }
    *ret = config;
    return 0;
}
