/* SPDX-License-Identifier: Apache-2.0 */
#include "save-file.h"

#include "bytes.h"
#include "cleanup.h"
#include "machine.h"
#include "ram-view.h"
#include "state.h"
#include "statefile.h"

#include <stdlib.h>
#include <string.h>

/* --- objects */

static int add_object(void *opaque, const char *path, const struct mv_state_table *table,
                      void *object, struct mv_error *err)
{
    struct mv_save_objects *objects = opaque;
    if (objects->count == objects->room) {
        size_t room = objects->room == 0 ? 32 : 2 * objects->room;
        struct mv_save_object *grown = reallocarray(objects->list, room, sizeof *grown);
        if (grown == NULL)
            return mv_error_set_errno(err, ENOMEM, "%s", path);
        objects->list = grown;
        objects->room = room;
    }
    struct mv_save_object *entry = &objects->list[objects->count++];
    *entry = (struct mv_save_object){strdup(path), table, malloc(mv_state_size(table))};
    if (entry->path == NULL || entry->bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", path);
    mv_state_save(table, object, entry->bytes);
    return 0;
}

int mv_save_objects_take(struct mv_save_objects *objects, struct mv_machine *machine,
                         struct mv_error *err)
{
    return mv_machine_save_objects(machine, add_object, objects, err);
}

void mv_save_objects_clear(struct mv_save_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        free(objects->list[i].path);
        free(objects->list[i].bytes);
    }
    free(objects->list);
    *objects = (struct mv_save_objects){0};
}

/* --- sections */

int mv_save_write_objects(const struct mv_save_objects *objects, struct mv_section_writer *sections,
                          struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < objects->count; i++) {
        const struct mv_save_object *object = &objects->list[i];
        r = mv_section_write(sections,
                             &(struct mv_section){.type = MV_SECTION_OBJECT,
                                                  .version = object->table->version,
                                                  .name = object->path,
                                                  .kind = object->table->type,
                                                  .payload = object->bytes,
                                                  .length = mv_state_size(object->table)},
                             err);
    }
    return r;
}

int mv_save_write_sums(struct mv_section_writer *sections, const char *id, const uint64_t *sums,
                       size_t count, struct mv_error *err)
{
    CLEANUP_FREE uint8_t *bytes = malloc(8 * count + 1);
    uint8_t *at = bytes;
    if (bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "sums of block %s", id);
    for (size_t i = 0; i < count; i++)
        at = mv_bytes_put(at, sums[i], 8);
    return mv_section_write(
        sections,
        &(struct mv_section){
            .type = MV_SECTION_SUMS, .name = id, .kind = "", .payload = bytes, .length = 8 * count},
        err);
}

/* NULL: the file has none of them. */
static int write_pages(struct mv_section_writer *sections, const struct mv_manifest_block *block,
                       const uint64_t *pages, struct mv_error *err)
{
    size_t length = mv_ram_pages_length(block->size);
    CLEANUP_FREE uint8_t *bytes = calloc(length + 1, 1);
    if (bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "pages of block %s", block->id);
    for (size_t i = 0; pages != NULL && i < length; i++)
        bytes[i] = (uint8_t)(pages[i / 8] >> i % 8 * 8);
    return mv_section_write(sections,
                            &(struct mv_section){.type = MV_SECTION_PAGES,
                                                 .name = block->id,
                                                 .kind = "",
                                                 .payload = bytes,
                                                 .length = length},
                            err);
}

/* The plan's parts are its blocks that are saved, in their order. */
static int write_blocks(const struct mv_save_plan *plan, const struct mv_ram_writer *writer,
                        struct mv_section_writer *sections, struct mv_error *err)
{
    const struct mv_manifest *manifest = &plan->manifest;
    int r = 0;
    for (size_t i = 0, part = 0; r == 0 && i < manifest->block_count; i++) {
        const struct mv_manifest_block *block = &manifest->blocks[i];
        size_t count;
        if (!block->saved)
            continue;
        const uint64_t *sums = mv_ram_writer_sums(writer, part, &count);
        r = mv_save_write_sums(sections, block->id, sums, count, err);
        if (r == 0 && plan->parts[part].partial)
            r = write_pages(sections, block, mv_ram_writer_pages(writer, part), err);
        part++;
    }
    return r;
}

int mv_save_file_end(int fd, const struct mv_save_plan *plan, const struct mv_ram_writer *writer,
                     const struct mv_save_objects *objects, uint64_t *ret_length,
                     struct mv_error *err)
{
    struct mv_statefile_writer out;
    CLEANUP_FREE char *text = NULL;
    size_t length;
    int r = mv_manifest_print(&plan->manifest, plan->ram_length, &text, &length, err);
    if (r == 0)
        r = mv_statefile_begin(&out, fd, plan->manifest.id, plan->ram_length, text, length, err);
    if (r == 0)
        r = mv_save_write_objects(objects, &out.sections, err);
    if (r == 0)
        r = write_blocks(plan, writer, &out.sections, err);
    if (r == 0)
        r = mv_statefile_end(&out, err);
    if (r == 0)
        *ret_length = out.next;
    return r;
}
