/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what a save writes beside memory: the machine's objects, as they
 * are while it is paused, and then, behind memory, the manifest and the sections.
 */
#ifndef MV_MIGRATION_SAVE_FILE_H
#define MV_MIGRATION_SAVE_FILE_H

#include "save-plan.h"

struct mv_state_table;

struct mv_section_writer;

/* Begins as zeros. */
struct mv_save_objects {
    struct mv_save_object {
        char *path;
        const struct mv_state_table *table;
        uint8_t *bytes;
    } * list;
    size_t count, room;
};

/* Main thread; what mv_machine_save_objects says. */
int mv_save_objects_take(struct mv_save_objects *objects, struct mv_machine *machine,
                         struct mv_error *err);
void mv_save_objects_clear(struct mv_save_objects *objects);

/*
 * Once the writer has made its sums of the plan's parts: all that is left to write, but for
 * what is synced.  *ret_length: of the file, in bytes.
 */
int mv_save_file_end(int fd, const struct mv_save_plan *plan, const struct mv_ram_writer *writer,
                     const struct mv_save_objects *objects, uint64_t *ret_length,
                     struct mv_error *err);

/* Sections of type OBJECT, without the end. */
int mv_save_write_objects(const struct mv_save_objects *objects, struct mv_section_writer *sections,
                          struct mv_error *err);
/* A block's sums. */
int mv_save_write_sums(struct mv_section_writer *sections, const char *id, const uint64_t *sums,
                       size_t count, struct mv_error *err);

#endif
