/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decode table: the single source of the A64 instruction forms.  A row has
 * the encoding as the Arm ARM draws it (bit 31 first; 0 and 1 fixed, letters
 * name fields, blanks ignored), a name, and the function that makes an op of
 * an instruction word.  Rows of one group stand in one file.
 */
#ifndef MV_EMULATOR_A64_H
#define MV_EMULATOR_A64_H

#include "op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fill op from the instruction word.  Before, `code` and `aux` are the form's code
 * and arg, imm is zero, and rd, rn, rm, ra are the fields of the word that name
 * registers, which are the same ones in all instructions that have them.  False
 * where the encoding is unallocated or reserved: the instruction is UNDEF.
 */
typedef bool mv_a64_decode_fn(uint32_t insn, struct mv_op *op);

struct mv_a64_form {
    const char *pattern;
    const char *name;
    mv_a64_decode_fn *decode; /* NULL where an op needs no more than it has before */
    uint16_t code;            /* 0: decode finds it */
    uint16_t arg;
};

/* One group of forms; a word that matches two rows takes the first. */
struct mv_a64_group {
    const char *name;
    const struct mv_a64_form *forms;
    size_t count;
};

extern const struct mv_a64_group mv_a64_integer;
extern const struct mv_a64_group mv_a64_branch;
extern const struct mv_a64_group mv_a64_system;
extern const struct mv_a64_group mv_a64_memory;
extern const struct mv_a64_group mv_a64_atomic;
extern const struct mv_a64_group mv_a64_fp;
extern const struct mv_a64_group mv_a64_vector;
extern const struct mv_a64_group mv_a64_vector_immediate;
extern const struct mv_a64_group mv_a64_vector_fp;
extern const struct mv_a64_group mv_a64_structure;
extern const struct mv_a64_group mv_a64_crypto;

/* All groups, NULL-terminated. */
extern const struct mv_a64_group *const mv_a64_groups[];

/* The form of an instruction word, or NULL.  Any thread. */
const struct mv_a64_form *mv_a64_find(uint32_t insn);
/* Decode into *op: an op of opcode undef where there is no form. */
void mv_a64_decode(uint32_t insn, struct mv_op *op);
/* The fixed bits of a pattern, for tests; false where it is malformed. */
bool mv_a64_pattern_parse(const char *pattern, uint32_t *ret_mask, uint32_t *ret_value);

/* A row, for macros that make some. */
#define MV_A64_FORM(...)                                                                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#define MV_A64_GROUP(variable, group_name, rows)                                                   \
    const struct mv_a64_group variable = {                                                         \
        .name = group_name, .forms = rows, .count = sizeof(rows) / sizeof(rows[0])}

/* --- for decode functions */

static inline uint32_t mv_bits(uint32_t insn, unsigned high, unsigned low)
{
    return insn >> low & ((2u << (high - low)) - 1);
}

static inline uint32_t mv_bit(uint32_t insn, unsigned bit)
{
    return insn >> bit & 1;
}

static inline int64_t mv_sbits(uint32_t insn, unsigned high, unsigned low)
{
    return (int64_t)((uint64_t)insn << (63 - high)) >> (63 - high + low);
}

/* Register 31: the zero register where it is read; written; as SP. */
static inline uint8_t mv_reg_dest(unsigned reg)
{
    return reg == 31 ? MV_REG_SINK : (uint8_t)reg;
}
static inline uint8_t mv_reg_sp(unsigned reg)
{
    return reg == 31 ? MV_REG_SP : (uint8_t)reg;
}

/* Of a form that only writes the general register rd. */
mv_a64_decode_fn mv_a64_decode_dest;

/* VFPExpandImm for double precision, else for single. */
uint64_t mv_a64_expand_float(unsigned imm8, bool is_double);

/* Conditions as masks over the 16 values of NZCV (N<<3|Z<<2|C<<1|V), by the field cond (C1.2.4). */
extern const uint16_t mv_condition_masks[16];

#endif
