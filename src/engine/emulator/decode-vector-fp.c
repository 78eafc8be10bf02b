/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD floating-point forms of the decode table, single and double
 * precision (Arm ARM C4.1.96).  Bit 23 belongs to the opcode, bit 22 is the
 * precision.  Those of fixed point are among decode-vector-immediate.c's shifts.
 */
#include "decode-vector.h"

static bool decode_same(uint32_t insn, struct mv_op *op)
{
    op->aux = SIZE_SD;
    return mv_vector_arrange(insn, op, 2 + mv_bit(insn, 22));
}

/* Integers have no bits of fraction here. */
static bool decode_unary(uint32_t insn, struct mv_op *op)
{
    op->rm = 0;
    return decode_same(insn, op);
}

/* The index is H:L for words, H for doublewords, where L is reserved. */
static bool decode_element(uint32_t insn, struct mv_op *op)
{
    unsigned high = mv_bit(insn, 11), low = mv_bit(insn, 21);
    bool is_double = mv_bit(insn, 22);
    op->ra = (uint8_t)(is_double ? high : high << 1 | low);
    return !(is_double && low) && decode_same(insn, op);
}

/* Half and single, or single and double precision. */
static bool decode_convert(uint32_t insn, struct mv_op *op)
{
    return mv_vector_arrange_halves(insn, op, 1 + mv_bit(insn, 22));
}

#define SAME(u, o, opcode, name, code)                                                             \
    VECTOR(u, "0 " o " z 1 mmmmm " opcode " 1", name " (vector)", decode_same, FROM_S(code))
#define SAME_BOTH(u, o, opcode, name, code)                                                        \
    BOTH(u, "0 " o " z 1 mmmmm " opcode " 1", name, FROM_S(code), decode_same, 0, 0)
#define ELEMENT_BOTH(u, opcode, name, code)                                                        \
    BOTH(u, "1 1 z L mmmmm " opcode " H 0", name " (element)", FROM_S(code), decode_element, 0, 0)
#define MISC(u, o, opcode, name, code)                                                             \
    VECTOR(u, "0 " o " z 10000 " opcode " 10", name, decode_unary, FROM_S(code))
#define MISC_BOTH(u, o, opcode, name, code)                                                        \
    BOTH(u, "0 " o " z 10000 " opcode " 10", name, FROM_S(code), decode_unary, 0, 0)
#define CONVERT(u, opcode, name, code, sizes)                                                      \
    VECTOR(u, "0 0 z 10000 " opcode " 10", name, decode_convert, code, sizes)
#define PAIR(o, opcode, name, code)                                                                \
    SCALAR("1", "0 " o " z 11000 " opcode " 10", name, decode_unary, FROM_S(code))
#define ACROSS(o, opcode, name, code)                                                              \
    MV_A64_FORM("0 1 1 01110 " o " 0 11000 " opcode " 10 nnnnn ddddd", name, NULL, ONLY(code))

static const struct mv_a64_form forms[] = {
    SAME("0", "0", "11000", "fmaxnm", vfmaxnm),
    SAME("0", "1", "11000", "fminnm", vfminnm),
    SAME("0", "0", "11001", "fmla", vfmla),
    SAME("0", "1", "11001", "fmls", vfmls),
    SAME("0", "0", "11010", "fadd", vfadd),
    SAME("0", "1", "11010", "fsub", vfsub),
    SAME_BOTH("0", "0", "11011", "fmulx", vfmulx),
    SAME_BOTH("0", "0", "11100", "fcmeq (register)", vfcmeq),
    SAME("0", "0", "11110", "fmax", vfmax),
    SAME("0", "1", "11110", "fmin", vfmin),
    SAME_BOTH("0", "0", "11111", "frecps", vfrecps),
    SAME_BOTH("0", "1", "11111", "frsqrts", vfrsqrts),
    SAME("1", "0", "11000", "fmaxnmp", vfmaxnmp),
    SAME("1", "1", "11000", "fminnmp", vfminnmp),
    SAME("1", "0", "11010", "faddp", vfaddp),
    SAME_BOTH("1", "1", "11010", "fabd", vfabd),
    SAME("1", "0", "11011", "fmul", vfmul),
    SAME_BOTH("1", "0", "11100", "fcmge (register)", vfcmge),
    SAME_BOTH("1", "1", "11100", "fcmgt (register)", vfcmgt),
    SAME_BOTH("1", "0", "11101", "facge", vfacge),
    SAME_BOTH("1", "1", "11101", "facgt", vfacgt),
    SAME("1", "0", "11110", "fmaxp", vfmaxp),
    SAME("1", "1", "11110", "fminp", vfminp),
    SAME("1", "0", "11111", "fdiv", vfdiv),

    ELEMENT_BOTH("0", "0001", "fmla", vfmla_el),
    ELEMENT_BOTH("0", "0101", "fmls", vfmls_el),
    ELEMENT_BOTH("0", "1001", "fmul", vfmul_el),
    ELEMENT_BOTH("1", "1001", "fmulx", vfmulx_el),

    CONVERT("0", "10110", "fcvtn", FROM_H(vfcvtn), SIZE_HS),
    CONVERT("0", "10111", "fcvtl", FROM_H(vfcvtl), SIZE_HS),
    BOTH("1", "0 0 z 10000 10110 10", "fcvtxn", FROM_S(vfcvtxn), decode_convert, SIZE_S, SIZE_S),
    MISC("0", "0", "11000", "frintn (vector)", vfrintn),
    MISC("1", "0", "11000", "frinta (vector)", vfrinta),
    MISC("0", "1", "11000", "frintp (vector)", vfrintp),
    MISC("0", "0", "11001", "frintm (vector)", vfrintm),
    MISC("1", "0", "11001", "frintx (vector)", vfrintx),
    MISC("0", "1", "11001", "frintz (vector)", vfrintz),
    MISC("1", "1", "11001", "frinti (vector)", vfrinti),
    MISC_BOTH("0", "0", "11010", "fcvtns", vfcvtns),
    MISC_BOTH("1", "0", "11010", "fcvtnu", vfcvtnu),
    MISC_BOTH("0", "1", "11010", "fcvtps", vfcvtps),
    MISC_BOTH("1", "1", "11010", "fcvtpu", vfcvtpu),
    MISC_BOTH("0", "0", "11011", "fcvtms", vfcvtms),
    MISC_BOTH("1", "0", "11011", "fcvtmu", vfcvtmu),
    MISC_BOTH("0", "1", "11011", "fcvtzs", vfcvtzs),
    MISC_BOTH("1", "1", "11011", "fcvtzu", vfcvtzu),
    MISC_BOTH("0", "0", "11100", "fcvtas", vfcvtas),
    MISC_BOTH("1", "0", "11100", "fcvtau", vfcvtau),
    MISC_BOTH("0", "0", "11101", "scvtf", vscvtf),
    MISC_BOTH("1", "0", "11101", "ucvtf", vucvtf),
    MISC_BOTH("0", "1", "01100", "fcmgt (zero)", vfcmgt0),
    MISC_BOTH("1", "1", "01100", "fcmge (zero)", vfcmge0),
    MISC_BOTH("0", "1", "01101", "fcmeq (zero)", vfcmeq0),
    MISC_BOTH("1", "1", "01101", "fcmle (zero)", vfcmle0),
    MISC_BOTH("0", "1", "01110", "fcmlt (zero)", vfcmlt0),
    MISC("0", "1", "01111", "fabs (vector)", vfabs),
    MISC("1", "1", "01111", "fneg (vector)", vfneg),
    VECTOR("0", "0 1 0 10000 11100 10", "urecpe", decode_unary, FROM_S(vurecpe)),
    VECTOR("1", "0 1 0 10000 11100 10", "ursqrte", decode_unary, FROM_S(vursqrte)),
    MISC_BOTH("0", "1", "11101", "frecpe", vfrecpe),
    MISC_BOTH("1", "1", "11101", "frsqrte", vfrsqrte),
    SCALAR("0", "0 1 z 10000 11111 10", "frecpx", decode_unary, FROM_S(frecpx)),
    MISC("1", "1", "11111", "fsqrt (vector)", vfsqrt),

    PAIR("0", "01100", "fmaxnmp", fmaxnmp_scalar),
    PAIR("1", "01100", "fminnmp", fminnmp_scalar),
    PAIR("0", "01101", "faddp", faddp_scalar),
    PAIR("0", "01111", "fmaxp", fmaxp_scalar),
    PAIR("1", "01111", "fminp", fminp_scalar),
    ACROSS("0", "01100", "fmaxnmv", vfmaxnmv),
    ACROSS("1", "01100", "fminnmv", vfminnmv),
    ACROSS("0", "01111", "fmaxv", vfmaxv),
    ACROSS("1", "01111", "fminv", vfminv),
};
MV_A64_GROUP(mv_a64_vector_fp, "vector floating point", forms);
