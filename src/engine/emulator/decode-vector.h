/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decode tables of AdvSIMD share.  A form's `code` is the opcode that
 * its name would have for bytes, to which decode adds the size; its `arg` is the
 * set of sizes that are allocated.
 */
#ifndef MV_EMULATOR_DECODE_VECTOR_H
#define MV_EMULATOR_DECODE_VECTOR_H

#include "a64.h"

enum { SIZE_B = 1, SIZE_H = 2, SIZE_S = 4, SIZE_D = 8, SIZE_COUNT = 4 };
#define SIZE_HS   (SIZE_H | SIZE_S)
#define SIZE_BH   (SIZE_B | SIZE_H)
#define SIZE_SD   (SIZE_S | SIZE_D)
#define SIZE_BHS  (SIZE_B | SIZE_HS)
#define SIZE_BHSD (SIZE_BHS | SIZE_D)

/* The code of a name whose first opcode is for bytes, halfwords, words, … */
#define FROM_B(name) MV_OPCODE_##name##_8
#define FROM_H(name) (MV_OPCODE_##name##_16 - 1)
#define FROM_S(name) (MV_OPCODE_##name##_32 - 2)
#define ONLY(name)   MV_OPCODE_##name

/* Scalar AdvSIMD forms have bit 28 set, where vector ones have it clear. */
static inline bool mv_vector_is_scalar(uint32_t insn)
{
    return mv_bit(insn, 28);
}

/* Elements of one size (log2 of bytes): op->aux of them. */
static inline bool mv_vector_arrange(uint32_t insn, struct mv_op *op, unsigned size)
{
    unsigned q = mv_bit(insn, 30);
    bool scalar = mv_vector_is_scalar(insn);
    if (!(op->aux >> size & 1) || (!scalar && size == 3 && q == 0))
        return false;
    op->code += (uint16_t)size;
    op->imm = q && !scalar ? UINT64_MAX : 0;
    op->aux = (uint16_t)(scalar ? 1 : (8u << q) >> size);
    return true;
}

/* Elements of `size` on one side, twice that on the other; ra is the half. */
static inline bool mv_vector_arrange_halves(uint32_t insn, struct mv_op *op, unsigned size)
{
    bool scalar = mv_vector_is_scalar(insn);
    if (!(op->aux >> size & 1))
        return false;
    op->code += (uint16_t)size;
    op->ra = (uint8_t)(scalar ? 0 : mv_bit(insn, 30));
    op->aux = (uint16_t)(scalar ? 1 : 8u >> size);
    return true;
}

/*
 * Rows of vectors and of scalars, which differ in bits 30 and 28, and of both.  U is
 * bit 29; `rest` goes from bit 24 to bit 10.
 */
#define VECTOR(u, rest, ...) MV_A64_FORM("0 q " u " 0111" rest " nnnnn ddddd", __VA_ARGS__)
#define SCALAR(u, rest, name, ...)                                                                 \
    MV_A64_FORM("01 " u " 1111" rest " nnnnn ddddd", name " (scalar)", __VA_ARGS__)
#define BOTH(u, rest, name, code, decode, sizes, scalar_sizes)                                     \
    VECTOR(u, rest, name, decode, code, sizes), SCALAR(u, rest, name, decode, code, scalar_sizes)
/* Two rows of a kind, the first on signed and the second on unsigned elements. */
#define SU(row, opcode, name, ...)                                                                 \
    row("0", opcode, "s" #name, FROM_B(vs##name), __VA_ARGS__),                                    \
        row("1", opcode, "u" #name, FROM_B(vu##name), __VA_ARGS__)

#endif
