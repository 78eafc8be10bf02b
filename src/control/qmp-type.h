/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_qmp_type: what values a command takes and returns, as data.  From
 * it arguments and answers are checked and query-qmp-schema is made.  Names
 * and meanings are those of QEMU's QAPI schema (docs/devel/qapi-code-gen).
 */
#ifndef MV_CONTROL_QMP_TYPE_H
#define MV_CONTROL_QMP_TYPE_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum mv_qmp_kind {
    MV_QMP_STR,
    MV_QMP_INT,
    MV_QMP_UINT, /* an integer that is not negative */
    MV_QMP_NUMBER,
    MV_QMP_BOOL,
    MV_QMP_ANY,
    MV_QMP_ENUM,
    MV_QMP_ARRAY,
    MV_QMP_OBJECT,
};

struct mv_qmp_type;

struct mv_qmp_member {
    const char *name;
    const struct mv_qmp_type *type;
    bool optional;
};

/* More members of an object whose tag has this value. */
struct mv_qmp_variant {
    const char *value;
    const struct mv_qmp_type *type;
};

struct mv_qmp_type {
    enum mv_qmp_kind kind;
    const char *name;                    /* as QAPI has it */
    const char *const *values;           /* ENUM: ended by NULL */
    const struct mv_qmp_type *element;   /* ARRAY */
    const struct mv_qmp_member *members; /* OBJECT: ended by a NULL name */
    bool open;                           /* OBJECT: other members may be there, of any type */
    const char *tag;                     /* OBJECT with variants: an enum member's name */
    /* The same, ended by a NULL value; others add nothing; or NULL. */
    const struct mv_qmp_variant *variants;
};

/*
 * Check that a value fits, with nothing missing and nothing unknown.  -EINVAL
 * with a message that begins with the place, such as "'cpus'[3] 'props'".
 */
int mv_qmp_type_check(const struct mv_qmp_type *type, const json_t *value, struct mv_error *err);

extern const struct mv_qmp_type mv_qmp_str, mv_qmp_int, mv_qmp_uint, mv_qmp_number, mv_qmp_bool,
    mv_qmp_any;
extern const struct mv_qmp_type mv_qmp_empty; /* an object without members */
extern const struct mv_qmp_type mv_qmp_str_list, mv_qmp_uint_list;

/*
 * A type of a file's own: an enum of strings, a list, or an object.  Its members are
 * written as {"id", &mv_qmp_str}; where it has variants, they are those of all of them.
 */
#define MV_QMP_ENUM_TYPE(id, what, ...)                                                            \
    static const struct mv_qmp_type id = {                                                         \
        .kind = MV_QMP_ENUM, .name = what, .values = (const char *const[]){__VA_ARGS__, NULL}}
#define MV_QMP_LIST_TYPE(id, what, of)                                                             \
    static const struct mv_qmp_type id = {.kind = MV_QMP_ARRAY, .name = what, .element = &of}
#define MV_QMP_OBJECT_TYPE(id, what, ...) MV_QMP_VARIANT_TYPE(id, what, NULL, NULL, __VA_ARGS__)
#define MV_QMP_VARIANT_TYPE(id, what, by, list, ...)                                               \
    static const struct mv_qmp_type id = {.kind = MV_QMP_OBJECT,                                   \
                                          .name = what,                                            \
                                          .members =                                               \
                                              (const struct mv_qmp_member[]){__VA_ARGS__, {NULL}}, \
                                          .tag = by,                                               \
                                          .variants = list}

#endif
