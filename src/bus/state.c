/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State tables: an object's fields to bytes and back.  state.h has the byte form
 * and who may call.
 */
#include "state.h"

#include "bytes.h"
#include "cleanup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH 255
#define COUNT_SIZE      4

size_t mv_state_type_size(enum mv_state_type type)
{
    return (unsigned)type <= MV_STATE_U64 ? MV_STATE_SIZE(type) : 0;
}

/* --- single values */

static void *element(const struct mv_state_field *field, const void *object, size_t index)
{
    return (char *)object + field->offset + index * field->stride;
}

uint64_t mv_state_get(const struct mv_state_field *field, const void *object, size_t index)
{
    const void *at = element(field, object, index);
    switch (mv_state_type_size(field->type)) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

void mv_state_set(const struct mv_state_field *field, void *object, size_t index, uint64_t value)
{
    void *at = element(field, object, index);
    switch (mv_state_type_size(field->type)) {
    case 1:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(uint64_t *)at = value;
        break;
    }
}

bool mv_state_is_legal(const struct mv_state_field *field, uint64_t value)
{
    return (value & ~field->mask) == 0 && value >= field->min && value <= field->max;
}

/* --- errors */

int mv_state_refuse(struct mv_error *err, const char *field, const char *fmt, ...)
{
    struct mv_error why;
    va_list args;
    va_start(args, fmt);
    vsnprintf(why.text, sizeof why.text, fmt, args);
    va_end(args);
    return mv_error_set(err, EINVAL, "%s: %s", field, why.text);
}

/* "path/field", or "path/field[3]". */
static int refuse_value(const struct mv_state_field *field, const char *path, size_t index,
                        uint64_t value, struct mv_error *err)
{
    char element[32] = "";
    if (field->count > 1)
        snprintf(element, sizeof element, "[%zu]", index);
    if ((value & ~field->mask) != 0)
        return mv_error_set(err, EINVAL,
                            "%s/%s%s: 0x%" PRIx64 " has bits that are never set: 0x%" PRIx64
                            " are legal",
                            path, field->name, element, value, field->mask);
    return mv_error_set(err, EINVAL,
                        "%s/%s%s: %" PRIu64 " cannot be: %" PRIu64 " to %" PRIu64 " are legal",
                        path, field->name, element, value, field->min, field->max);
}

static int check_value(const struct mv_state_field *field, const char *path, size_t index,
                       uint64_t value, struct mv_error *err)
{
    return mv_state_is_legal(field, value) ? 0 : refuse_value(field, path, index, value, err);
}

/* What the hook says gets the path. */
static int check_whole(const struct mv_state_table *table, const void *object, const char *path,
                       struct mv_error *err)
{
    struct mv_error why;
    int r = table->check != NULL ? table->check(object, &why) : 0;
    return r < 0 ? mv_error_set(err, -r, "%s/%s", path, why.text) : 0;
}

int mv_state_check(const struct mv_state_table *table, const void *object, const char *path,
                   struct mv_error *err)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        for (size_t j = 0; j < field->count; j++) {
            int r = check_value(field, path, j, mv_state_get(field, object, j), err);
            if (r < 0)
                return r;
        }
    }
    return check_whole(table, object, path, err);
}

/* --- to bytes */

static size_t field_size(const struct mv_state_field *field)
{
    return 1 + strlen(field->name) + 1 + COUNT_SIZE +
           field->count * mv_state_type_size(field->type);
}

size_t mv_state_size(const struct mv_state_table *table)
{
    size_t size = 0;
    for (size_t i = 0; i < table->field_count; i++)
        size += field_size(&table->fields[i]);
    return size;
}

static uint8_t *save_field(const struct mv_state_field *field, const void *object, uint8_t *at)
{
    size_t length = strlen(field->name), size = mv_state_type_size(field->type);
    *at++ = (uint8_t)length;
    memcpy(at, field->name, length);
    at += length;
    *at++ = (uint8_t)field->type;
    at = mv_bytes_put(at, field->count, COUNT_SIZE);
    for (size_t i = 0; i < field->count; i++)
        at = mv_bytes_put(at, mv_state_get(field, object, i), size);
    return at;
}

/* --- locks */

/* Take them, or let them go: `fn` is pthread_mutex_lock or its counterpart. */
static void each_lock(const struct mv_state_table *table, void *object,
                      int (*fn)(pthread_mutex_t *mutex))
{
    pthread_mutex_t *outer = table->lock == NULL ? NULL : table->lock(object);
    if (table->mutex != 0)
        fn((pthread_mutex_t *)((char *)object + table->mutex));
    if (outer != NULL)
        fn(outer);
}

void mv_state_save(const struct mv_state_table *table, void *object, uint8_t *bytes)
{
    each_lock(table, object, pthread_mutex_lock);
    for (size_t i = 0; i < table->field_count; i++)
        bytes = save_field(&table->fields[i], object, bytes);
    each_lock(table, object, pthread_mutex_unlock);
}

/* --- from bytes */

/* What is being read. */
struct loading {
    const struct mv_state_table *table;
    const char *path;
    char *copy; /* of the object, with what has been read */
    bool *seen; /* of each field of the table */
    const uint8_t *at, *end;
};

/* False where there are fewer bytes left. */
static bool take(struct loading *loading, size_t len, const uint8_t **ret)
{
    if ((size_t)(loading->end - loading->at) < len)
        return false;
    *ret = loading->at;
    loading->at += len;
    return true;
}

static bool take_value(struct loading *loading, size_t size, uint64_t *ret)
{
    const uint8_t *bytes;
    if (!take(loading, size, &bytes))
        return false;
    *ret = mv_bytes_get(bytes, size);
    return true;
}

static int refuse_end(const struct loading *loading, const char *name, struct mv_error *err)
{
    return mv_error_set(err, EINVAL, "%s/%s: the state ends in the middle of this field",
                        loading->path, name);
}

static int find_field(struct loading *loading, const char *name, size_t *ret, struct mv_error *err)
{
    const struct mv_state_table *table = loading->table;
    size_t i = 0;
    while (i < table->field_count && strcmp(table->fields[i].name, name) != 0)
        i++;
    if (i == table->field_count)
        return mv_error_set(err, EINVAL, "%s/%s: a %s of version %" PRIu32 " has no such field",
                            loading->path, name, table->type, table->version);
    if (loading->seen[i])
        return mv_error_set(err, EINVAL, "%s/%s: the state has this field twice", loading->path,
                            name);
    *ret = i;
    return 0;
}

static int load_element(struct loading *loading, const struct mv_state_field *field, size_t index,
                        uint64_t value, struct mv_error *err)
{
    int r = check_value(field, loading->path, index, value, err);
    if (r < 0)
        return r;
    if (!field->is_same) {
        mv_state_set(field, loading->copy, index, value);
        return 0;
    }
    uint64_t own = mv_state_get(field, loading->copy, index);
    return own == value
               ? 0
               : mv_error_set(err, EINVAL,
                              "%s/%s: the state has 0x%" PRIx64 ", and this machine 0x%" PRIx64,
                              loading->path, field->name, value, own);
}

static int load_values(struct loading *loading, const struct mv_state_field *field,
                       struct mv_error *err)
{
    uint64_t type, count, value;
    size_t size = mv_state_type_size(field->type);
    if (!take_value(loading, 1, &type) || !take_value(loading, COUNT_SIZE, &count))
        return refuse_end(loading, field->name, err);
    if (type != field->type)
        return mv_error_set(err, EINVAL, "%s/%s: type %" PRIu64 " is not the field's, which is %u",
                            loading->path, field->name, type, (unsigned)field->type);
    if (count != field->count)
        return mv_error_set(err, EINVAL, "%s/%s: %" PRIu64 " values, and the field has %zu",
                            loading->path, field->name, count, field->count);
    for (size_t i = 0; i < field->count; i++) {
        if (!take_value(loading, size, &value))
            return refuse_end(loading, field->name, err);
        int r = load_element(loading, field, i, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_field(struct loading *loading, struct mv_error *err)
{
    char name[NAME_MAX_LENGTH + 1];
    const uint8_t *bytes;
    uint64_t length;
    size_t i = 0;
    if (!take_value(loading, 1, &length) || !take(loading, length, &bytes))
        return refuse_end(loading, "(name)", err);
    for (size_t at = 0; at < length; at++) /* a zero must not end it */
        name[at] = bytes[at] >= ' ' && bytes[at] <= '~' ? (char)bytes[at] : '?';
    name[length] = '\0';
    int r = find_field(loading, name, &i, err);
    if (r == 0)
        r = load_values(loading, &loading->table->fields[i], err);
    if (r == 0)
        loading->seen[i] = true;
    return r;
}

static int load_all(struct loading *loading, struct mv_error *err)
{
    const struct mv_state_table *table = loading->table;
    while (loading->at < loading->end) {
        int r = load_field(loading, err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < table->field_count; i++) {
        if (!loading->seen[i])
            return mv_error_set(err, EINVAL, "%s/%s: the state lacks this field", loading->path,
                                table->fields[i].name);
    }
    return check_whole(table, loading->copy, loading->path, err);
}

static void commit(const struct mv_state_table *table, const char *copy, char *object)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        for (size_t j = 0; j < field->count; j++)
            mv_state_set(field, object, j, mv_state_get(field, copy, j));
    }
}

int mv_state_load(const struct mv_state_table *table, void *object, const char *path,
                  const uint8_t *bytes, size_t len, struct mv_error *err)
{
    CLEANUP_FREE char *copy = malloc(table->size);
    CLEANUP_FREE bool *seen = calloc(table->field_count + 1, sizeof *seen);
    if (copy == NULL || seen == NULL)
        return mv_error_set(err, ENOMEM, "%s: no memory for its state", path);
    struct loading loading = {
        .table = table, .path = path, .copy = copy, .seen = seen, .at = bytes, .end = bytes + len};
    each_lock(table, object, pthread_mutex_lock);
    memcpy(copy, object, table->size);
    int r = load_all(&loading, err);
    if (r == 0)
        commit(table, copy, object);
    each_lock(table, object, pthread_mutex_unlock);
    if (r == 0 && table->loaded != NULL)
        table->loaded(object);
    return r;
}

/* --- bytes without their table */

int mv_state_next(const uint8_t *bytes, size_t len, size_t *io_at, struct mv_saved_field *ret)
{
    struct loading at = {.at = bytes + *io_at, .end = bytes + len};
    const uint8_t *name, *values;
    uint64_t length, type, count;
    if (at.at == at.end)
        return 0;
    if (!take_value(&at, 1, &length) || !take(&at, length, &name) || !take_value(&at, 1, &type) ||
        !take_value(&at, COUNT_SIZE, &count) || type > MV_STATE_U64 ||
        !take(&at, count * mv_state_type_size(type), &values))
        return -EINVAL;
    *ret = (struct mv_saved_field){(const char *)name, length, type, count, values};
    *io_at = (size_t)(at.at - bytes);
    return 1;
}
