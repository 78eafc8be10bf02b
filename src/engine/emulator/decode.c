/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-up in the decode table: the patterns are parsed once, and the forms
 * sorted into buckets by bits 31-21 of the instruction word.
 */
#include "a64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_BITS  11
#define BUCKET_COUNT (1u << BUCKET_BITS)
#define BUCKET_SHIFT (32 - BUCKET_BITS)

struct parsed_form {
    uint32_t mask;
    uint32_t value;
    const struct mv_a64_form *form;
};

/* Buckets are runs of indices into `parsed`, ended by NO_FORM. */
#define NO_FORM   UINT16_MAX
#define MAX_FORMS 1024
static struct parsed_form parsed[MAX_FORMS];
static unsigned parsed_count;
static uint16_t bucket_start[BUCKET_COUNT];
static uint16_t bucket_items[BUCKET_COUNT * 24];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* EQ NE CS CC MI PL VS VC HI LS GE LT GT LE AL NV */
const uint16_t mv_condition_masks[16] = {
    0xf0f0, 0x0f0f, 0xcccc, 0x3333, 0xff00, 0x00ff, 0xaaaa, 0x5555,
    0x0c0c, 0xf3f3, 0xaa55, 0x55aa, 0x0a05, 0xf5fa, 0xffff, 0xffff,
};

const struct mv_a64_group *const mv_a64_groups[] = {
    &mv_a64_integer,   &mv_a64_branch,    &mv_a64_system, &mv_a64_memory,
    &mv_a64_atomic,    &mv_a64_fp,        &mv_a64_vector, &mv_a64_vector_immediate,
    &mv_a64_vector_fp, &mv_a64_structure, &mv_a64_crypto, NULL,
};

bool mv_a64_pattern_parse(const char *pattern, uint32_t *ret_mask, uint32_t *ret_value)
{
    uint32_t mask = 0, value = 0;
    unsigned bits = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == ' ')
            continue;
        if (bits++ == 32)
            return false;
        mask = mask << 1 | (*p == '0' || *p == '1');
        value = value << 1 | (*p == '1');
    }
    if (bits != 32)
        return false;
    *ret_mask = mask;
    *ret_value = value;
    return true;
}

static void table_build(void)
{
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group; group++) {
        for (size_t i = 0; i < (*group)->count && parsed_count < MAX_FORMS; i++) {
            struct parsed_form *form = &parsed[parsed_count];
            form->form = &(*group)->forms[i];
            /* A unit test parses every row, so none is malformed here. */
            if (mv_a64_pattern_parse(form->form->pattern, &form->mask, &form->value))
                parsed_count++;
        }
    }
    unsigned used = 0;
    for (unsigned bucket = 0; bucket < BUCKET_COUNT; bucket++) {
        uint32_t high = bucket << BUCKET_SHIFT;
        uint32_t known = UINT32_MAX << BUCKET_SHIFT;
        bucket_start[bucket] = (uint16_t)used;
        for (unsigned i = 0; i < parsed_count; i++) {
            uint32_t common = parsed[i].mask & known;
            if ((high & common) == (parsed[i].value & common) &&
                used < sizeof bucket_items / sizeof bucket_items[0] - 1)
                bucket_items[used++] = (uint16_t)i;
        }
        bucket_items[used++] = NO_FORM;
    }
}

const struct mv_a64_form *mv_a64_find(uint32_t insn)
{
    pthread_once(&table_once, table_build);
    const uint16_t *item = &bucket_items[bucket_start[insn >> BUCKET_SHIFT]];
    for (; *item != NO_FORM; item++) {
        const struct parsed_form *form = &parsed[*item];
        if ((insn & form->mask) == form->value)
            return form->form;
    }
    return NULL;
}

void mv_a64_decode(uint32_t insn, struct mv_op *op)
{
    const struct mv_a64_form *form = mv_a64_find(insn);
    if (form != NULL) {
        *op = (struct mv_op){
            .code = form->code,
            .rd = (uint8_t)mv_bits(insn, 4, 0),
            .rn = (uint8_t)mv_bits(insn, 9, 5),
            .rm = (uint8_t)mv_bits(insn, 20, 16),
            .ra = (uint8_t)mv_bits(insn, 14, 10),
            .aux = form->arg,
        };
        if (form->decode == NULL || form->decode(insn, op))
            return;
    }
    *op = (struct mv_op){.code = MV_OPCODE_undef, .imm = insn};
}

bool mv_a64_decode_dest(uint32_t insn, struct mv_op *op)
{
    op->rd = mv_reg_dest(op->rd);
    return true;
}

/* A sign, an exponent from -3 to 4, four bits of fraction. */
uint64_t mv_a64_expand_float(unsigned imm8, bool is_double)
{
    uint64_t sign = imm8 >> 7, fraction = imm8 & 15;
    int exponent = (int)(imm8 >> 4 & 3) + (imm8 >> 6 & 1 ? -3 : 1);
    return is_double ? sign << 63 | (uint64_t)(1023 + exponent) << 52 | fraction << 48
                     : sign << 31 | (uint64_t)(127 + exponent) << 23 | fraction << 19;
}
