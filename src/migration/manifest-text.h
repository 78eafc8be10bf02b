/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: how a struct becomes JSON text and back by a table of its
 * members.  manifest.c has the tables; the kinds of values are manifest-text.c's.
 */
#ifndef MV_MIGRATION_MANIFEST_TEXT_H
#define MV_MIGRATION_MANIFEST_TEXT_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct mv_manifest_member;

struct mv_manifest_kind {
    /* From JSON into the struct, of which nothing else is freed when it fails. */
    int (*take)(const json_t *value, const struct mv_manifest_member *member, void *object,
                struct mv_error *err);
    void (*put)(FILE *out, const struct mv_manifest_member *member, const void *object);
    void (*clear)(const struct mv_manifest_member *member, void *object);
};

/* The members of an object, ended by one without a name. */
struct mv_manifest_shape {
    const char *is;    /* "a block", for messages */
    const char *named; /* the member that names it there, or NULL */
    size_t size;       /* of the struct */
    const struct mv_manifest_member *members;
};

#define MV_MANIFEST_ALWAYS SIZE_MAX

struct mv_manifest_member {
    const char *name;
    const struct mv_manifest_kind *kind;
    size_t offset; /* of the value in the struct */
    /* Of a bool that says whether it is there, or of a list's count; or MV_MANIFEST_ALWAYS. */
    size_t flag;
    const struct mv_manifest_shape *shape; /* of an object, or of a list's */
    const char *const *words;              /* that false and true are */
};

/* char *; one of an optional text is NULL where it is not there. */
extern const struct mv_manifest_kind mv_manifest_text, mv_manifest_optional;
/* uint64_t (int64_t, that is not negative), written as digits or as "0x…"; unsigned. */
extern const struct mv_manifest_kind mv_manifest_number, mv_manifest_hex, mv_manifest_small;
/* bool */
extern const struct mv_manifest_kind mv_manifest_bool, mv_manifest_word;
/* uint8_t[MV_MANIFEST_ID_BYTES], as hex digits */
extern const struct mv_manifest_kind mv_manifest_id;
/* A struct inside this one, and structs behind a pointer. */
extern const struct mv_manifest_kind mv_manifest_object, mv_manifest_list;

int mv_manifest_take_object(const json_t *value, const struct mv_manifest_shape *shape,
                            void *object, struct mv_error *err);
void mv_manifest_put_object(FILE *out, const struct mv_manifest_shape *shape, const void *object);
/* Whether what is put will be taken: texts in UTF-8, lists not too long. */
int mv_manifest_check_object(const struct mv_manifest_shape *shape, const void *object,
                             struct mv_error *err);
void mv_manifest_clear_object(const struct mv_manifest_shape *shape, void *object);

#endif
