/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fields of which parts' states differ.  Bytes of a state name their fields (state.h),
 * so that no table is needed, and states of other versions can be compared, too.  What they
 * say is hostile.  No state, no lock; called by diff.c.
 */
#include "bytes.h"
#include "cleanup.h"
#include "diff.h"
#include "state.h"
#include "statefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* More fields than any part has. */
#define FIELDS_MAX 65536

/* --- fields, by name */

static int compare_names(const struct mv_saved_field *a, const struct mv_saved_field *b)
{
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int r = memcmp(a->name, b->name, shorter);
    return r != 0 ? r : (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

static int by_name(const void *a, const void *b)
{
    return compare_names(a, b);
}

static int refuse(const struct mv_chain_file *file, const struct mv_section *section,
                  const char *why, struct mv_error *err)
{
    return mv_error_set(err, EINVAL, "'%s': section %td '%s': %s", file->path,
                        section - file->state->sections + 1,
                        mv_section_text(section->name, (char[MV_SECTION_TEXT]){""}), why);
}

/* The fields of a section's payload, sorted: to be freed. */
static int take_fields(const struct mv_chain_file *file, const struct mv_section *section,
                       struct mv_saved_field **ret, size_t *ret_count, struct mv_error *err)
{
    struct mv_saved_field field, *fields = NULL;
    size_t at = 0, count = 0;
    int r;
    *ret = NULL;
    *ret_count = 0;
    while ((r = mv_state_next(section->payload, section->length, &at, &field)) > 0) {
        if ((count & (count - 1)) == 0) {
            size_t room = count == 0 ? 1 : 2 * count;
            fields = reallocarray(*ret, room, sizeof *fields);
            if (fields == NULL || count == FIELDS_MAX)
                return fields == NULL ? mv_error_set_errno(err, ENOMEM, "'%s'", file->path)
                                      : refuse(file, section, "it has too many fields", err);
            *ret = fields;
        }
        (*ret)[count++] = field;
    }
    if (r < 0)
        return refuse(file, section, "its bytes are none of a state", err);
    if (count > 1)
        qsort(*ret, count, sizeof **ret, by_name);
    *ret_count = count;
    return 0;
}

/* --- two of one name */

struct pair {
    struct mv_diff *diff;
    const char *path;
};

static const char *field_name(const struct mv_saved_field *field, char buf[MV_SECTION_TEXT])
{
    char name[MV_SECTION_TEXT] = "";
    size_t length = field->name_length < sizeof name ? field->name_length : sizeof name - 1;
    memcpy(name, field->name, length);
    return mv_section_text(name, buf);
}

static uint64_t value_of(const struct mv_saved_field *field, size_t index)
{
    size_t size = mv_state_type_size(field->type);
    return mv_bytes_get(field->values + index * size, size);
}

static int add_element(const struct pair *pair, const struct mv_saved_field *a,
                       const struct mv_saved_field *b, size_t index, struct mv_error *err)
{
    char name[MV_SECTION_TEXT], what[MV_SECTION_TEXT + 32], texts[2][24];
    field_name(a, name);
    snprintf(what, sizeof what, a->count == 1 ? "%s" : "%s[%zu]", name, index);
    snprintf(texts[0], sizeof texts[0], "0x%" PRIx64, value_of(a, index));
    snprintf(texts[1], sizeof texts[1], "0x%" PRIx64, value_of(b, index));
    return mv_diff_add(pair->diff, "state", pair->path, what, texts[0], texts[1], err);
}

static const char *shape_of(const struct mv_saved_field *field, char buf[64])
{
    if (field == NULL)
        return NULL;
    snprintf(buf, 64, "%zu of %zu bits", field->count, 8 * mv_state_type_size(field->type));
    return buf;
}

/* One of them may be NULL. */
static int compare_fields(const struct pair *pair, const struct mv_saved_field *a,
                          const struct mv_saved_field *b, struct mv_error *err)
{
    char name[MV_SECTION_TEXT], shapes[2][64];
    int r = 0;
    if (a == NULL || b == NULL || a->type != b->type || a->count != b->count)
        return mv_diff_add(pair->diff, "state", pair->path, field_name(a == NULL ? b : a, name),
                           shape_of(a, shapes[0]), shape_of(b, shapes[1]), err);
    if (memcmp(a->values, b->values, a->count * mv_state_type_size(a->type)) == 0)
        return 0;
    for (size_t i = 0; r == 0 && i < a->count; i++)
        if (value_of(a, i) != value_of(b, i))
            r = add_element(pair, a, b, i, err);
    return r;
}

static int compare_all(const struct pair *pair, const struct mv_saved_field *a, size_t a_count,
                       const struct mv_saved_field *b, size_t b_count, struct mv_error *err)
{
    size_t i = 0, k = 0;
    int r = 0;
    while (r == 0 && (i < a_count || k < b_count)) {
        int order = i == a_count ? 1 : k == b_count ? -1 : compare_names(&a[i], &b[k]);
        r = compare_fields(pair, order <= 0 ? &a[i] : NULL, order >= 0 ? &b[k] : NULL, err);
        i += order <= 0;
        k += order >= 0;
    }
    return r;
}

/* --- two parts at one path */

static int compare_payloads(const struct pair *pair, const struct mv_chain_file *files[2],
                            const struct mv_section *sections[2], struct mv_error *err)
{
    CLEANUP_FREE struct mv_saved_field *a = NULL;
    CLEANUP_FREE struct mv_saved_field *b = NULL;
    size_t a_count, b_count;
    int r = take_fields(files[0], sections[0], &a, &a_count, err);
    if (r == 0)
        r = take_fields(files[1], sections[1], &b, &b_count, err);
    return r < 0 ? r : compare_all(pair, a, a_count, b, b_count, err);
}

static int compare_sections(struct mv_diff *diff, const struct mv_chain_file *files[2],
                            const struct mv_section *sections[2], struct mv_error *err)
{
    const struct pair pair = {diff, sections[0]->name};
    char texts[2][24];
    if (strcmp(sections[0]->kind, sections[1]->kind) != 0)
        return mv_diff_add(diff, "state", pair.path, "", sections[0]->kind, sections[1]->kind, err);
    int r = 0;
    if (sections[0]->version != sections[1]->version) {
        snprintf(texts[0], sizeof texts[0], "%" PRIu32, sections[0]->version);
        snprintf(texts[1], sizeof texts[1], "%" PRIu32, sections[1]->version);
        r = mv_diff_add(diff, "state", pair.path, "version", texts[0], texts[1], err);
    }
    if (r < 0 || (sections[0]->length == sections[1]->length &&
                  memcmp(sections[0]->payload, sections[1]->payload, sections[0]->length) == 0))
        return r;
    return compare_payloads(&pair, files, sections, err);
}

int mv_diff_states(struct mv_diff *diff, const struct mv_chain_file *a,
                   const struct mv_chain_file *b, struct mv_error *err)
{
    const struct mv_chain_file *files[] = {a, b};
    int r = 0;
    for (size_t i = 0; r == 0 && i < a->state->section_count; i++) {
        const struct mv_section *own = &a->state->sections[i];
        if (own->type != MV_SECTION_OBJECT)
            continue;
        const struct mv_section *sections[] = {
            own, mv_statefile_find(b->state, MV_SECTION_OBJECT, own->name)};
        r = sections[1] != NULL ? compare_sections(diff, files, sections, err)
                                : mv_diff_add(diff, "state", own->name, "", own->kind, NULL, err);
    }
    for (size_t i = 0; r == 0 && i < b->state->section_count; i++) {
        const struct mv_section *other = &b->state->sections[i];
        if (other->type == MV_SECTION_OBJECT &&
            mv_statefile_find(a->state, MV_SECTION_OBJECT, other->name) == NULL)
            r = mv_diff_add(diff, "state", other->name, "", NULL, other->kind, err);
    }
    return r;
}
