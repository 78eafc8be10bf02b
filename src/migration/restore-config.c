/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a manifest, and the options that replace what it says, to the configuration of a
 * machine.  Texts of banks and devices meet the parsers that the command line meets.  No
 * state; called by restore.c.
 */
#include "restore-parts.h"

#include "cleanup.h"
#include "config-text.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

bool mv_manifest_is_bank(const struct mv_manifest_block *block)
{
    return strchr(block->id, '/') == NULL;
}

bool mv_manifest_is_boot(const struct mv_manifest_block *block)
{
    return strncmp(block->id, "boot/", 5) == 0;
}

static int copy(char **field, const char *text, struct mv_error *err)
{
    if (*field == NULL && (*field = strdup(text)) == NULL)
        return mv_error_set_errno(err, ENOMEM, "what the state says");
    return 0;
}

/* As -c has it. */
#define CPUS_MAX 64

/* --- banks */

/* Its bytes come to be where --back says. */
static void forget_place(struct mv_config_backing *backing)
{
    free(backing->file);
    free(backing->nbd);
    backing->file = backing->nbd = NULL;
    backing->seen = 0;
    backing->has_offset = backing->create = backing->same_file = false;
    backing->memfd = backing->has_fd = false;
    backing->hugetlb = 0;
    backing->share = MV_SWITCH_DEFAULT;
}

static bool is_backed(const struct mv_config *config, const char *id)
{
    for (size_t i = 0; i < config->back_count; i++) {
        if (strcmp(config->backs[i].id, id) == 0)
            return true;
    }
    return false;
}

/* The number is another process's, or by chance one of this: never to be taken at its word. */
static int check_descriptor(const struct mv_manifest_block *block,
                            const struct mv_config_backing *backing, enum mv_config_ram ram,
                            struct mv_error *err)
{
    bool placed = block->saved && backing->share == MV_SWITCH_OFF && ram != MV_RAM_COPY;
    if (!backing->has_fd || placed)
        return 0;
    return mv_error_set(err, EINVAL,
                        "block %s: its bytes were in descriptor %d of the process that was saved: "
                        "say with -m, for each bank, where they are to be now",
                        block->id, backing->fd);
}

/* By the text that -m would have, so that what that refuses is refused. */
static int add_bank(struct mv_config *config, const struct mv_manifest_block *block,
                    enum mv_config_ram ram, struct mv_error *err)
{
    CLEANUP_FREE char *text = NULL;
    struct mv_config_bank bank = {
        .size = block->size, .has_gpa = true, .gpa = block->gpa, .id = block->id};
    if (!block->has_gpa)
        return mv_error_set(err, EINVAL, "manifest: block %s: a bank without an address",
                            block->id);
    int r = mv_config_parse_backing(block->backing, &bank.backing, err);
    if (r == 0 && is_backed(config, block->id))
        forget_place(&bank.backing);
    if (r == 0)
        r = check_descriptor(block, &bank.backing, ram, err);
    if (r == 0)
        r = mv_config_print_bank(&bank, &text, err);
    mv_backing_clear(&bank.backing);
    if (r < 0)
        return r;
    r = mv_config_parse_bank(text, &config->banks[config->bank_count], err);
    config->bank_count += r == 0;
    return r;
}

static int add_banks(struct mv_config *config, const struct mv_manifest *manifest,
                     enum mv_config_ram ram, struct mv_error *err)
{
    config->banks = calloc(manifest->block_count + 1, sizeof *config->banks);
    if (config->banks == NULL)
        return mv_error_set_errno(err, ENOMEM, "the state's banks");
    for (size_t i = 0; i < manifest->block_count; i++) {
        const struct mv_manifest_block *block = &manifest->blocks[i];
        int r = mv_manifest_is_bank(block) ? add_bank(config, block, ram, err) : 0;
        if (r < 0)
            return r;
    }
    return config->bank_count > 0 ? 0
                                  : mv_error_set(err, EINVAL, "manifest: it has no bank of RAM");
}

/* --- devices */

static int add_devices(struct mv_config *config, const struct mv_manifest *manifest,
                       struct mv_error *err)
{
    config->devices = calloc(manifest->device_count + 1, sizeof *config->devices);
    if (config->devices == NULL)
        return mv_error_set_errno(err, ENOMEM, "the state's devices");
    for (size_t i = 0; i < manifest->device_count; i++) {
        const struct mv_manifest_device *device = &manifest->devices[i];
        if (device->options == NULL)
            continue;
        int r = mv_config_parse_device_add(device->options, &config->devices[config->device_count],
                                           err);
        if (r < 0) {
            mv_error_prefix(err, "manifest: device %s: '%.80s'", device->path, device->options);
            return r;
        }
        config->device_count++;
    }
    return 0;
}

/* --- what boots */

/* The file that a reset of the machine that was saved would have read. */
static int take_outside(const struct mv_manifest *manifest, const char *id, char **field,
                        struct mv_error *err)
{
    const struct mv_manifest_block *block = mv_manifest_find_block(manifest, id);
    return block == NULL || !block->outside ? 0 : copy(field, block->file.path, err);
}

static int complete_reloading(const struct mv_manifest *manifest, struct mv_config *config,
                              struct mv_error *err)
{
    char **kernel = manifest->firmware ? &config->firmware : &config->kernel;
    int r = 0;
    if (config->kernel == NULL && config->firmware == NULL) {
        r = take_outside(manifest, MV_MANIFEST_KERNEL, kernel, err);
        if (r == 0)
            r = take_outside(manifest, MV_MANIFEST_INITRD, &config->initrd, err);
        if (r == 0 && *kernel == NULL)
            r = mv_error_set(err, EINVAL,
                             "--reload on: the state does not say what a reset reads: name it "
                             "with %s FILE, and -i FILE where there is an initrd",
                             manifest->firmware ? "--firmware" : "-k");
    }
    return r;
}

static int complete_boot_files(const struct mv_manifest *manifest, struct mv_config *config,
                               struct mv_error *err)
{
    const char *given = config->kernel != NULL     ? "-k"
                        : config->firmware != NULL ? "--firmware"
                        : config->initrd != NULL   ? "-i"
                                                   : NULL;
    if (config->reload)
        return complete_reloading(manifest, config, err);
    if (given != NULL)
        return mv_error_set(err, EINVAL,
                            "%s: the state has what a reset boots: leave it out, or have each "
                            "reset read it with --reload on",
                            given);
    if (manifest->reload)
        return mv_error_set(err, EINVAL,
                            "--reload off: the state does not have what a reset boots, which its "
                            "guest's resets read anew: leave it out");
    return 0;
}

/* --- the whole */

static int check_machine(const struct mv_manifest *manifest, const struct mv_config *config,
                         struct mv_error *err)
{
    if (strcmp(config->machine, manifest->machine) != 0)
        return mv_error_set(err, EINVAL,
                            "--machine %s: the state's guest has the board '%.40s': leave "
                            "--machine out",
                            config->machine, manifest->machine);
    if (manifest->cpus > CPUS_MAX)
        return mv_error_set(err, EINVAL, "manifest: %u CPUs: %d are the most", manifest->cpus,
                            CPUS_MAX);
    if (config->cpus != manifest->cpus)
        return mv_error_set(err, EINVAL, "-c %u: the state's guest has %u CPU%s: leave -c out",
                            config->cpus, manifest->cpus, manifest->cpus == 1 ? "" : "s");
    return 0;
}

int mv_restore_complete(const struct mv_config_restore *wish, const struct mv_manifest *manifest,
                        const char *cmdline, struct mv_config *config,
                        struct mv_restore_given *ret_given, struct mv_error *err)
{
    ret_given->banks = config->bank_count > 0;
    ret_given->devices = config->device_count > 0;
    if (config->cpus == 0)
        config->cpus = manifest->cpus;
    config->no_reboot |= manifest->no_reboot;
    config->reload =
        wish->reload == MV_SWITCH_DEFAULT ? manifest->reload : wish->reload == MV_SWITCH_ON;
    int r = copy(&config->machine, manifest->machine, err);
    if (r == 0)
        r = copy(&config->engine, manifest->engine, err);
    if (r == 0)
        r = copy(&config->cmdline, cmdline, err);
    if (r == 0)
        r = check_machine(manifest, config, err);
    if (r == 0)
        r = complete_boot_files(manifest, config, err);
    if (r == 0 && !ret_given->banks)
        r = add_banks(config, manifest, wish->ram, err);
    if (r == 0 && !ret_given->devices)
        r = add_devices(config, manifest, err);
    return r;
}
