/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_manifest: what a state is of, as plain values: the machine, its blocks with their
 * places, its devices.  In a state file it is JSON text, of which all members stand in tables
 * in manifest.c.  Banks, backings and devices are the text that options of `run` are, so that
 * the parser that reads command lines reads them, too.
 *
 * A text that is read is hostile: what it may have of blocks, of places in the file, and of
 * memory to be read, is bounded here.  What the values mean is checked by who uses them.
 * No lock; called by save.c, and by all who read a state.
 */
#ifndef MV_MIGRATION_MANIFEST_H
#define MV_MIGRATION_MANIFEST_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

#define MV_MANIFEST_ID_BYTES 16 /* MV_STATEFILE_ID_BYTES */
#define MV_MANIFEST_LIST_MAX 16384

/* The blocks that have what a reset boots. */
#define MV_MANIFEST_KERNEL  "boot/kernel"
#define MV_MANIFEST_INITRD  "boot/initrd"
#define MV_MANIFEST_CMDLINE "boot/cmdline"

/* A block's bytes that stay outside. */
struct mv_manifest_file {
    char *path; /* from the root on */
    uint64_t size, device, inode;
};

struct mv_manifest_block {
    char *id; /* no two have the same */
    bool has_gpa;
    uint64_t gpa, size; /* the size is not 0, and need not be whole pages */
    char *backing;      /* keys as mv_config_print_backing has them; "" for none */
    bool saved;         /* its bytes are in the state file, */
    uint64_t offset;    /* from this offset of the file on */
    bool outside;       /* its bytes stayed where they are; never both */
    struct mv_manifest_file file;
};

struct mv_manifest_device {
    char *path; /* no two have the same */
    char *type;
    uint32_t version;
    char *options; /* as mv_config_parse_device_add takes it; NULL: the board's own */
};

struct mv_manifest {
    char *name; /* of the VM */
    uint8_t id[MV_MANIFEST_ID_BYTES];
    int64_t saved_at; /* seconds since 1970 */
    char *writer;     /* "memvisor VERSION" */
    char *machine, *engine;
    unsigned cpus;                    /* at least 1 */
    bool firmware;                    /* boot/kernel is a flat binary */
    bool no_reboot, reload;           /* as the options of run */
    struct mv_manifest_block *blocks; /* boot/kernel, boot/initrd, boot/cmdline among them */
    size_t block_count;
    struct mv_manifest_device *devices; /* with a state, in the order in which they are made */
    size_t device_count;
    bool has_base; /* only what changed since that state was written is here */
    char *base_path;
    uint8_t base_id[MV_MANIFEST_ID_BYTES];
};

/*
 * JSON text to be freed, which mv_manifest_parse makes the same struct of.  `ram_length` as
 * there.  -EINVAL, which says why, where it would not: a path that is no UTF-8, say.
 */
int mv_manifest_print(const struct mv_manifest *manifest, uint64_t ram_length, char **ret_text,
                      size_t *ret_length, struct mv_error *err);

/*
 * `ram_length` bytes from MV_STATEFILE_RAM_OFFSET on are where blocks may be in the file.
 * -EINVAL for what breaks a rule, with the block's or device's name, -E2BIG for a text of too
 * many values, -ENOMEM.  Errors begin with "manifest: ".
 */
int mv_manifest_parse(const char *text, size_t length, uint64_t ram_length, struct mv_manifest *ret,
                      struct mv_error *err);
void mv_manifest_clear(struct mv_manifest *manifest);

/*
 * The text as JSON values, as they are in it: -EINVAL for what is no JSON, -E2BIG for too many
 * values, -ENOMEM.
 */
int mv_manifest_load(const char *text, size_t length, struct json_t **ret, struct mv_error *err);

/* NULL where there is none. */
const struct mv_manifest_block *mv_manifest_find_block(const struct mv_manifest *manifest,
                                                       const char *id);

#endif
