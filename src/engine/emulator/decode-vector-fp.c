/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD floating-point forms of the decode table, single and double
 * precision (Arm ARM C4.1.96).  Bit 23 belongs to the opcode, bit 22 is the
 * precision.  Those of fixed point are among decode-vector-immediate.c's shifts.
 */
#include "decode-vector.h"

static unsigned precision(uint32_t insn)
{
    return 2 + mv_bit(insn, 22);
}

static bool decode_same(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    op->aux = SIZE_SD;
    return mv_vector_arrange(insn, op, precision(insn));
}

static bool decode_unary(uint32_t insn, struct mv_op *op)
{
    op->aux = SIZE_SD;
    return mv_vector_arrange(insn, op, precision(insn));
}

/* URECPE, URSQRTE: words alone. */
static bool decode_estimate(uint32_t insn, struct mv_op *op)
{
    op->aux = SIZE_S;
    return mv_vector_arrange(insn, op, precision(insn));
}

/* The index is H:L for words, H for doublewords, where L is reserved. */
static bool decode_element(uint32_t insn, struct mv_op *op)
{
    unsigned high = mv_bit(insn, 11), low = mv_bit(insn, 21);
    bool is_double = mv_bit(insn, 22);
    if (is_double && low)
        return false;
    op->ra = (uint8_t)(is_double ? high : high << 1 | low);
    return decode_same(insn, op);
}

/* Half and single, or single and double precision. */
static bool decode_convert(uint32_t insn, struct mv_op *op)
{
    op->aux = SIZE_HS;
    return mv_vector_arrange_halves(insn, op, precision(insn) - 1);
}

static bool decode_convert_odd(uint32_t insn, struct mv_op *op)
{
    op->aux = SIZE_S;
    return mv_vector_arrange_halves(insn, op, precision(insn) - 1);
}

static bool decode_across(uint32_t insn, struct mv_op *op)
{
    mv_vector_registers(insn, op);
    return true;
}

#define SAME(u, o, opcode, name, code)                                                             \
    {                                                                                              \
        "0 q " u " 01110 " o " z 1 mmmmm " opcode " 1 nnnnn ddddd", name " (vector)", decode_same, \
            FROM_S(code)                                                                           \
    }
#define SAME_BOTH(u, o, opcode, name, code)                                                        \
    SAME(u, o, opcode, name, code),                                                                \
    {                                                                                              \
        "01 " u " 11110 " o " z 1 mmmmm " opcode " 1 nnnnn ddddd", name " (scalar)", decode_same,  \
            FROM_S(code)                                                                           \
    }
#define ELEMENT_BOTH(u, opcode, name, code)                                                        \
    {                                                                                              \
        "0 q " u " 01111 1 z L mmmmm " opcode " H 0 nnnnn ddddd", name " (by element)",            \
            decode_element, FROM_S(code)                                                           \
    },                                                                                             \
    {                                                                                              \
        "01 " u " 11111 1 z L mmmmm " opcode " H 0 nnnnn ddddd", name " (by element, scalar)",     \
            decode_element, FROM_S(code)                                                           \
    }
#define MISC(u, o, opcode, name, decode, code)                                                     \
    {                                                                                              \
        "0 q " u " 01110 " o " z 10000 " opcode " 10 nnnnn ddddd", name, decode, code              \
    }
#define MISC_SCALAR(u, o, opcode, name, decode, code)                                              \
    {                                                                                              \
        "01 " u " 11110 " o " z 10000 " opcode " 10 nnnnn ddddd", name " (scalar)", decode, code   \
    }
#define MISC_BOTH(u, o, opcode, name, decode, code)                                                \
    MISC(u, o, opcode, name " (vector)", decode, code),                                            \
        MISC_SCALAR(u, o, opcode, name, decode, code)
#define PAIR(o, opcode, name, code)                                                                \
    {                                                                                              \
        "01 1 11110 " o " z 11000 " opcode " 10 nnnnn ddddd", name " (scalar)", decode_unary,      \
            FROM_S(code)                                                                           \
    }
#define ACROSS(o, opcode, name, code)                                                              \
    {                                                                                              \
        "0 1 1 01110 " o " 0 11000 " opcode " 10 nnnnn ddddd", name, decode_across, ONLY(code)     \
    }

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

    MISC("0", "0", "10110", "fcvtn", decode_convert, FROM_H(vfcvtn)),
    MISC("0", "0", "10111", "fcvtl", decode_convert, FROM_H(vfcvtl)),
    MISC_BOTH("1", "0", "10110", "fcvtxn", decode_convert_odd, FROM_S(vfcvtxn)),
    MISC("0", "0", "11000", "frintn (vector)", decode_unary, FROM_S(vfrintn)),
    MISC("1", "0", "11000", "frinta (vector)", decode_unary, FROM_S(vfrinta)),
    MISC("0", "1", "11000", "frintp (vector)", decode_unary, FROM_S(vfrintp)),
    MISC("0", "0", "11001", "frintm (vector)", decode_unary, FROM_S(vfrintm)),
    MISC("1", "0", "11001", "frintx (vector)", decode_unary, FROM_S(vfrintx)),
    MISC("0", "1", "11001", "frintz (vector)", decode_unary, FROM_S(vfrintz)),
    MISC("1", "1", "11001", "frinti (vector)", decode_unary, FROM_S(vfrinti)),
    MISC_BOTH("0", "0", "11010", "fcvtns", decode_unary, FROM_S(vfcvtns)),
    MISC_BOTH("1", "0", "11010", "fcvtnu", decode_unary, FROM_S(vfcvtnu)),
    MISC_BOTH("0", "1", "11010", "fcvtps", decode_unary, FROM_S(vfcvtps)),
    MISC_BOTH("1", "1", "11010", "fcvtpu", decode_unary, FROM_S(vfcvtpu)),
    MISC_BOTH("0", "0", "11011", "fcvtms", decode_unary, FROM_S(vfcvtms)),
    MISC_BOTH("1", "0", "11011", "fcvtmu", decode_unary, FROM_S(vfcvtmu)),
    MISC_BOTH("0", "1", "11011", "fcvtzs", decode_unary, FROM_S(vfcvtzs)),
    MISC_BOTH("1", "1", "11011", "fcvtzu", decode_unary, FROM_S(vfcvtzu)),
    MISC_BOTH("0", "0", "11100", "fcvtas", decode_unary, FROM_S(vfcvtas)),
    MISC_BOTH("1", "0", "11100", "fcvtau", decode_unary, FROM_S(vfcvtau)),
    MISC_BOTH("0", "0", "11101", "scvtf", decode_unary, FROM_S(vscvtf)),
    MISC_BOTH("1", "0", "11101", "ucvtf", decode_unary, FROM_S(vucvtf)),
    MISC_BOTH("0", "1", "01100", "fcmgt (zero)", decode_unary, FROM_S(vfcmgt0)),
    MISC_BOTH("1", "1", "01100", "fcmge (zero)", decode_unary, FROM_S(vfcmge0)),
    MISC_BOTH("0", "1", "01101", "fcmeq (zero)", decode_unary, FROM_S(vfcmeq0)),
    MISC_BOTH("1", "1", "01101", "fcmle (zero)", decode_unary, FROM_S(vfcmle0)),
    MISC_BOTH("0", "1", "01110", "fcmlt (zero)", decode_unary, FROM_S(vfcmlt0)),
    MISC("0", "1", "01111", "fabs (vector)", decode_unary, FROM_S(vfabs)),
    MISC("1", "1", "01111", "fneg (vector)", decode_unary, FROM_S(vfneg)),
    MISC("0", "1", "11100", "urecpe", decode_estimate, FROM_S(vurecpe)),
    MISC("1", "1", "11100", "ursqrte", decode_estimate, FROM_S(vursqrte)),
    MISC_BOTH("0", "1", "11101", "frecpe", decode_unary, FROM_S(vfrecpe)),
    MISC_BOTH("1", "1", "11101", "frsqrte", decode_unary, FROM_S(vfrsqrte)),
    MISC_SCALAR("0", "1", "11111", "frecpx", decode_unary, FROM_S(frecpx)),
    MISC("1", "1", "11111", "fsqrt (vector)", decode_unary, FROM_S(vfsqrt)),

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
