/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include "cleanup.h"
#include "manifest-text.h"
#include "section.h"
#include "size.h"
#include "statefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(MV_MANIFEST_ID_BYTES == MV_STATEFILE_ID_BYTES, "it is the same id");

/* --- the members */

#define ALWAYS MV_MANIFEST_ALWAYS
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#define IN_FILE(member) offsetof(struct mv_manifest_file, member)
static const struct mv_manifest_shape file_shape = {
    .is = "a file",
    .size = sizeof(struct mv_manifest_file),
    .members =
        (const struct mv_manifest_member[]){
            {"path", &mv_manifest_text, IN_FILE(path), ALWAYS},
            {"size", &mv_manifest_number, IN_FILE(size), ALWAYS},
            {"device", &mv_manifest_hex, IN_FILE(device), ALWAYS},
            {"inode", &mv_manifest_hex, IN_FILE(inode), ALWAYS},
            END,
        },
};

#define IN_BLOCK(member) offsetof(struct mv_manifest_block, member)
static const struct mv_manifest_shape block_shape = {
    .is = "a block",
    .named = "id",
    .size = sizeof(struct mv_manifest_block),
    .members =
        (const struct mv_manifest_member[]){
            {"id", &mv_manifest_text, IN_BLOCK(id), ALWAYS},
            {"gpa", &mv_manifest_hex, IN_BLOCK(gpa), IN_BLOCK(has_gpa)},
            {"size", &mv_manifest_number, IN_BLOCK(size), ALWAYS},
            {"backing", &mv_manifest_text, IN_BLOCK(backing), ALWAYS},
            {"offset", &mv_manifest_number, IN_BLOCK(offset), IN_BLOCK(saved)},
            {"file", &mv_manifest_object, IN_BLOCK(file), IN_BLOCK(outside), &file_shape},
            END,
        },
};

#define IN_DEVICE(member) offsetof(struct mv_manifest_device, member)
static const struct mv_manifest_shape device_shape = {
    .is = "a device",
    .named = "path",
    .size = sizeof(struct mv_manifest_device),
    .members =
        (const struct mv_manifest_member[]){
            {"path", &mv_manifest_text, IN_DEVICE(path), ALWAYS},
            {"type", &mv_manifest_text, IN_DEVICE(type), ALWAYS},
            {"version", &mv_manifest_small, IN_DEVICE(version), ALWAYS},
            {"options", &mv_manifest_optional, IN_DEVICE(options), ALWAYS},
            END,
        },
};

#define IN_ALL(member) offsetof(struct mv_manifest, member)
static const struct mv_manifest_shape machine_shape = {
    .is = "a machine",
    .members =
        (const struct mv_manifest_member[]){
            {"type", &mv_manifest_text, IN_ALL(machine), ALWAYS},
            {"engine", &mv_manifest_text, IN_ALL(engine), ALWAYS},
            {"cpus", &mv_manifest_small, IN_ALL(cpus), ALWAYS},
            END,
        },
};

static const struct mv_manifest_shape boot_shape = {
    .is = "what a reset boots",
    .members =
        (const struct mv_manifest_member[]){
            {"kind", &mv_manifest_word, IN_ALL(firmware), ALWAYS,
             .words = (const char *const[]){"kernel", "firmware"}},
            {"no-reboot", &mv_manifest_bool, IN_ALL(no_reboot), ALWAYS},
            {"reload", &mv_manifest_bool, IN_ALL(reload), ALWAYS},
            END,
        },
};

static const struct mv_manifest_shape base_shape = {
    .is = "a base",
    .members =
        (const struct mv_manifest_member[]){
            {"path", &mv_manifest_text, IN_ALL(base_path), ALWAYS},
            {"id", &mv_manifest_id, IN_ALL(base_id), ALWAYS},
            END,
        },
};

static const struct mv_manifest_shape manifest_shape = {
    .is = "a manifest",
    .size = sizeof(struct mv_manifest),
    .members =
        (const struct mv_manifest_member[]){
            {"name", &mv_manifest_text, IN_ALL(name), ALWAYS},
            {"id", &mv_manifest_id, IN_ALL(id), ALWAYS},
            {"saved", &mv_manifest_number, IN_ALL(saved_at), ALWAYS},
            {"writer", &mv_manifest_text, IN_ALL(writer), ALWAYS},
            {"machine", &mv_manifest_object, 0, ALWAYS, &machine_shape},
            {"boot", &mv_manifest_object, 0, ALWAYS, &boot_shape},
            {"blocks", &mv_manifest_list, IN_ALL(blocks), IN_ALL(block_count), &block_shape},
            {"devices", &mv_manifest_list, IN_ALL(devices), IN_ALL(device_count), &device_shape},
            {"base", &mv_manifest_object, 0, IN_ALL(has_base), &base_shape},
            END,
        },
};

/* --- what they must be together */

static const char *shown(const char *text, char buf[MV_SECTION_TEXT])
{
    return mv_section_text(text, buf);
}
/* In memory of the block that it stands in. */
#define SHOWN(text) shown(text, (char[MV_SECTION_TEXT]){""})

static int check_block(const struct mv_manifest_block *block, uint64_t ram_length,
                       struct mv_error *err)
{
    uint64_t end, ram_end = MV_STATEFILE_RAM_OFFSET + ram_length;
    if (block->size == 0)
        return mv_error_set(err, EINVAL, "it has no bytes");
    if (block->has_gpa && mv_add_overflows(block->gpa, block->size - 1, &end))
        return mv_error_set(err, EINVAL, "%s from 0x%" PRIx64 " on are too large",
                            mv_size_text(block->size), block->gpa);
    if (block->saved && block->outside)
        return mv_error_set(err, EINVAL, "it is in this file and in another one");
    if (block->outside && block->file.path[0] != '/')
        return mv_error_set(err, EINVAL, "its file '%s' has no path from the root on",
                            SHOWN(block->file.path));
    if (!block->saved)
        return 0;
    if (block->offset % MV_STATEFILE_RAM_ALIGN != 0)
        return mv_error_set(err, EINVAL, "its place at byte %" PRIu64 " is no multiple of 2 MiB",
                            block->offset);
    if (block->offset < MV_STATEFILE_RAM_OFFSET ||
        mv_add_overflows(block->offset, block->size, &end) || end > ram_end)
        return mv_error_set(err, EINVAL,
                            "its %" PRIu64 " bytes at byte %" PRIu64
                            " are outside of RAM, which ends at byte %" PRIu64,
                            block->size, block->offset, ram_end);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct mv_manifest_block *const *one = a, *const *other = b;
    return strcmp((*one)->id, (*other)->id);
}

/* What is not in the file last. */
static int by_place(const void *a, const void *b)
{
    const struct mv_manifest_block *const *one = a, *const *other = b;
    uint64_t p = (*one)->saved ? (*one)->offset : UINT64_MAX;
    uint64_t q = (*other)->saved ? (*other)->offset : UINT64_MAX;
    return (p > q) - (p < q);
}

static int check_blocks(const struct mv_manifest *manifest, uint64_t ram_length,
                        struct mv_error *err)
{
    size_t count = manifest->block_count;
    CLEANUP_FREE const struct mv_manifest_block **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        return mv_error_set_errno(err, ENOMEM, "sorting %zu blocks", count);
    for (size_t i = 0; i < count; i++) {
        const struct mv_manifest_block *block = sorted[i] = &manifest->blocks[i];
        if (block->id[0] == '\0')
            return mv_error_set(err, EINVAL, "block %zu has no id", i + 1);
        int r = check_block(block, ram_length, err);
        if (r < 0) {
            mv_error_prefix(err, "block %s", SHOWN(block->id));
            return r;
        }
    }
    qsort(sorted, count, sizeof *sorted, by_id);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            return mv_error_set(err, EINVAL, "block %s is there twice", SHOWN(sorted[i]->id));
    qsort(sorted, count, sizeof *sorted, by_place);
    for (size_t i = 1; i < count && sorted[i]->saved; i++)
        if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->size)
            return mv_error_set(err, EINVAL, "blocks %s and %s overlap in the file",
                                SHOWN(sorted[i - 1]->id), SHOWN(sorted[i]->id));
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct mv_manifest_device *const *one = a, *const *other = b;
    return strcmp((*one)->path, (*other)->path);
}

static int check_devices(const struct mv_manifest *manifest, struct mv_error *err)
{
    size_t count = manifest->device_count;
    CLEANUP_FREE const struct mv_manifest_device **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        return mv_error_set_errno(err, ENOMEM, "sorting %zu devices", count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &manifest->devices[i];
    qsort(sorted, count, sizeof *sorted, by_path);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0)
            return mv_error_set(err, EINVAL, "device %s is there twice", SHOWN(sorted[i]->path));
    return 0;
}

static int check(const struct mv_manifest *manifest, uint64_t ram_length, struct mv_error *err)
{
    if (ram_length > INT64_MAX / 2)
        return mv_error_set(err, EINVAL, "RAM of %" PRIu64 " bytes is too large", ram_length);
    if (manifest->name[0] == '\0')
        return mv_error_set(err, EINVAL, "'name': it is empty");
    if (manifest->cpus == 0)
        return mv_error_set(err, EINVAL, "'machine': 'cpus': a machine has one at least");
    int r = check_blocks(manifest, ram_length, err);
    return r < 0 ? r : check_devices(manifest, err);
}

/* --- text */

/*
 * Of the characters that make a value; each takes up to some 100 bytes of memory when it is
 * read, whatever it is.  A list of the most blocks has 15 for each.
 */
#define VALUES_MAX 262144

static int check_count(const char *text, size_t length, struct mv_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '{' || text[i] == '[' || text[i] == ',' || text[i] == ':';
    if (count <= VALUES_MAX)
        return 0;
    return mv_error_set(err, E2BIG, "it has more than %d values", VALUES_MAX);
}

/*
 * Without memory jansson loses a character of a text and says nothing, so what it asks for
 * is watched.
 */
static _Thread_local bool lost;
static json_malloc_t watched; /* the one that the process had before */

static void *watched_malloc(size_t size)
{
    void *memory = watched(size);
    lost |= memory == NULL;
    return memory;
}

/* The control socket has an allocator of its own, from when it is made on. */
static void watch(void)
{
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    if (allocate == watched_malloc)
        return;
    watched = allocate;
    json_set_alloc_funcs(watched_malloc, release);
}

int mv_manifest_load(const char *text, size_t length, struct json_t **ret, struct mv_error *err)
{
    json_error_t why;
    int r = check_count(text, length, err);
    if (r < 0)
        return r;
    watch();
    lost = false;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (lost) {
        json_decref(value);
        return mv_error_set_errno(err, ENOMEM, "reading its %zu bytes", length);
    }
    if (value == NULL)
        return mv_error_set(err, EINVAL, "it is no JSON text (line %d: %s)", why.line,
                            SHOWN(why.text));
    *ret = value;
    return 0;
}

static int parse(const char *text, size_t length, uint64_t ram_length, struct mv_manifest *manifest,
                 struct mv_error *err)
{
    json_t *value;
    int r = mv_manifest_load(text, length, &value, err);
    if (r < 0)
        return r;
    r = mv_manifest_take_object(value, &manifest_shape, manifest, err);
    const char *writer = json_string_value(json_object_get(value, "writer"));
    if (r == 0)
        r = check(manifest, ram_length, err);
    if (r < 0 && writer != NULL)
        mv_error_prefix(err, "written by '%s'", SHOWN(writer));
    json_decref(value);
    return r;
}

int mv_manifest_parse(const char *text, size_t length, uint64_t ram_length, struct mv_manifest *ret,
                      struct mv_error *err)
{
    struct mv_manifest manifest = {0};
    int r = parse(text, length, ram_length, &manifest, err);
    if (r < 0) {
        mv_error_prefix(err, "manifest");
        mv_manifest_clear(&manifest);
    } else {
        *ret = manifest;
    }
    return r;
}

int mv_manifest_print(const struct mv_manifest *manifest, uint64_t ram_length, char **ret_text,
                      size_t *ret_length, struct mv_error *err)
{
    CLEANUP_FREE char *text = NULL;
    size_t length;
    /* What no text can say is refused now, and not where somebody relies on it. */
    int r = mv_manifest_check_object(&manifest_shape, manifest, err);
    if (r == 0)
        r = check(manifest, ram_length, err);
    if (r < 0) {
        mv_error_prefix(err, "manifest");
        return r;
    }
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return mv_error_set_errno(err, ENOMEM, "writing the manifest");
    mv_manifest_put_object(out, &manifest_shape, manifest);
    putc('\n', out);
    bool failed = ferror(out) != 0;
    /* The last step of closing allocates, and its failure is told by the text alone. */
    failed |= fclose(out) != 0 || text == NULL;
    if (failed)
        return mv_error_set_errno(err, ENOMEM, "writing the manifest");
    if (length > MV_STATEFILE_MANIFEST_MAX)
        return mv_error_set(err, E2BIG, "manifest: it has %zu bytes: %d are the most", length,
                            (int)MV_STATEFILE_MANIFEST_MAX);
    *ret_text = text;
    *ret_length = length;
    text = NULL;
    return 0;
}

void mv_manifest_clear(struct mv_manifest *manifest)
{
    mv_manifest_clear_object(&manifest_shape, manifest);
    *manifest = (struct mv_manifest){0};
}

const struct mv_manifest_block *mv_manifest_find_block(const struct mv_manifest *manifest,
                                                       const char *id)
{
    for (size_t i = 0; i < manifest->block_count; i++)
        if (strcmp(manifest->blocks[i].id, id) == 0)
            return &manifest->blocks[i];
    return NULL;
}
