/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what a save has to write, as the machine is at one moment: the
 * manifest, and the parts of memory with their places in the file.  Made by the main thread.
 */
#ifndef MV_MIGRATION_SAVE_PLAN_H
#define MV_MIGRATION_SAVE_PLAN_H

#include "manifest.h"
#include "ram-writer.h"

struct mv_machine;

struct mv_save_plan {
    struct mv_manifest manifest;
    struct mv_ram_part *parts; /* in the order of their places; their bytes are the plan's */
    uint64_t *generations;     /* of the parts' blocks; 0 for what is no block */
    size_t count;
    uint64_t ram_length; /* in the file */
    bool shared;         /* a bank stays outside, and goes on changing with the guest */
    struct mv_save_mapping {
        void *bytes;
        size_t length;
    } mappings[2]; /* kernel and initrd */
    size_t mapping_count;
};

/* -ENOMEM, or what cannot be told in a manifest.  A plan begins as zeros. */
int mv_save_plan_make(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err);
void mv_save_plan_clear(struct mv_save_plan *plan);
/* Whether the same bytes go to the same places. */
bool mv_save_plan_matches(const struct mv_save_plan *plan, const struct mv_save_plan *other);

#endif
