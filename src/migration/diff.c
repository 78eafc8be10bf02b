/* SPDX-License-Identifier: Apache-2.0 */
#include "diff.h"

#include "cleanup.h"
#include "log.h"
#include "ram-view.h"
#include "size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct mv_error *err)
{
    return mv_error_set_errno(err, ENOMEM, "comparing two states");
}

/* --- values */

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static void clear_value(struct mv_diff_value *value)
{
    free(value->name);
    free(value->what);
    free(value->texts[0]);
    free(value->texts[1]);
}

int mv_diff_add(struct mv_diff *diff, const char *of, const char *name, const char *what,
                const char *text, const char *other, struct mv_error *err)
{
    size_t count = diff->value_count;
    if (count == MV_DIFF_VALUES_MAX) {
        diff->more++;
        return 0;
    }
    if ((count & (count - 1)) == 0) {
        size_t room = count == 0 ? 1 : 2 * count;
        struct mv_diff_value *grown = reallocarray(diff->values, room, sizeof *grown);
        if (grown == NULL)
            return no_memory(err);
        diff->values = grown;
    }
    struct mv_diff_value *value = &diff->values[diff->value_count++];
    *value = (struct mv_diff_value){of, copy(name), copy(what), {copy(text), copy(other)}};
    return value->name == NULL || value->what == NULL ||
                   (text != NULL && value->texts[0] == NULL) ||
                   (other != NULL && value->texts[1] == NULL)
               ? no_memory(err)
               : 0;
}

/* Unless they are the same. */
static int compare(struct mv_diff *diff, const char *of, const char *name, const char *what,
                   const char *text, const char *other, struct mv_error *err)
{
    if (text == other || (text != NULL && other != NULL && strcmp(text, other) == 0))
        return 0;
    return mv_diff_add(diff, of, name, what, text, other, err);
}

static const char *number(uint64_t value, char buf[24])
{
    snprintf(buf, 24, "%" PRIu64, value);
    return buf;
}
#define NUMBER(value) number(value, (char[24]){""})

static const char *on_off(bool value)
{
    return value ? "on" : "off";
}

static int compare_machines(struct mv_diff *diff, const struct mv_manifest *a,
                            const struct mv_manifest *b, struct mv_error *err)
{
    const char *const rows[][3] = {
        {"name", a->name, b->name},
        {"type", a->machine, b->machine},
        {"engine", a->engine, b->engine},
        {"cpus", NUMBER(a->cpus), NUMBER(b->cpus)},
        {"boot", a->firmware ? "firmware" : "kernel", b->firmware ? "firmware" : "kernel"},
        {"no-reboot", on_off(a->no_reboot), on_off(b->no_reboot)},
        {"reload", on_off(a->reload), on_off(b->reload)},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof rows / sizeof rows[0]; i++)
        r = compare(diff, "machine", "", rows[i][0], rows[i][1], rows[i][2], err);
    return r;
}

/* --- devices */

static const struct mv_manifest_device *find_device(const struct mv_manifest *manifest,
                                                    const char *path)
{
    for (size_t i = 0; i < manifest->device_count; i++)
        if (strcmp(manifest->devices[i].path, path) == 0)
            return &manifest->devices[i];
    return NULL;
}

static int compare_devices(struct mv_diff *diff, const struct mv_manifest *a,
                           const struct mv_manifest *b, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < a->device_count; i++) {
        const struct mv_manifest_device *d = &a->devices[i], *other = find_device(b, d->path);
        r = compare(diff, "device", d->path, "", d->type, other == NULL ? NULL : other->type, err);
        if (r < 0 || other == NULL)
            continue;
        r = compare(diff, "device", d->path, "version", NUMBER(d->version), NUMBER(other->version),
                    err);
        if (r == 0)
            r = compare(diff, "device", d->path, "options", d->options, other->options, err);
    }
    for (size_t i = 0; r == 0 && i < b->device_count; i++)
        if (find_device(a, b->devices[i].path) == NULL)
            r = mv_diff_add(diff, "device", b->devices[i].path, "", NULL, b->devices[i].type, err);
    return r;
}

/* --- blocks */

static const char *address(const struct mv_manifest_block *block, char buf[24])
{
    if (!block->has_gpa)
        return NULL;
    snprintf(buf, 24, "0x%" PRIx64, block->gpa);
    return buf;
}

static const char *place(const struct mv_manifest_block *block)
{
    return block->saved ? "in the state" : block->outside ? block->file.path : "nowhere";
}

static int compare_block(struct mv_diff *diff, const struct mv_manifest_block *a,
                         const struct mv_manifest_block *b, struct mv_error *err)
{
    char texts[2][24];
    int r = compare(diff, "block", a->id, "size", NUMBER(a->size), NUMBER(b->size), err);
    if (r == 0)
        r = compare(diff, "block", a->id, "gpa", address(a, texts[0]), address(b, texts[1]), err);
    if (r == 0)
        r = compare(diff, "block", a->id, "backing", a->backing, b->backing, err);
    return r < 0 ? r : compare(diff, "block", a->id, "place", place(a), place(b), err);
}

/* --- pages */

static int add_run(struct mv_diff_block *block, uint64_t offset, uint64_t size,
                   struct mv_error *err)
{
    size_t count = block->run_count;
    struct mv_diff_run *last = count == 0 ? NULL : &block->runs[count - 1];
    block->bytes += size;
    if (last != NULL && last->offset + last->size == offset) {
        last->size += size;
        return 0;
    }
    if ((count & (count - 1)) == 0) {
        size_t room = count == 0 ? 1 : 2 * count;
        struct mv_diff_run *grown = reallocarray(block->runs, room, sizeof *grown);
        if (grown == NULL)
            return no_memory(err);
        block->runs = grown;
    }
    block->runs[block->run_count++] = (struct mv_diff_run){offset, size};
    return 0;
}

/* Of two states, what is looked at; each has two buffers. */
struct side {
    const struct mv_chain *chain;
    struct mv_ram_view view;
    uint8_t *buffers;
};

static int read_side(const struct side *side, uint64_t chunk, struct mv_error *err)
{
    bool zero;
    int r = mv_ram_view_read(&side->view, chunk, side->buffers, side->buffers + MV_RAM_CHUNK, &zero,
                             err);
    if (r == 0 && zero)
        memset(side->buffers, 0, mv_ram_chunk_size(side->view.size, chunk));
    return r;
}

static int compare_chunk(struct mv_diff_block *block, const struct side sides[2], uint64_t chunk,
                         struct mv_error *err)
{
    int r = read_side(&sides[0], chunk, err);
    if (r == 0)
        r = read_side(&sides[1], chunk, err);
    size_t len = mv_ram_chunk_size(sides[0].view.size, chunk),
           other = mv_ram_chunk_size(sides[1].view.size, chunk);
    len = other < len ? other : len;
    for (size_t at = 0; r == 0 && at < len; at += MV_RAM_PAGE) {
        size_t n = len - at < MV_RAM_PAGE ? len - at : MV_RAM_PAGE;
        if (memcmp(sides[0].buffers + at, sides[1].buffers + at, n) != 0)
            r = add_run(block, chunk * MV_RAM_CHUNK + at, n, err);
    }
    return r;
}

/* As far as both have bytes there. */
static int compare_pages(struct mv_diff_block *block, const struct side sides[2],
                         struct mv_error *err)
{
    struct mv_progress progress;
    uint64_t chunks =
        sides[0].view.chunks < sides[1].view.chunks ? sides[0].view.chunks : sides[1].view.chunks;
    int r = 0;
    mv_progress_begin(&progress, "comparing", chunks * MV_RAM_CHUNK);
    for (uint64_t chunk = 0; r == 0 && chunk < chunks; chunk++) {
        if (!mv_ram_view_is_same(&sides[0].view, &sides[1].view, chunk))
            r = compare_chunk(block, sides, chunk, err);
        mv_progress_add(&progress, MV_RAM_CHUNK);
    }
    mv_progress_end(&progress);
    return r;
}

/* Whose bytes no file has is no error. */
static int compare_bytes(struct mv_diff_block *block, struct side sides[2], struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = mv_ram_view_open(sides[i].chain, block->block->id, &sides[i].view, err);
    if (r == 0)
        r = compare_pages(block, sides, err);
    bool nowhere = r == -ENODATA && sides[1].view.layers == NULL;
    for (size_t i = 0; i < 2; i++)
        mv_ram_view_close(&sides[i].view);
    if (!nowhere)
        return r;
    block->not_compared = strdup(err->text);
    return block->not_compared == NULL ? no_memory(err) : 0;
}

static int compare_blocks(struct mv_diff *diff, struct side sides[2], struct mv_error *err)
{
    const struct mv_manifest *a = &sides[0].chain->files[0].manifest;
    const struct mv_manifest *b = &sides[1].chain->files[0].manifest;
    int r = 0;
    diff->blocks = calloc(a->block_count + 1, sizeof *diff->blocks);
    if (diff->blocks == NULL)
        return no_memory(err);
    for (size_t i = 0; r == 0 && i < a->block_count; i++) {
        const struct mv_manifest_block *own = &a->blocks[i],
                                       *other = mv_manifest_find_block(b, own->id);
        if (other == NULL) {
            r = mv_diff_add(diff, "block", own->id, "", mv_size_text(own->size), NULL, err);
            continue;
        }
        struct mv_diff_block *block = &diff->blocks[diff->block_count++];
        block->block = own;
        r = compare_block(diff, own, other, err);
        if (r == 0)
            r = compare_bytes(block, sides, err);
        if (block->run_count == 0 && block->not_compared == NULL)
            diff->block_count--;
    }
    for (size_t i = 0; r == 0 && i < b->block_count; i++)
        if (mv_manifest_find_block(a, b->blocks[i].id) == NULL)
            r = mv_diff_add(diff, "block", b->blocks[i].id, "", NULL,
                            mv_size_text(b->blocks[i].size), err);
    return r;
}

/* --- all of it */

static int make(struct mv_diff *diff, struct side sides[2], struct mv_error *err)
{
    const struct mv_chain_file *a = &sides[0].chain->files[0], *b = &sides[1].chain->files[0];
    int r = compare_machines(diff, &a->manifest, &b->manifest, err);
    if (r == 0)
        r = compare_blocks(diff, sides, err);
    if (r == 0)
        r = compare_devices(diff, &a->manifest, &b->manifest, err);
    return r < 0 ? r : mv_diff_states(diff, a, b, err);
}

int mv_diff_make(const struct mv_chain *a, const struct mv_chain *b, struct mv_diff *ret,
                 struct mv_error *err)
{
    struct mv_diff diff = {0};
    CLEANUP_FREE struct side *sides = calloc(2, sizeof *sides);
    CLEANUP_FREE uint8_t *buffers = aligned_alloc(MV_RAM_PAGE, 4 * MV_RAM_CHUNK);
    if (sides == NULL || buffers == NULL)
        return no_memory(err);
    sides[0].chain = a;
    sides[1].chain = b;
    sides[0].buffers = buffers;
    sides[1].buffers = buffers + 2 * MV_RAM_CHUNK;
    int r = make(&diff, sides, err);
    if (r < 0)
        mv_diff_clear(&diff);
    else
        *ret = diff;
    return r;
}

void mv_diff_clear(struct mv_diff *diff)
{
    for (size_t i = 0; i < diff->value_count; i++)
        clear_value(&diff->values[i]);
    for (size_t i = 0; i < diff->block_count; i++) {
        free(diff->blocks[i].runs);
        free(diff->blocks[i].not_compared);
    }
    free(diff->values);
    free(diff->blocks);
    *diff = (struct mv_diff){0};
}
