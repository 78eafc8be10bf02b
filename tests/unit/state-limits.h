/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any object with a state table: each field at its limits and beyond, and what
 * every table has to keep to.
 */
#ifndef MV_TESTS_STATE_LIMITS_H
#define MV_TESTS_STATE_LIMITS_H

#include "state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMITS_PATH "some/path"

static inline uint8_t *limits_save(const struct mv_state_table *table, void *object)
{
    size_t size = mv_state_size(table);
    uint8_t *bytes = malloc(size + 1); /* of no fields, too */
    assert_non_null(bytes);
    bytes[size] = 0x5a;
    mv_state_save(table, object, bytes);
    assert_int_equal(bytes[size], 0x5a);
    return bytes;
}

static inline void limits_load(const struct mv_state_table *table, void *object,
                               const uint8_t *bytes)
{
    struct mv_error why = {""};
    if (mv_state_load(table, object, LIMITS_PATH, bytes, mv_state_size(table), &why) < 0)
        fail_msg("%s", why.text);
}

/* Names are unique, of the characters that state.h allows, and members are within the object. */
static inline void limits_check_table(const struct mv_state_table *table)
{
    assert_true(table->version >= 1 && table->size > 0 && table->object != NULL);
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *a = &table->fields[i];
        size_t size = mv_state_type_size(a->type);
        assert_in_range(strlen(a->name), 1, 255);
        assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz0123456789_.-"),
                         strlen(a->name));
        assert_true(size > 0 && a->count > 0 && a->stride >= size);
        assert_true(a->offset + (a->count - 1) * a->stride + size <= table->size);
        assert_true(a->min <= a->max && a->mask != 0);
        for (size_t j = 0; j < i; j++) {
            const struct mv_state_field *b = &table->fields[j];
            assert_string_not_equal(a->name, b->name);
            if (a->stride == size && b->stride == mv_state_type_size(b->type))
                assert_true(a->offset >= b->offset + b->count * b->stride ||
                            b->offset >= a->offset + a->count * size);
        }
    }
}

/* Where a field's values start in a save. */
static inline uint8_t *limits_values(const struct mv_state_table *table, uint8_t *bytes,
                                     const struct mv_state_field *field)
{
    for (const struct mv_state_field *f = table->fields;; f++) {
        bytes += 1 + strlen(f->name) + 1 + 4;
        if (f == field)
            return bytes;
        bytes += f->count * mv_state_type_size(f->type);
    }
}

static inline uint64_t limits_type_max(const struct mv_state_field *field)
{
    return UINT64_MAX >> (64 - 8 * mv_state_type_size(field->type));
}

/* A refusal names a field of the table: this one, where there is one. */
static inline void limits_assert_names(const struct mv_state_table *table, const char *text,
                                       const struct mv_state_field *field)
{
    const char *name = text + strlen(LIMITS_PATH "/");
    size_t length = strcspn(name, ":[");
    bool found = false;
    assert_memory_equal(text, LIMITS_PATH "/", strlen(LIMITS_PATH "/"));
    for (size_t i = 0; i < table->field_count && field == NULL && !found; i++)
        found = strlen(table->fields[i].name) == length &&
                memcmp(table->fields[i].name, name, length) == 0;
    if (field != NULL)
        found = strlen(field->name) == length && memcmp(field->name, name, length) == 0;
    if (!found)
        fail_msg("names no field, or another than %s: %s", field == NULL ? "any" : field->name,
                 text);
}

struct limits {
    const struct mv_state_table *table;
    void *object;
    uint8_t *good;   /* what it was saved as */
    uint8_t *bytes;  /* the same with one value changed */
    uint8_t *before; /* the object's own bytes */
    unsigned beyond, at, taken;
};

static inline int limits_try(struct limits *l, const struct mv_state_field *field, size_t index,
                             uint64_t value, struct mv_error *why)
{
    size_t size = mv_state_type_size(field->type);
    memcpy(l->bytes, l->good, mv_state_size(l->table));
    uint8_t *at = limits_values(l->table, l->bytes, field) + index * size;
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
    return mv_state_load(l->table, l->object, LIMITS_PATH, l->bytes, mv_state_size(l->table), why);
}

/* What no field takes is refused by this field's name, and changes nothing. */
static inline void limits_beyond(struct limits *l, const struct mv_state_field *field, size_t index,
                                 uint64_t value)
{
    struct mv_error why = {""};
    memcpy(l->before, l->object, l->table->size);
    assert_int_equal(limits_try(l, field, index, value, &why), -EINVAL);
    limits_assert_names(l->table, why.text, field);
    assert_memory_equal(l->before, l->object, l->table->size);
    l->beyond++;
}

/* A legal value is taken, or the table's check has a reason against it. */
static inline void limits_at(struct limits *l, const struct mv_state_field *field, size_t index,
                             uint64_t value)
{
    struct mv_error why = {""};
    if (!mv_state_is_legal(field, value))
        return;
    memcpy(l->before, l->object, l->table->size);
    int r = limits_try(l, field, index, value, &why);
    l->at++;
    if (r == 0) {
        l->taken++;
        limits_load(l->table, l->object, l->good);
        return;
    }
    assert_int_equal(r, -EINVAL);
    limits_assert_names(l->table, why.text, NULL);
    assert_memory_equal(l->before, l->object, l->table->size);
}

static inline void limits_element(struct limits *l, const struct mv_state_field *field,
                                  size_t index)
{
    uint64_t most = limits_type_max(field), outside = most & ~field->mask;
    if (field->type == MV_STATE_BOOL)
        assert_true(field->is_same || field->max == 1);
    if (field->is_same) {
        uint64_t own = mv_state_get(field, l->object, index);
        limits_beyond(l, field, index, (own + 1) & most);
        limits_beyond(l, field, index, (own - 1) & most);
        return;
    }
    for (uint64_t bits = outside; bits != 0; bits &= bits - 1)
        limits_beyond(l, field, index, bits & -bits);
    if (outside != 0)
        limits_beyond(l, field, index, most);
    if (field->max < most) {
        limits_beyond(l, field, index, field->max + 1);
        limits_beyond(l, field, index, most);
    }
    if (field->min > 0)
        limits_beyond(l, field, index, field->min - 1);
    limits_at(l, field, index, field->min);
    limits_at(l, field, index, field->max < most ? field->max : field->mask & most);
    for (uint64_t bits = index == 0 ? field->mask & most : 0; bits != 0; bits &= bits - 1)
        limits_at(l, field, index, bits & -bits);
}

/*
 * Every field of an object's table at its limits and beyond; of a long array its
 * first and last elements and some between.
 */
static inline void limits_walk(const struct mv_state_table *table, void *object)
{
    struct limits l = {.table = table, .object = object};
    limits_check_table(table);
    l.good = limits_save(table, object);
    l.bytes = malloc(mv_state_size(table));
    l.before = malloc(table->size);
    assert_true(l.bytes != NULL && l.before != NULL);
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        size_t step = field->count <= 16 ? 1 : field->count / 8 - 1;
        for (size_t j = 0; j < field->count; j += step)
            limits_element(&l, field, j);
        if (step > 1)
            limits_element(&l, field, field->count - 1);
    }
    assert_true(table->field_count == 0 || (l.at > 0 && l.taken > 0));
    free(l.good);
    free(l.bytes);
    free(l.before);
}

#endif
