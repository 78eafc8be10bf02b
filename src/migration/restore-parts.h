/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what restore.c, restore-config.c and restore-match.c offer each
 * other.  The main thread's.
 */
#ifndef MV_MIGRATION_RESTORE_PARTS_H
#define MV_MIGRATION_RESTORE_PARTS_H

#include "config.h"
#include "manifest.h"

struct mv_machine;

/* What was given in place of what the manifest says. */
struct mv_restore_given {
    bool banks, devices;
};

/* A bank of RAM, by its id, which has no '/'. */
bool mv_manifest_is_bank(const struct mv_manifest_block *block);
/* What a reset needs, and no block of a machine. */
bool mv_manifest_is_boot(const struct mv_manifest_block *block);

/* --- restore-config.c */

/*
 * Fill in what was not given; `cmdline` is the state's.  `config` holds what was given,
 * and is to be freed by the caller in any case.
 */
int mv_restore_complete(const struct mv_config_restore *wish, const struct mv_manifest *manifest,
                        const char *cmdline, struct mv_config *config,
                        struct mv_restore_given *ret_given, struct mv_error *err);

/* --- restore-match.c */

/* Banks, and files that are to have blocks' bytes, before anything is made. */
int mv_restore_match_config(const struct mv_config *config, const struct mv_restore_given *given,
                            const struct mv_manifest *manifest, struct mv_error *err);
/* Devices and their blocks, and which files were opened. */
int mv_restore_match_machine(struct mv_machine *machine, const struct mv_restore_given *given,
                             const struct mv_manifest *manifest, struct mv_error *err);

#endif
