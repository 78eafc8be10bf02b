/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalar floating-point forms of the decode table (Arm ARM C4.1.96).  Half
 * precision is there to be converted only: its arithmetic is FEAT_FP16.
 */
#include "a64.h"
#include "fp.h"

/* The opcode for single precision, which the one for double precision follows. */
#define S(name) MV_OPCODE_##name##_s

static bool is_double(uint32_t insn)
{
    return mv_bit(insn, 22);
}

/* The code is the one for single precision; the precision is in bits 23-22. */
static bool decode_typed(uint32_t insn, struct mv_op *op)
{
    op->code += is_double(insn);
    return !mv_bit(insn, 23);
}

static bool decode_compare(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bit(insn, 4); /* FCMPE */
    return decode_typed(insn, op);
}

static bool decode_conditional_select(uint32_t insn, struct mv_op *op)
{
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    return decode_typed(insn, op);
}

static bool decode_conditional_compare(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bits(insn, 3, 0);
    op->ra = (uint8_t)mv_bit(insn, 4); /* FCCMPE */
    return decode_conditional_select(insn, op);
}

static bool decode_move_imm(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_a64_expand_float(mv_bits(insn, 20, 13), is_double(insn));
    return !mv_bit(insn, 23);
}

/* To and from integers, of 64 or 32 bits, with a fraction of `fbits`. */
static bool decode_fixed(uint32_t insn, struct mv_op *op, unsigned fbits)
{
    if (op->code == S(fcvt_to_fixed))
        op->rd = mv_reg_dest(op->rd);
    op->rm = (uint8_t)mv_bit(insn, 16);
    op->ra = mv_bit(insn, 31) ? 64 : 32;
    op->imm = fbits;
    return fbits <= op->ra && decode_typed(insn, op);
}

static bool decode_fixed_point(uint32_t insn, struct mv_op *op)
{
    return decode_fixed(insn, op, 64 - mv_bits(insn, 15, 10));
}

static bool decode_integer(uint32_t insn, struct mv_op *op)
{
    return decode_fixed(insn, op, 0);
}

#define FROM_FIXED S(fcvt_from_fixed)
#define TO_FIXED   S(fcvt_to_fixed)

static const struct mv_a64_form forms[] = {
    {"000 11110 tt 1 mmmmm 0000 10 nnnnn ddddd", "fmul", decode_typed, S(fmul)},
    {"000 11110 tt 1 mmmmm 0001 10 nnnnn ddddd", "fdiv", decode_typed, S(fdiv)},
    {"000 11110 tt 1 mmmmm 0010 10 nnnnn ddddd", "fadd", decode_typed, S(fadd)},
    {"000 11110 tt 1 mmmmm 0011 10 nnnnn ddddd", "fsub", decode_typed, S(fsub)},
    {"000 11110 tt 1 mmmmm 0100 10 nnnnn ddddd", "fmax", decode_typed, S(fmax)},
    {"000 11110 tt 1 mmmmm 0101 10 nnnnn ddddd", "fmin", decode_typed, S(fmin)},
    {"000 11110 tt 1 mmmmm 0110 10 nnnnn ddddd", "fmaxnm", decode_typed, S(fmaxnm)},
    {"000 11110 tt 1 mmmmm 0111 10 nnnnn ddddd", "fminnm", decode_typed, S(fminnm)},
    {"000 11110 tt 1 mmmmm 1000 10 nnnnn ddddd", "fnmul", decode_typed, S(fnmul)},
    {"000 11111 tt 0 mmmmm 0 aaaaa nnnnn ddddd", "fmadd", decode_typed, S(fmadd)},
    {"000 11111 tt 0 mmmmm 1 aaaaa nnnnn ddddd", "fmsub", decode_typed, S(fmsub)},
    {"000 11111 tt 1 mmmmm 0 aaaaa nnnnn ddddd", "fnmadd", decode_typed, S(fnmadd)},
    {"000 11111 tt 1 mmmmm 1 aaaaa nnnnn ddddd", "fnmsub", decode_typed, S(fnmsub)},
    {"000 11110 tt 1 0000 00 10000 nnnnn ddddd", "fmov", decode_typed, S(fmov)},
    {"000 11110 tt 1 0000 01 10000 nnnnn ddddd", "fabs", decode_typed, S(fabs)},
    {"000 11110 tt 1 0000 10 10000 nnnnn ddddd", "fneg", decode_typed, S(fneg)},
    {"000 11110 tt 1 0000 11 10000 nnnnn ddddd", "fsqrt", decode_typed, S(fsqrt)},
    {"000 11110 00 1 0001 01 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_s_to_d},
    {"000 11110 00 1 0001 11 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_s_to_h},
    {"000 11110 01 1 0001 00 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_d_to_s},
    {"000 11110 01 1 0001 11 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_d_to_h},
    {"000 11110 11 1 0001 00 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_h_to_s},
    {"000 11110 11 1 0001 01 10000 nnnnn ddddd", "fcvt", NULL, MV_OPCODE_fcvt_h_to_d},
    {"000 11110 tt 1 001 000 10000 nnnnn ddddd", "frintn", decode_typed, S(frint), MV_FP_TIEEVEN},
    {"000 11110 tt 1 001 001 10000 nnnnn ddddd", "frintp", decode_typed, S(frint), MV_FP_POSINF},
    {"000 11110 tt 1 001 010 10000 nnnnn ddddd", "frintm", decode_typed, S(frint), MV_FP_NEGINF},
    {"000 11110 tt 1 001 011 10000 nnnnn ddddd", "frintz", decode_typed, S(frint), MV_FP_ZERO},
    {"000 11110 tt 1 001 100 10000 nnnnn ddddd", "frinta", decode_typed, S(frint), MV_FP_TIEAWAY},
    {"000 11110 tt 1 001 110 10000 nnnnn ddddd", "frintx", decode_typed, S(frint_fpcr), true},
    {"000 11110 tt 1 001 111 10000 nnnnn ddddd", "frinti", decode_typed, S(frint_fpcr), false},
    {"000 11110 tt 1 mmmmm 001000 nnnnn e 0 000", "fcmp, fcmpe", decode_compare, S(fcmp)},
    {"000 11110 tt 1 mmmmm 001000 nnnnn e 1 000", "fcmp (zero)", decode_compare, S(fcmp_zero)},
    {"000 11110 tt 1 mmmmm cccc 01 nnnnn e ffff", "fccmp", decode_conditional_compare, S(fccmp)},
    {"000 11110 tt 1 mmmmm cccc 11 nnnnn ddddd", "fcsel", decode_conditional_select, S(fcsel)},
    {"000 11110 tt 1 iiiiiiii 100 00000 ddddd", "fmov (imm)", decode_move_imm, MV_OPCODE_fmov_imm},
    {"z 00 11110 tt 0 00 01 u ssssss nnnnn ddddd", "scvtf (fixed)", decode_fixed_point, FROM_FIXED},
    {"z 00 11110 tt 0 11 00 u ssssss nnnnn ddddd", "fcvtzs (fixed)", decode_fixed_point, TO_FIXED,
     MV_FP_ZERO},
    {"z 00 11110 tt 1 00 01 u 000000 nnnnn ddddd", "scvtf, ucvtf", decode_integer, FROM_FIXED},
    {"z 00 11110 tt 1 00 00 u 000000 nnnnn ddddd", "fcvtns, fcvtnu", decode_integer, TO_FIXED,
     MV_FP_TIEEVEN},
    {"z 00 11110 tt 1 01 00 u 000000 nnnnn ddddd", "fcvtps, fcvtpu", decode_integer, TO_FIXED,
     MV_FP_POSINF},
    {"z 00 11110 tt 1 10 00 u 000000 nnnnn ddddd", "fcvtms, fcvtmu", decode_integer, TO_FIXED,
     MV_FP_NEGINF},
    {"z 00 11110 tt 1 11 00 u 000000 nnnnn ddddd", "fcvtzs, fcvtzu", decode_integer, TO_FIXED,
     MV_FP_ZERO},
    {"z 00 11110 tt 1 00 10 u 000000 nnnnn ddddd", "fcvtas, fcvtau", decode_integer, TO_FIXED,
     MV_FP_TIEAWAY},
    {"0 00 11110 00 1 00 111 000000 nnnnn ddddd", "fmov (general)", NULL, MV_OPCODE_fmov_w_to_s},
    {"1 00 11110 01 1 00 111 000000 nnnnn ddddd", "fmov (general)", NULL, MV_OPCODE_fmov_x_to_d},
    {"1 00 11110 10 1 01 111 000000 nnnnn ddddd", "fmov (general)", NULL, MV_OPCODE_fmov_x_to_high},
    {"0 00 11110 00 1 00 110 000000 nnnnn ddddd", "fmov (general)", mv_a64_decode_dest,
     MV_OPCODE_fmov_s_to_w},
    {"1 00 11110 01 1 00 110 000000 nnnnn ddddd", "fmov (general)", mv_a64_decode_dest,
     MV_OPCODE_fmov_d_to_x},
    {"1 00 11110 10 1 01 110 000000 nnnnn ddddd", "fmov (general)", mv_a64_decode_dest,
     MV_OPCODE_fmov_high_to_x},
};
MV_A64_GROUP(mv_a64_fp, "scalar floating point", forms);
