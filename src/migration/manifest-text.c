/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest-text.h"

#include "manifest.h"
#include "section.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *at(const struct mv_manifest_member *member, const void *object)
{
    return (char *)object + member->offset;
}

static int refuse(struct mv_error *err, const char *what)
{
    return mv_error_set(err, EINVAL, "it is no %s", what);
}

static void clear_nothing(const struct mv_manifest_member *member, void *object)
{
    (void)member;
    (void)object;
}

/* --- texts */

static void put_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        putc(*text, out);
    }
    putc('"', out);
}

/* One character, and where the next one begins; false where it is no UTF-8 (RFC 3629). */
static bool next_character(const unsigned char **io_text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *c = *io_text;
    size_t more = *c < 0x80 ? 0 : *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : 1;
    uint32_t value = more == 0 ? *c : *c & (0x3fu >> more);
    if ((*c >= 0x80 && *c < 0xc2) || *c > 0xf4)
        return false;
    for (size_t i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return false;
        value = value << 6 | (c[i] & 0x3f);
    }
    *io_text = c + 1 + more;
    *ret = value;
    return value >= least[more] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

static int check_text(const char *text, struct mv_error *err)
{
    const unsigned char *at = (const unsigned char *)text;
    uint32_t c;
    while (*at != '\0') {
        if (!next_character(&at, &c))
            return mv_error_set(err, EINVAL, "it is not in UTF-8");
        if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
            return mv_error_set(err, EINVAL, "it has control characters");
    }
    return 0;
}

static int take_text(const json_t *value, const struct mv_manifest_member *member, void *object,
                     struct mv_error *err)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return refuse(err, "text");
    int r = check_text(text, err);
    if (r < 0)
        return r;
    char **to = at(member, object);
    *to = strdup(text);
    return *to == NULL ? mv_error_set_errno(err, ENOMEM, "%zu bytes", strlen(text)) : 0;
}

static void put_text(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    const char *text = *(char **)at(member, object);
    put_string(out, text == NULL ? "" : text);
}

static void clear_text(const struct mv_manifest_member *member, void *object)
{
    char **text = at(member, object);
    free(*text);
    *text = NULL;
}

const struct mv_manifest_kind mv_manifest_text = {take_text, put_text, clear_text};

static int take_optional(const json_t *value, const struct mv_manifest_member *member, void *object,
                         struct mv_error *err)
{
    return json_is_null(value) ? 0 : take_text(value, member, object, err);
}

static void put_optional(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    if (*(char **)at(member, object) == NULL)
        fputs("null", out);
    else
        put_text(out, member, object);
}

const struct mv_manifest_kind mv_manifest_optional = {take_optional, put_optional, clear_text};

/* --- numbers */

static int take_integer(const json_t *value, uint64_t most, uint64_t *ret, struct mv_error *err)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0)
        return refuse(err, "number from 0 on");
    if ((uint64_t)number > most)
        return mv_error_set(err, EINVAL, "%" PRIdMAX " is more than the most, %" PRIu64,
                            (intmax_t)number, most);
    *ret = (uint64_t)number;
    return 0;
}

static int take_number(const json_t *value, const struct mv_manifest_member *member, void *object,
                       struct mv_error *err)
{
    return take_integer(value, INT64_MAX, at(member, object), err);
}

static void put_number(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    fprintf(out, "%" PRIu64, *(uint64_t *)at(member, object));
}

const struct mv_manifest_kind mv_manifest_number = {take_number, put_number, clear_nothing};

static int take_small(const json_t *value, const struct mv_manifest_member *member, void *object,
                      struct mv_error *err)
{
    uint64_t number = 0;
    int r = take_integer(value, UINT32_MAX, &number, err);
    if (r == 0)
        *(uint32_t *)at(member, object) = (uint32_t)number;
    return r;
}

static void put_small(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    fprintf(out, "%" PRIu32, *(uint32_t *)at(member, object));
}

const struct mv_manifest_kind mv_manifest_small = {take_small, put_small, clear_nothing};

static int take_hex(const json_t *value, const struct mv_manifest_member *member, void *object,
                    struct mv_error *err)
{
    static const char digits[] = "0123456789abcdef";
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    size_t length = strlen(text);
    if (length < 3 || length > 18 || strncmp(text, "0x", 2) != 0 ||
        strspn(text + 2, digits) != length - 2)
        return refuse(err, "text of a number such as 0x80000000");
    *(uint64_t *)at(member, object) = strtoull(text, NULL, 16);
    return 0;
}

static void put_hex(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    fprintf(out, "\"0x%" PRIx64 "\"", *(uint64_t *)at(member, object));
}

const struct mv_manifest_kind mv_manifest_hex = {take_hex, put_hex, clear_nothing};

/* --- either of two */

static int take_bool(const json_t *value, const struct mv_manifest_member *member, void *object,
                     struct mv_error *err)
{
    if (!json_is_boolean(value))
        return refuse(err, "true or false");
    *(bool *)at(member, object) = json_is_true(value);
    return 0;
}

static void put_bool(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    fputs(*(bool *)at(member, object) ? "true" : "false", out);
}

const struct mv_manifest_kind mv_manifest_bool = {take_bool, put_bool, clear_nothing};

static int take_word(const json_t *value, const struct mv_manifest_member *member, void *object,
                     struct mv_error *err)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    bool second = strcmp(text, member->words[1]) == 0;
    if (!second && strcmp(text, member->words[0]) != 0)
        return mv_error_set(err, EINVAL, "it is neither '%s' nor '%s'", member->words[0],
                            member->words[1]);
    *(bool *)at(member, object) = second;
    return 0;
}

static void put_word(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    put_string(out, member->words[*(bool *)at(member, object)]);
}

const struct mv_manifest_kind mv_manifest_word = {take_word, put_word, clear_nothing};

/* --- a state's id */

static int take_id(const json_t *value, const struct mv_manifest_member *member, void *object,
                   struct mv_error *err)
{
    uint8_t *id = at(member, object);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (strlen(text) != (size_t)2 * MV_MANIFEST_ID_BYTES ||
        strspn(text, "0123456789abcdef") != (size_t)2 * MV_MANIFEST_ID_BYTES)
        return mv_error_set(err, EINVAL, "it is not %d hex digits", 2 * MV_MANIFEST_ID_BYTES);
    for (size_t i = 0; i < MV_MANIFEST_ID_BYTES; i++) {
        const char byte[] = {text[2 * i], text[2 * i + 1], '\0'};
        id[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return 0;
}

static void put_id(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    const uint8_t *id = at(member, object);
    putc('"', out);
    for (size_t i = 0; i < MV_MANIFEST_ID_BYTES; i++)
        fprintf(out, "%02x", id[i]);
    putc('"', out);
}

const struct mv_manifest_kind mv_manifest_id = {take_id, put_id, clear_nothing};

/* --- structs */

static int take_inner(const json_t *value, const struct mv_manifest_member *member, void *object,
                      struct mv_error *err)
{
    return mv_manifest_take_object(value, member->shape, at(member, object), err);
}

static void put_inner(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    mv_manifest_put_object(out, member->shape, at(member, object));
}

static void clear_inner(const struct mv_manifest_member *member, void *object)
{
    mv_manifest_clear_object(member->shape, at(member, object));
}

const struct mv_manifest_kind mv_manifest_object = {take_inner, put_inner, clear_inner};

static size_t *count_of(const struct mv_manifest_member *member, const void *object)
{
    return (size_t *)((char *)object + member->flag);
}

static int take_list(const json_t *value, const struct mv_manifest_member *member, void *object,
                     struct mv_error *err)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value))
        return refuse(err, "list");
    if (count > MV_MANIFEST_LIST_MAX)
        return mv_error_set(err, EINVAL, "it has %zu entries: %d are the most", count,
                            MV_MANIFEST_LIST_MAX);
    char *list = calloc(count + 1, member->shape->size);
    if (list == NULL)
        return mv_error_set_errno(err, ENOMEM, "a list of %zu", count);
    *(char **)at(member, object) = list;
    *count_of(member, object) = count;
    for (size_t i = 0; i < count; i++) {
        int r = mv_manifest_take_object(json_array_get(value, i), member->shape,
                                        list + i * member->shape->size, err);
        if (r < 0) {
            mv_error_prefix(err, "entry %zu", i + 1);
            return r;
        }
    }
    return 0;
}

static void put_list(FILE *out, const struct mv_manifest_member *member, const void *object)
{
    const char *list = *(char **)at(member, object);
    putc('[', out);
    for (size_t i = 0; i < *count_of(member, object); i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", out);
        mv_manifest_put_object(out, member->shape, list + i * member->shape->size);
    }
    putc(']', out);
}

static void clear_list(const struct mv_manifest_member *member, void *object)
{
    char **list = at(member, object);
    for (size_t i = 0; i < *count_of(member, object); i++)
        mv_manifest_clear_object(member->shape, *list + i * member->shape->size);
    free(*list);
    *list = NULL;
    *count_of(member, object) = 0;
}

const struct mv_manifest_kind mv_manifest_list = {take_list, put_list, clear_list};

/* --- an object's members */

static bool is_optional(const struct mv_manifest_member *member)
{
    return member->flag != MV_MANIFEST_ALWAYS && member->kind != &mv_manifest_list;
}

static int take_member(const json_t *value, const struct mv_manifest_member *member, void *object,
                       struct mv_error *err)
{
    int r = 0;
    if (value == NULL && is_optional(member))
        return 0;
    if (is_optional(member))
        *((bool *)((char *)object + member->flag)) = true;
    r = value == NULL ? mv_error_set(err, EINVAL, "it is missing")
                      : member->kind->take(value, member, object, err);
    if (r < 0)
        mv_error_prefix(err, "'%s'", member->name);
    return r;
}

static int refuse_unknown(const json_t *value, const struct mv_manifest_shape *shape,
                          struct mv_error *err)
{
    const char *key;
    json_t *ignored;
    json_object_foreach((json_t *)value, key, ignored)
    {
        char text[MV_SECTION_TEXT];
        const struct mv_manifest_member *member = shape->members;
        while (member->name != NULL && strcmp(member->name, key) != 0)
            member++;
        if (member->name == NULL)
            return mv_error_set(err, EINVAL, "'%s' of %s is unknown to memvisor " MV_VERSION,
                                mv_section_text(key, text), shape->is);
    }
    return 0;
}

int mv_manifest_take_object(const json_t *value, const struct mv_manifest_shape *shape,
                            void *object, struct mv_error *err)
{
    if (!json_is_object(value))
        return mv_error_set(err, EINVAL, "%s is no object", shape->is);
    int r = refuse_unknown(value, shape, err);
    for (const struct mv_manifest_member *m = shape->members; r == 0 && m->name != NULL; m++)
        r = take_member(json_object_get(value, m->name), m, object, err);
    const char *name =
        shape->named == NULL ? NULL : json_string_value(json_object_get(value, shape->named));
    if (r < 0 && name != NULL)
        mv_error_prefix(err, "'%s'", mv_section_text(name, (char[MV_SECTION_TEXT]){""}));
    return r;
}

void mv_manifest_put_object(FILE *out, const struct mv_manifest_shape *shape, const void *object)
{
    const char *between = "{";
    for (const struct mv_manifest_member *m = shape->members; m->name != NULL; m++) {
        if (is_optional(m) && !*((const bool *)((const char *)object + m->flag)))
            continue;
        fprintf(out, "%s\"%s\": ", between, m->name);
        m->kind->put(out, m, object);
        between = ", ";
    }
    putc('}', out);
}

static int check_list(const struct mv_manifest_member *member, const void *object,
                      struct mv_error *err)
{
    const char *list = *(char **)at(member, object);
    size_t count = *count_of(member, object);
    int r = 0;
    if (count > MV_MANIFEST_LIST_MAX)
        return mv_error_set(err, EINVAL, "it has %zu entries: %d are the most", count,
                            MV_MANIFEST_LIST_MAX);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = mv_manifest_check_object(member->shape, list + i * member->shape->size, err);
    return r;
}

static int check_member(const struct mv_manifest_member *m, const void *object,
                        struct mv_error *err)
{
    bool is_text = m->kind == &mv_manifest_text || m->kind == &mv_manifest_optional;
    const char *text = is_text ? *(char **)at(m, object) : NULL;
    if (text != NULL)
        return check_text(text, err);
    if (m->kind == &mv_manifest_list)
        return check_list(m, object, err);
    return m->kind == &mv_manifest_object ? mv_manifest_check_object(m->shape, at(m, object), err)
                                          : 0;
}

int mv_manifest_check_object(const struct mv_manifest_shape *shape, const void *object,
                             struct mv_error *err)
{
    int r = 0;
    for (const struct mv_manifest_member *m = shape->members; r == 0 && m->name != NULL; m++) {
        r = check_member(m, object, err);
        if (r < 0)
            mv_error_prefix(err, "'%s'", m->name);
    }
    return r;
}

void mv_manifest_clear_object(const struct mv_manifest_shape *shape, void *object)
{
    for (const struct mv_manifest_member *m = shape->members; m->name != NULL; m++)
        m->kind->clear(m, object);
}
