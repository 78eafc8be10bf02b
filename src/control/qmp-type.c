/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a value against its type.  Pure; the depth of the recursion is
 * that of the type, not of the value.  Called by qmp-session.c.
 */
#include "qmp-type.h"

#include "qmp-json.h"

#include <stdint.h>
#include <string.h>

const struct mv_qmp_type mv_qmp_str = {.kind = MV_QMP_STR, .name = "str"};
const struct mv_qmp_type mv_qmp_int = {.kind = MV_QMP_INT, .name = "int"};
const struct mv_qmp_type mv_qmp_uint = {.kind = MV_QMP_UINT, .name = "int"};
const struct mv_qmp_type mv_qmp_number = {.kind = MV_QMP_NUMBER, .name = "number"};
const struct mv_qmp_type mv_qmp_bool = {.kind = MV_QMP_BOOL, .name = "bool"};
const struct mv_qmp_type mv_qmp_any = {.kind = MV_QMP_ANY, .name = "any"};
const struct mv_qmp_type mv_qmp_str_list = {
    .kind = MV_QMP_ARRAY, .name = "strList", .element = &mv_qmp_str};
const struct mv_qmp_type mv_qmp_uint_list = {
    .kind = MV_QMP_ARRAY, .name = "intList", .element = &mv_qmp_uint};
static const struct mv_qmp_member no_members[] = {{NULL}};
const struct mv_qmp_type mv_qmp_empty = {
    .kind = MV_QMP_OBJECT, .name = "q_empty", .members = no_members};

/* What an error calls a value of each kind. */
static const char *const kind_words[] = {
    [MV_QMP_STR] = "a string",
    [MV_QMP_INT] = "an integer",
    [MV_QMP_UINT] = "a positive integer",
    [MV_QMP_NUMBER] = "a number",
    [MV_QMP_BOOL] = "true or false",
    [MV_QMP_ANY] = "any value",
    [MV_QMP_ENUM] = "a string",
    [MV_QMP_ARRAY] = "a list",
    [MV_QMP_OBJECT] = "an object",
};

static bool is_of_kind(enum mv_qmp_kind kind, const json_t *value)
{
    switch (kind) {
    case MV_QMP_STR:
    case MV_QMP_ENUM:
        return json_is_string(value) && !mv_qmp_value_is_large(value);
    case MV_QMP_INT:
        return json_is_integer(value);
    case MV_QMP_UINT:
        return mv_qmp_value_is_large(value) ||
               (json_is_integer(value) && json_integer_value(value) >= 0);
    case MV_QMP_NUMBER:
        return json_is_number(value) || mv_qmp_value_is_large(value);
    case MV_QMP_BOOL:
        return json_is_boolean(value);
    case MV_QMP_ARRAY:
        return json_is_array(value);
    case MV_QMP_OBJECT:
        return json_is_object(value);
    case MV_QMP_ANY:
        break;
    }
    return true;
}

static int check_enum(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err)
{
    char list[512] = "";
    for (const char *const *v = type->values; *v != NULL; v++) {
        if (strcmp(*v, json_string_value(value)) == 0)
            return 0;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", *v);
    }
    return mv_error_set(err, EINVAL, "'%.64s' is not one of: %s", json_string_value(value), list);
}

static int check_array(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err)
{
    size_t i;
    json_t *element;
    json_array_foreach(value, i, element)
    {
        int r = mv_qmp_type_check(type->element, element, err);
        if (r < 0) {
            mv_error_prefix(err, "[%zu]", i);
            return r;
        }
    }
    return 0;
}

static const struct mv_qmp_member *find_member(const struct mv_qmp_type *type, const char *name)
{
    for (const struct mv_qmp_member *m = type->members; m->name != NULL; m++) {
        if (strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

/* The members that the tag's value adds; the tag itself was checked. */
static const struct mv_qmp_type *variant_of(const struct mv_qmp_type *type, const json_t *value)
{
    const struct mv_qmp_variant *v = type->variants;
    const char *tag = v == NULL ? NULL : json_string_value(json_object_get(value, type->tag));
    for (; tag != NULL && v->value != NULL; v++) {
        if (strcmp(v->value, tag) == 0)
            return v->type;
    }
    return &mv_qmp_empty;
}

static int check_members(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err)
{
    for (const struct mv_qmp_member *m = type->members; m->name != NULL; m++) {
        const json_t *member = json_object_get(value, m->name);
        if (member == NULL && m->optional)
            continue;
        if (member == NULL)
            return mv_error_set(err, EINVAL, "'%s' is missing", m->name);
        int r = mv_qmp_type_check(m->type, member, err);
        if (r < 0) {
            mv_error_prefix(err, "'%s'", m->name);
            return r;
        }
    }
    return 0;
}

static int check_object(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err)
{
    const char *name;
    json_t *member;
    int r = check_members(type, value, err);
    if (r < 0)
        return r;
    const struct mv_qmp_type *variant = variant_of(type, value);
    r = check_members(variant, value, err);
    if (r < 0)
        return r;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        if (!type->open && find_member(type, name) == NULL && find_member(variant, name) == NULL)
            return mv_error_set(err, EINVAL, "'%.64s' is unexpected", name);
    }
    return 0;
}

int mv_qmp_type_check(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err)
{
    if (!is_of_kind(type->kind, value))
        return mv_error_set(err, EINVAL, "%s is expected", kind_words[type->kind]);
    switch (type->kind) {
    case MV_QMP_ENUM:
        return check_enum(type, value, err);
    case MV_QMP_ARRAY:
        return check_array(type, value, err);
    case MV_QMP_OBJECT:
        return check_object(type, value, err);
    default:
        return 0;
    }
}
