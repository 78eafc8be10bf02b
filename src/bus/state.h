/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State tables: each device and vCPU describes the fields of its struct that
 * a save must carry, by name, as data.  A later save walks the tables; today
 * they also drive tests (every field listed, reset values).
 */
#ifndef MV_BUS_STATE_H
#define MV_BUS_STATE_H

#include <stddef.h>
#include <stdint.h>

enum mv_state_type {
    MV_STATE_BOOL,
    MV_STATE_U8,
    MV_STATE_U16,
    MV_STATE_U32,
    MV_STATE_U64,
};

struct mv_state_field {
    const char *name;
    enum mv_state_type type;
    size_t offset;
    size_t count;     /* elements; 1 for a scalar */
};

/* One element of the struct's field, or a whole array of them. */
#define MV_STATE_FIELD(struct_type, field, field_type)                                             \
    {                                                                                              \
        .name = #field, .type = (field_type), .offset = offsetof(struct_type, field), .count = 1   \
    }
#define MV_STATE_ARRAY(struct_type, field, field_type)                                             \
    {                                                                                              \
        .name = #field, .type = (field_type), .offset = offsetof(struct_type, field),              \
        .count = sizeof(((struct_type *)0)->field) / sizeof(((struct_type *)0)->field[0])          \
    }

struct mv_state_table {
    const char *type; /* the device's type: "ns16550a" */
    uint32_t version;
    const struct mv_state_field *fields;
    size_t field_count;
};

/* Bytes of one element; 0 for a value that is no type. */
size_t mv_state_type_size(enum mv_state_type type);

#endif
