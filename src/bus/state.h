/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State tables: each device and vCPU describes, as data, the fields of its
 * struct that a running machine would miss: the name that a field has in a save,
 * its type, and the values that are legal.  The table's hooks say what goes
 * beyond single values.  Saving and loading walk the table; so do tests.
 *
 * A state in bytes is a list of fields in any order, each of them
 *     length of the name (1 byte), name, type (1 byte, enum mv_state_type),
 *     count (4 bytes), count values of the type's size
 * little-endian throughout.  What bytes say is hostile until it has been checked:
 * loading takes all of them or changes nothing.
 *
 * Called by the main thread while no vCPU runs; the table names the locks that
 * keep other threads from the fields meanwhile.
 */
#ifndef MV_BUS_STATE_H
#define MV_BUS_STATE_H

#include "error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are the byte form's. */
enum mv_state_type {
    MV_STATE_BOOL = 0,
    MV_STATE_U8 = 1,
    MV_STATE_U16 = 2,
    MV_STATE_U32 = 3,
    MV_STATE_U64 = 4,
};

struct mv_state_field {
    const char *name; /* stays when the C member is renamed: [a-z0-9_.-], up to 255 */
    enum mv_state_type type;
    size_t offset;
    size_t count;  /* elements; 1 for a scalar */
    size_t stride; /* bytes from one element to the next */
    /* Of each element: no bits outside the mask, and within the range. */
    uint64_t mask, min, max;
    /* A property of the machine (MV_STATE_SAME): it is compared and never loaded. */
    bool is_same;
};

struct mv_state_table {
    const char *type; /* the device's type: "ns16550a" */
    uint32_t version;
    size_t size;        /* of the object that offsets count in */
    const char *object; /* its C type, for tests that read debug information */
    const struct mv_state_field *fields;
    size_t field_count;
    /*
     * What guards the fields, and is held while they are read, checked and
     * replaced: the mutex that stands in the object at this offset (0: none), and
     * then the one that `lock` tells (NULL, or returning NULL: none).
     */
    size_t mutex;
    pthread_mutex_t *(*lock)(void *object);
    /* Hooks, each of which may be NULL. */
    /*
     * Bring the fields up to date, which may interrupt: of all objects before any
     * of them is saved (mv_device_tree_saving).  No lock is held.
     */
    void (*saving)(void *object);
    /*
     * Do the fields agree with each other and with the machine?  `object` is a
     * copy with the values that would be loaded.  mv_state_refuse makes the error.
     */
    int (*check)(const void *object, struct mv_error *err);
    /* The fields are new: see to what follows, lines, timers, caches.  No lock is held. */
    void (*loaded)(void *object);
};

#define MV_STATE_TABLE(struct_type, type_name, version_number, field_array, ...)                   \
    {                                                                                              \
        .type = (type_name), .version = (version_number), .size = sizeof(struct_type),             \
        .object = #struct_type, .fields = (field_array),                                           \
        .field_count = sizeof(field_array) / sizeof((field_array)[0]), __VA_ARGS__                 \
    }

/*
 * Fields: a member's bits, its range, any value, a bool, or what must be the
 * same.  An array is one field of as many elements; MV_STATE_EACH makes one of a
 * scalar that each struct of an array has.
 */
#define MV_STATE_BITS(name, struct_type, member, type, legal)                                      \
    MV_STATE_MEMBER(name, struct_type, member, type, legal, 0, UINT64_MAX, false)
#define MV_STATE_RANGE(name, struct_type, member, type, least, most)                               \
    MV_STATE_MEMBER(name, struct_type, member, type, UINT64_MAX, least, most, false)
#define MV_STATE_ANY(name, struct_type, member, type)                                              \
    MV_STATE_MEMBER(name, struct_type, member, type, UINT64_MAX, 0, UINT64_MAX, false)
#define MV_STATE_FLAG(name, struct_type, member)                                                   \
    MV_STATE_MEMBER(name, struct_type, member, MV_STATE_BOOL, UINT64_MAX, 0, 1, false)
#define MV_STATE_SAME(name, struct_type, member, type)                                             \
    MV_STATE_MEMBER(name, struct_type, member, type, UINT64_MAX, 0, UINT64_MAX, true)

#define MV_STATE_EACH(field_name, struct_type, array, member, field_type, legal)                   \
    {                                                                                              \
        .name = (field_name), .type = (field_type),                                                \
        .offset = offsetof(struct_type, array[0].member),                                          \
        .count = sizeof(((struct_type *)0)->array) / sizeof(((struct_type *)0)->array[0]) *        \
                 MV_STATE_COUNT(((struct_type *)0)->array[0].member, field_type),                  \
        .stride = sizeof(((struct_type *)0)->array[0]), .mask = (legal), .max = UINT64_MAX         \
    }

#define MV_STATE_MEMBER(field_name, struct_type, member, field_type, legal, least, most, same)     \
    {                                                                                              \
        .name = (field_name), .type = (field_type), .offset = offsetof(struct_type, member),       \
        .count = MV_STATE_COUNT(((struct_type *)0)->member, field_type),                           \
        .stride = MV_STATE_SIZE(field_type), .mask = (legal), .min = (least), .max = (most),       \
        .is_same = (same)                                                                          \
    }

#define MV_STATE_SIZE(type)                                                                        \
    ((type) == MV_STATE_U64 ? 8u : (type) == MV_STATE_U32 ? 4u : (type) == MV_STATE_U16 ? 2u : 1u)

/* Elements of a member, which is of the field's type where the compiler can tell. */
#define MV_STATE_COUNT(lvalue, type)                                                               \
    (sizeof(lvalue) / MV_STATE_SIZE(type) +                                                        \
     0 * sizeof(struct {                                                                           \
         int unused;                                                                               \
         _Static_assert(sizeof(lvalue) % MV_STATE_SIZE(type) == 0 && MV_STATE_FITS(lvalue, type),  \
                        "the member is of another type than its field");                           \
     }))
#define MV_STATE_FITS(lvalue, type)                                                                \
    _Generic((lvalue), bool: (type) == MV_STATE_BOOL, bool *: (type) == MV_STATE_BOOL,             \
             uint8_t: (type) == MV_STATE_U8, uint8_t *: (type) == MV_STATE_U8,                     \
             uint16_t: (type) == MV_STATE_U16, uint16_t *: (type) == MV_STATE_U16,                 \
             uint32_t: (type) == MV_STATE_U32, uint32_t *: (type) == MV_STATE_U32,                 \
             uint64_t: (type) == MV_STATE_U64, uint64_t *: (type) == MV_STATE_U64,                 \
             default: true)

/* Bytes of one element; 0 for a value that is no type. */
size_t mv_state_type_size(enum mv_state_type type);

/* One element of a field of an object. */
uint64_t mv_state_get(const struct mv_state_field *field, const void *object, size_t index);
/* `value` must be of the type's size (0 or 1 for a bool). */
void mv_state_set(const struct mv_state_field *field, void *object, size_t index, uint64_t value);
bool mv_state_is_legal(const struct mv_state_field *field, uint64_t value);

/* How many bytes a save of an object takes. */
size_t mv_state_size(const struct mv_state_table *table);
/* Writes mv_state_size(table) bytes of what the fields are. */
void mv_state_save(const struct mv_state_table *table, void *object, uint8_t *bytes);

/*
 * Whether an object's own fields are legal, and the table's check holds.  `path`
 * is the device's; errors say "path/field: …".  -EINVAL.
 */
int mv_state_check(const struct mv_state_table *table, const void *object, const char *path,
                   struct mv_error *err);
/*
 * Load an object from bytes that are all its fields, each once.  -EINVAL where
 * one is unknown, missing, doubled, of another type or count, cut short, not
 * legal or not the machine's, -ENOMEM; the object is as it was then.
 */
int mv_state_load(const struct mv_state_table *table, void *object, const char *path,
                  const uint8_t *bytes, size_t len, struct mv_error *err);

/* A field as bytes have it, whatever table they are of. */
struct mv_saved_field {
    const char *name; /* of name_length bytes, any of them, without a zero behind */
    size_t name_length;
    enum mv_state_type type;
    size_t count;
    const uint8_t *values; /* little-endian, of the type's size */
};
/* The one at *io_at, which is behind it then: 1; 0 at the end, -EINVAL where there is no field. */
int mv_state_next(const uint8_t *bytes, size_t len, size_t *io_at, struct mv_saved_field *ret);

/* For check hooks: -EINVAL with "field: …". */
int mv_state_refuse(struct mv_error *err, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
