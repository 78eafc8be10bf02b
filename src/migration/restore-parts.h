/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what restore.c, restore-config.c and restore-match.c offer each
 * other.  The main thread's.
 */
#ifndef MV_MIGRATION_RESTORE_PARTS_H
#define MV_MIGRATION_RESTORE_PARTS_H

#include "chain.h"
#include "config.h"

struct mv_machine;

/* What was given in place of what the manifest says. */
struct mv_restore_given {
    bool banks, devices;
    bool elsewhere; /* the manifest is another host's: its numbers of files tell nothing here */
};

/* A bank of RAM, by its id, which has no '/'. */
bool mv_manifest_is_bank(const struct mv_manifest_block *block);
/* What a reset needs, and no block of a machine. */
bool mv_manifest_is_boot(const struct mv_manifest_block *block);

/* Header and status: what is locked of a file.  Blocks lock their own parts. */
#define MV_RESTORE_LOCKED 1024

/* --- restore-chain.c */

/* `file` is what was read of the path before.  -EBUSY where a guest changes one of the others. */
int mv_restore_open_chain(const char *path, const struct mv_statefile *file, struct mv_chain *ret,
                          struct mv_error *err);
/* Whether the file has only some pages of the block. */
bool mv_restore_is_partial(const struct mv_statefile *file, const struct mv_manifest_block *block);
/* Where all of a block's bytes are that never changes, in which file of the chain. */
int mv_restore_find_whole(const struct mv_chain *chain, const char *id, int *ret_fd,
                          uint64_t *ret_offset, struct mv_error *err);

/* --- restore-config.c */

/*
 * Fill in what was not given, and tell what was; `cmdline` is the state's.  `config` holds what was
 * given, and is to be freed by the caller in any case.
 */
int mv_restore_complete(const struct mv_config_restore *wish, const struct mv_manifest *manifest,
                        const char *cmdline, struct mv_config *config,
                        struct mv_restore_given *ret_given, struct mv_error *err);

/* --- restore-load.c */

struct mv_block;
struct mv_section;

/* Those of the sections that are objects; as mv_machine_load_objects.  `writer` wrote them. */
int mv_restore_load_objects(struct mv_machine *machine, const struct mv_section *sections,
                            size_t count, const char *writer, struct mv_error *err);
/* Nothing but zeros is in memory that was made for the block. */
bool mv_restore_is_fresh(const struct mv_block *block);
/*
 * Memory that belongs to others, a server's, is not written unless the device says that the
 * state is to have it.
 */
bool mv_restore_takes_bytes(const struct mv_manifest_block *saved, const struct mv_block *block);

/* --- restore-match.c */

/* Banks, and files that are to have blocks' bytes, before anything is made. */
int mv_restore_match_config(const struct mv_config *config, const struct mv_restore_given *given,
                            const struct mv_manifest *manifest, struct mv_error *err);
/* Devices and their blocks, and which files were opened. */
int mv_restore_match_machine(struct mv_machine *machine, const struct mv_restore_given *given,
                             const struct mv_manifest *manifest, struct mv_error *err);

#endif
