/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalar floating-point forms of the decode table (Arm ARM C4.1.96).  Half
 * precision is there to be converted only: its arithmetic is FEAT_FP16.
 */
#include "a64.h"
#include "fp.h"

/* Bits 23-22 of all forms. */
enum { TYPE_SINGLE = 0, TYPE_DOUBLE = 1, TYPE_HIGH = 2, TYPE_HALF = 3 };
#define TYPE(insn) mv_bits(insn, 23, 22)

/* Row of opcodes, by type. */
#define SD(name)                                                                                   \
    {                                                                                              \
        MV_OPCODE_##name##_s, MV_OPCODE_##name##_d                                                 \
    }

/* Vector registers, which have no special number. */
static void decode_registers(uint32_t insn, struct mv_op *op)
{
    op->rd = (uint8_t)mv_bits(insn, 4, 0);
    op->rn = (uint8_t)mv_bits(insn, 9, 5);
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    op->ra = (uint8_t)mv_bits(insn, 14, 10);
}

static bool decode_typed(uint32_t insn, struct mv_op *op, const uint16_t codes[2])
{
    if (TYPE(insn) > TYPE_DOUBLE)
        return false;
    decode_registers(insn, op);
    op->code = codes[TYPE(insn)];
    return op->code != 0;
}

static bool decode_two_sources(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[16][2] = {
        SD(fmul), SD(fdiv),   SD(fadd),   SD(fsub),  SD(fmax),
        SD(fmin), SD(fmaxnm), SD(fminnm), SD(fnmul),
    };
    return decode_typed(insn, op, codes[mv_bits(insn, 15, 12)]);
}

static bool decode_three_sources(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4][2] = {SD(fmadd), SD(fmsub), SD(fnmadd), SD(fnmsub)};
    return decode_typed(insn, op, codes[mv_bit(insn, 21) * 2 + mv_bit(insn, 15)]);
}

static bool decode_one_source(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4][2] = {SD(fmov), SD(fabs), SD(fneg), SD(fsqrt)};
    return decode_typed(insn, op, codes[mv_bits(insn, 16, 15)]);
}

static bool decode_convert_format(uint32_t insn, struct mv_op *op)
{
    /* [from][to] */
    static const uint16_t codes[4][4] = {
        [TYPE_SINGLE] =
            {[TYPE_DOUBLE] = MV_OPCODE_fcvt_s_to_d, [TYPE_HALF] = MV_OPCODE_fcvt_s_to_h},
        [TYPE_DOUBLE] =
            {[TYPE_SINGLE] = MV_OPCODE_fcvt_d_to_s, [TYPE_HALF] = MV_OPCODE_fcvt_d_to_h},
        [TYPE_HALF] =
            {[TYPE_SINGLE] = MV_OPCODE_fcvt_h_to_s, [TYPE_DOUBLE] = MV_OPCODE_fcvt_h_to_d},
    };
    decode_registers(insn, op);
    op->code = codes[TYPE(insn)][mv_bits(insn, 16, 15)];
    return op->code != 0;
}

static bool decode_round(uint32_t insn, struct mv_op *op)
{
    static const uint16_t fixed[2] = SD(frint), dynamic[2] = SD(frint_fpcr);
    static const uint8_t roundings[5] = {MV_FP_TIEEVEN, MV_FP_POSINF, MV_FP_NEGINF, MV_FP_ZERO,
                                         MV_FP_TIEAWAY};
    unsigned which = mv_bits(insn, 17, 15);
    if (which < 5) {
        op->aux = roundings[which];
        return decode_typed(insn, op, fixed);
    }
    op->imm = which == 6; /* FRINTX */
    return which != 5 && decode_typed(insn, op, dynamic);
}

static bool decode_compare(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][2] = {SD(fcmp), SD(fcmp_zero)};
    op->imm = mv_bit(insn, 4); /* FCMPE */
    return decode_typed(insn, op, codes[mv_bit(insn, 3)]);
}

static bool decode_conditional_compare(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2] = SD(fccmp);
    bool known = decode_typed(insn, op, codes);
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    op->imm = mv_bits(insn, 3, 0);
    op->ra = (uint8_t)mv_bit(insn, 4); /* FCCMPE */
    return known;
}

static bool decode_conditional_select(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2] = SD(fcsel);
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    return decode_typed(insn, op, codes);
}

/* VFPExpandImm: a sign, an exponent from -3 to 4, four bits of fraction. */
static bool decode_move_imm(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2] = {MV_OPCODE_fmov_imm, MV_OPCODE_fmov_imm};
    uint64_t sign = mv_bit(insn, 20), fraction = mv_bits(insn, 16, 13);
    int exponent = (int)mv_bits(insn, 18, 17) + (mv_bit(insn, 19) ? -3 : 1);
    if (TYPE(insn) == TYPE_DOUBLE)
        op->imm = sign << 63 | (uint64_t)(1023 + exponent) << 52 | fraction << 48;
    else
        op->imm = sign << 31 | (uint64_t)(127 + exponent) << 23 | fraction << 19;
    return decode_typed(insn, op, codes);
}

static bool decode_to_fixed(uint32_t insn, struct mv_op *op, unsigned fbits,
                            enum mv_fp_rounding rounding)
{
    static const uint16_t codes[2] = SD(fcvt_to_fixed);
    bool known = decode_typed(insn, op, codes);
    op->rd = MV_RD(insn);
    op->rm = (uint8_t)mv_bit(insn, 16);
    op->ra = mv_bit(insn, 31) ? 64 : 32;
    op->aux = (uint16_t)rounding;
    op->imm = fbits;
    return known;
}

static bool decode_from_fixed(uint32_t insn, struct mv_op *op, unsigned fbits)
{
    static const uint16_t codes[2] = SD(fcvt_from_fixed);
    bool known = decode_typed(insn, op, codes);
    op->rm = (uint8_t)mv_bit(insn, 16);
    op->ra = mv_bit(insn, 31) ? 64 : 32;
    op->imm = fbits;
    return known;
}

static bool decode_fixed_point(uint32_t insn, struct mv_op *op)
{
    unsigned fbits = 64 - mv_bits(insn, 15, 10);
    if (!mv_bit(insn, 31) && fbits > 32)
        return false;
    if (mv_bit(insn, 17))
        return decode_from_fixed(insn, op, fbits);
    return decode_to_fixed(insn, op, fbits, MV_FP_ZERO);
}

static bool decode_from_integer(uint32_t insn, struct mv_op *op)
{
    return decode_from_fixed(insn, op, 0);
}

static bool decode_to_integer(uint32_t insn, struct mv_op *op)
{
    static const uint8_t roundings[4] = {MV_FP_TIEEVEN, MV_FP_POSINF, MV_FP_NEGINF, MV_FP_ZERO};
    return decode_to_fixed(insn, op, 0, (enum mv_fp_rounding)roundings[mv_bits(insn, 20, 19)]);
}

static bool decode_to_integer_away(uint32_t insn, struct mv_op *op)
{
    return decode_to_fixed(insn, op, 0, MV_FP_TIEAWAY);
}

static bool decode_move_general(uint32_t insn, struct mv_op *op)
{
    /* [sf, type][to the vector register] */
    static const uint16_t codes[8][2] = {
        [TYPE_SINGLE] = {MV_OPCODE_fmov_s_to_w, MV_OPCODE_fmov_w_to_s},
        [4 + TYPE_DOUBLE] = {MV_OPCODE_fmov_d_to_x, MV_OPCODE_fmov_x_to_d},
        [4 + TYPE_HIGH] = {MV_OPCODE_fmov_high_to_x, MV_OPCODE_fmov_x_to_high},
    };
    unsigned kind = mv_bit(insn, 31) * 4 + TYPE(insn);
    bool to_vector = mv_bit(insn, 16), high = mv_bits(insn, 20, 19) == 1;
    op->code = codes[kind][to_vector];
    op->rd = to_vector ? (uint8_t)mv_bits(insn, 4, 0) : MV_RD(insn);
    op->rn = MV_RN(insn);
    return op->code != 0 && high == (TYPE(insn) == TYPE_HIGH);
}

static const struct mv_a64_form forms[] = {
    {"000 11110 tt 1 mmmmm oooo 10 nnnnn ddddd", "fmul … fnmul", decode_two_sources},
    {"000 11111 tt o mmmmm o aaaaa nnnnn ddddd", "fmadd … fnmsub", decode_three_sources},
    {"000 11110 tt 1 0000 oo 10000 nnnnn ddddd", "fmov, fabs, fneg, fsqrt", decode_one_source},
    {"000 11110 tt 1 0001 oo 10000 nnnnn ddddd", "fcvt", decode_convert_format},
    {"000 11110 tt 1 001 ooo 10000 nnnnn ddddd", "frintn … frinti", decode_round},
    {"000 11110 tt 1 mmmmm 001000 nnnnn e z 000", "fcmp, fcmpe", decode_compare},
    {"000 11110 tt 1 mmmmm cccc 01 nnnnn e ffff", "fccmp, fccmpe", decode_conditional_compare},
    {"000 11110 tt 1 mmmmm cccc 11 nnnnn ddddd", "fcsel", decode_conditional_select},
    {"000 11110 tt 1 iiiiiiii 100 00000 ddddd", "fmov (immediate)", decode_move_imm},
    {"z 00 11110 tt 0 00 01 u ssssss nnnnn ddddd", "scvtf, ucvtf (fixed-point)",
     decode_fixed_point},
    {"z 00 11110 tt 0 11 00 u ssssss nnnnn ddddd", "fcvtzs, fcvtzu (fixed-point)",
     decode_fixed_point},
    {"z 00 11110 tt 1 rr 00 u 000000 nnnnn ddddd", "fcvtns … fcvtzu", decode_to_integer},
    {"z 00 11110 tt 1 00 01 u 000000 nnnnn ddddd", "scvtf, ucvtf", decode_from_integer},
    {"z 00 11110 tt 1 00 10 u 000000 nnnnn ddddd", "fcvtas, fcvtau", decode_to_integer_away},
    {"z 00 11110 tt 1 0 h 11 v 000000 nnnnn ddddd", "fmov (general)", decode_move_general},
};
MV_A64_GROUP(mv_a64_fp, "scalar floating point", forms);
