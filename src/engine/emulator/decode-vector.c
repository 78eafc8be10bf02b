/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD forms of the decode table whose operands are vector registers alone:
 * three same, three different, by element, two-register miscellaneous, across
 * lanes, permute, extract, table look-up; cryptography (Arm ARM C4.1.96).
 */
#include "decode-vector.h"

static bool decode_bitwise(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bit(insn, 30) ? UINT64_MAX : 0;
    return true;
}

static bool decode_same(uint32_t insn, struct mv_op *op)
{
    return mv_vector_arrange(insn, op, mv_bits(insn, 23, 22));
}

static bool decode_halves(uint32_t insn, struct mv_op *op)
{
    return mv_vector_arrange_halves(insn, op, mv_bits(insn, 23, 22));
}

/* Rm and the index of a halfword or word; the bits that name it differ. */
static unsigned decode_index(uint32_t insn, struct mv_op *op)
{
    unsigned high = mv_bit(insn, 11), low = mv_bit(insn, 21), m = mv_bit(insn, 20);
    bool halfword = mv_bits(insn, 23, 22) == 1;
    if (halfword)
        op->rm &= 15;
    return halfword ? high << 2 | low << 1 | m : high << 1 | low;
}

static bool decode_element(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)decode_index(insn, op);
    return decode_same(insn, op);
}

static bool decode_element_long(uint32_t insn, struct mv_op *op)
{
    op->imm = decode_index(insn, op);
    return decode_halves(insn, op);
}

/* SHLL shifts by the width of an element. */
static bool decode_shll(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)(8u << mv_bits(insn, 23, 22));
    return decode_halves(insn, op);
}

/* Two words are no arrangement here. */
static bool decode_across(uint32_t insn, struct mv_op *op)
{
    return decode_same(insn, op) && (mv_bits(insn, 23, 22) < 2 || mv_bit(insn, 30));
}

static bool decode_permute(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)mv_bit(insn, 14);
    return decode_same(insn, op);
}

static bool decode_ext(uint32_t insn, struct mv_op *op)
{
    bool q = mv_bit(insn, 30);
    op->code = q ? MV_OPCODE_vext_16b : MV_OPCODE_vext_8b;
    op->ra = (uint8_t)mv_bits(insn, 14, 11);
    return decode_bitwise(insn, op) && (q || op->ra < 8);
}

static bool decode_table(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)(mv_bits(insn, 14, 13) + 1);
    op->aux = (uint16_t)(8u << mv_bit(insn, 30));
    return decode_bitwise(insn, op);
}

#define BITWISE(u, size, name, code)                                                               \
    VECTOR(u, "0 " size " 1 mmmmm 00011 1", name, decode_bitwise, ONLY(code))
#define SAME(u, opcode, name, code, sizes)                                                         \
    VECTOR(u, "0 ss 1 mmmmm " opcode " 1", name, decode_same, code, sizes)
/* Many scalar forms are of doublewords alone. */
#define SAME_BOTH(u, opcode, name, code, sizes, scalar_sizes)                                      \
    BOTH(u, "0 ss 1 mmmmm " opcode " 1", name, code, decode_same, sizes, scalar_sizes)
#define DIFFERENT(u, opcode, name, code, sizes)                                                    \
    VECTOR(u, "0 ss 1 mmmmm " opcode " 00", name, decode_halves, code, sizes)
#define DIFFERENT_BOTH(opcode, name, code)                                                         \
    BOTH("0", "0 ss 1 mmmmm " opcode " 00", name, code, decode_halves, SIZE_HS, SIZE_HS)
#define ELEMENT(u, opcode, name, code, decode)                                                     \
    VECTOR(u, "1 ss L M mmmm " opcode " H 0", name " (by element)", decode, code, SIZE_HS)
#define ELEMENT_BOTH(opcode, name, code, decode)                                                   \
    BOTH("0", "1 ss L M mmmm " opcode " H 0", name " (by element)", code, decode, SIZE_HS, SIZE_HS)
#define MISC(u, opcode, name, code, decode, sizes)                                                 \
    VECTOR(u, "0 ss 10000 " opcode " 10", name, decode, code, sizes)
#define MISC_BOTH(u, opcode, name, code, decode, sizes, scalar_sizes)                              \
    BOTH(u, "0 ss 10000 " opcode " 10", name, code, decode, sizes, scalar_sizes)
#define MISC_BYTES(u, size, opcode, name, code)                                                    \
    VECTOR(u, "0 " size " 10000 " opcode " 10", name, decode_bitwise, ONLY(code))
#define ACROSS(u, opcode, name, code, sizes)                                                       \
    VECTOR(u, "0 ss 11000 " opcode " 10", name, decode_across, code, sizes)
#define PERMUTE(opcode, name, code)                                                                \
    MV_A64_FORM("0 q 001110 ss 0 mmmmm 0 p " opcode " 10 nnnnn ddddd", name, decode_permute, code, \
                SIZE_BHSD)

static const struct mv_a64_form forms[] = {
    BITWISE("0", "00", "and (vector)", vand),
    BITWISE("0", "01", "bic (vector)", vbic),
    BITWISE("0", "10", "orr (vector)", vorr),
    BITWISE("0", "11", "orn (vector)", vorn),
    BITWISE("1", "00", "eor (vector)", veor),
    BITWISE("1", "01", "bsl", vbsl),
    BITWISE("1", "10", "bit", vbit),
    BITWISE("1", "11", "bif", vbif),

    SU(SAME, "00000", hadd, SIZE_BHS),
    SU(SAME_BOTH, "00001", qadd, SIZE_BHSD, SIZE_BHSD),
    SU(SAME, "00010", rhadd, SIZE_BHS),
    SU(SAME, "00100", hsub, SIZE_BHS),
    SU(SAME_BOTH, "00101", qsub, SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("0", "00110", "cmgt (register)", FROM_B(vcmgt), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "00110", "cmhi", FROM_B(vcmhi), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "00111", "cmge (register)", FROM_B(vcmge), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "00111", "cmhs", FROM_B(vcmhs), SIZE_BHSD, SIZE_D),
    SU(SAME_BOTH, "01000", shl, SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "01001", "sqshl (register)", FROM_B(vsqshl), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("1", "01001", "uqshl (register)", FROM_B(vuqshl), SIZE_BHSD, SIZE_BHSD),
    SU(SAME_BOTH, "01010", rshl, SIZE_BHSD, SIZE_D),
    SU(SAME_BOTH, "01011", qrshl, SIZE_BHSD, SIZE_BHSD),
    SU(SAME, "01100", max, SIZE_BHS),
    SU(SAME, "01101", min, SIZE_BHS),
    SU(SAME, "01110", abd, SIZE_BHS),
    SU(SAME, "01111", aba, SIZE_BHS),
    SAME_BOTH("0", "10000", "add (vector)", FROM_B(vadd), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "10000", "sub (vector)", FROM_B(vsub), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "10001", "cmtst", FROM_B(vcmtst), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "10001", "cmeq (register)", FROM_B(vcmeq), SIZE_BHSD, SIZE_D),
    SAME("0", "10010", "mla", FROM_B(vmla), SIZE_BHS),
    SAME("1", "10010", "mls", FROM_B(vmls), SIZE_BHS),
    SAME("0", "10011", "mul", FROM_B(vmul), SIZE_BHS),
    SAME("1", "10011", "pmul", FROM_B(vpmul), SIZE_B),
    SU(SAME, "10100", maxp, SIZE_BHS),
    SU(SAME, "10101", minp, SIZE_BHS),
    SAME_BOTH("0", "10110", "sqdmulh", FROM_H(vsqdmulh), SIZE_HS, SIZE_HS),
    SAME_BOTH("1", "10110", "sqrdmulh", FROM_H(vsqrdmulh), SIZE_HS, SIZE_HS),
    SAME("0", "10111", "addp (vector)", FROM_B(vaddp), SIZE_BHSD),
    SCALAR("0", "0 11 11000 11011 10", "addp", NULL, ONLY(addp_scalar)),

    SU(DIFFERENT, "0000", addl, SIZE_BHS),
    SU(DIFFERENT, "0001", addw, SIZE_BHS),
    SU(DIFFERENT, "0010", subl, SIZE_BHS),
    SU(DIFFERENT, "0011", subw, SIZE_BHS),
    DIFFERENT("0", "0100", "addhn", FROM_B(vaddhn), SIZE_BHS),
    DIFFERENT("1", "0100", "raddhn", FROM_B(vraddhn), SIZE_BHS),
    SU(DIFFERENT, "0101", abal, SIZE_BHS),
    DIFFERENT("0", "0110", "subhn", FROM_B(vsubhn), SIZE_BHS),
    DIFFERENT("1", "0110", "rsubhn", FROM_B(vrsubhn), SIZE_BHS),
    SU(DIFFERENT, "0111", abdl, SIZE_BHS),
    SU(DIFFERENT, "1000", mlal, SIZE_BHS),
    DIFFERENT_BOTH("1001", "sqdmlal", FROM_H(vsqdmlal)),
    SU(DIFFERENT, "1010", mlsl, SIZE_BHS),
    DIFFERENT_BOTH("1011", "sqdmlsl", FROM_H(vsqdmlsl)),
    SU(DIFFERENT, "1100", mull, SIZE_BHS),
    DIFFERENT_BOTH("1101", "sqdmull", FROM_H(vsqdmull)),
    VECTOR("0", "0 00 1 mmmmm 1110 00", "pmull (bytes)", decode_halves, FROM_B(vpmull), SIZE_B),

    ELEMENT("1", "0000", "mla", FROM_H(vmla_el), decode_element),
    ELEMENT("0", "0010", "smlal", FROM_H(vsmlal_el), decode_element_long),
    ELEMENT("1", "0010", "umlal", FROM_H(vumlal_el), decode_element_long),
    ELEMENT_BOTH("0011", "sqdmlal", FROM_H(vsqdmlal_el), decode_element_long),
    ELEMENT("1", "0100", "mls", FROM_H(vmls_el), decode_element),
    ELEMENT("0", "0110", "smlsl", FROM_H(vsmlsl_el), decode_element_long),
    ELEMENT("1", "0110", "umlsl", FROM_H(vumlsl_el), decode_element_long),
    ELEMENT_BOTH("0111", "sqdmlsl", FROM_H(vsqdmlsl_el), decode_element_long),
    ELEMENT("0", "1000", "mul", FROM_H(vmul_el), decode_element),
    ELEMENT("0", "1010", "smull", FROM_H(vsmull_el), decode_element_long),
    ELEMENT("1", "1010", "umull", FROM_H(vumull_el), decode_element_long),
    ELEMENT_BOTH("1011", "sqdmull", FROM_H(vsqdmull_el), decode_element_long),
    ELEMENT_BOTH("1100", "sqdmulh", FROM_H(vsqdmulh_el), decode_element),
    ELEMENT_BOTH("1101", "sqrdmulh", FROM_H(vsqrdmulh_el), decode_element),

    MISC("0", "00000", "rev64", FROM_B(vrev64), decode_same, SIZE_BHS),
    MISC("1", "00000", "rev32 (vector)", FROM_B(vrev32), decode_same, SIZE_BH),
    MISC("0", "00001", "rev16 (vector)", FROM_B(vrev16), decode_same, SIZE_B),
    SU(MISC, "00010", addlp, decode_same, SIZE_BHS),
    MISC_BOTH("0", "00011", "suqadd", FROM_B(vsuqadd), decode_same, SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("1", "00011", "usqadd", FROM_B(vusqadd), decode_same, SIZE_BHSD, SIZE_BHSD),
    MISC("0", "00100", "cls (vector)", FROM_B(vcls), decode_same, SIZE_BHS),
    MISC("1", "00100", "clz (vector)", FROM_B(vclz), decode_same, SIZE_BHS),
    MISC_BYTES("0", "00", "00101", "cnt", vcnt),
    MISC_BYTES("1", "00", "00101", "not", vnot),
    MISC_BYTES("1", "01", "00101", "rbit (vector)", vrbit),
    SU(MISC, "00110", adalp, decode_same, SIZE_BHS),
    MISC_BOTH("0", "00111", "sqabs", FROM_B(vsqabs), decode_same, SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("1", "00111", "sqneg", FROM_B(vsqneg), decode_same, SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("0", "01000", "cmgt (zero)", FROM_B(vcmgt0), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01000", "cmge (zero)", FROM_B(vcmge0), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01001", "cmeq (zero)", FROM_B(vcmeq0), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01001", "cmle (zero)", FROM_B(vcmle0), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01010", "cmlt (zero)", FROM_B(vcmlt0), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01011", "abs", FROM_B(vabs), decode_same, SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01011", "neg (vector)", FROM_B(vneg), decode_same, SIZE_BHSD, SIZE_D),
    MISC("0", "10010", "xtn", FROM_B(vxtn), decode_halves, SIZE_BHS),
    MISC_BOTH("1", "10010", "sqxtun", FROM_B(vsqxtun), decode_halves, SIZE_BHS, SIZE_BHS),
    MISC("1", "10011", "shll", FROM_B(vushll), decode_shll, SIZE_BHS),
    SU(MISC_BOTH, "10100", qxtn, decode_halves, SIZE_BHS, SIZE_BHS),

    SU(ACROSS, "00011", addlv, SIZE_BHS),
    SU(ACROSS, "01010", maxv, SIZE_BHS),
    SU(ACROSS, "11010", minv, SIZE_BHS),
    ACROSS("0", "11011", "addv", FROM_B(vaddv), SIZE_BHS),

    PERMUTE("01", "uzp1, uzp2", FROM_B(vuzp)),
    PERMUTE("10", "trn1, trn2", FROM_B(vtrn)),
    PERMUTE("11", "zip1, zip2", FROM_B(vzip)),
    {"0 q 101110 00 0 mmmmm 0 iiii 0 nnnnn ddddd", "ext", decode_ext},
    {"0 q 001110 00 0 mmmmm 0 ll 0 00 nnnnn ddddd", "tbl", decode_table, ONLY(vtbl)},
    {"0 q 001110 00 0 mmmmm 0 ll 1 00 nnnnn ddddd", "tbx", decode_table, ONLY(vtbx)},
};
MV_A64_GROUP(mv_a64_vector, "vector", forms);

/* --- cryptography */

static bool decode_pmull(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)mv_bit(insn, 30);
    return true;
}

static const struct mv_a64_form crypto[] = {
    {"01001110 00 10100 00100 10 nnnnn ddddd", "aese", NULL, ONLY(aese)},
    {"01001110 00 10100 00101 10 nnnnn ddddd", "aesd", NULL, ONLY(aesd)},
    {"01001110 00 10100 00110 10 nnnnn ddddd", "aesmc", NULL, ONLY(aesmc)},
    {"01001110 00 10100 00111 10 nnnnn ddddd", "aesimc", NULL, ONLY(aesimc)},
    {"01011110 00 0 mmmmm 0 000 00 nnnnn ddddd", "sha1c", NULL, ONLY(sha1c)},
    {"01011110 00 0 mmmmm 0 001 00 nnnnn ddddd", "sha1p", NULL, ONLY(sha1p)},
    {"01011110 00 0 mmmmm 0 010 00 nnnnn ddddd", "sha1m", NULL, ONLY(sha1m)},
    {"01011110 00 0 mmmmm 0 011 00 nnnnn ddddd", "sha1su0", NULL, ONLY(sha1su0)},
    {"01011110 00 0 mmmmm 0 100 00 nnnnn ddddd", "sha256h", NULL, ONLY(sha256h)},
    {"01011110 00 0 mmmmm 0 101 00 nnnnn ddddd", "sha256h2", NULL, ONLY(sha256h2)},
    {"01011110 00 0 mmmmm 0 110 00 nnnnn ddddd", "sha256su1", NULL, ONLY(sha256su1)},
    {"01011110 00 10100 00000 10 nnnnn ddddd", "sha1h", NULL, ONLY(sha1h)},
    {"01011110 00 10100 00001 10 nnnnn ddddd", "sha1su1", NULL, ONLY(sha1su1)},
    {"01011110 00 10100 00010 10 nnnnn ddddd", "sha256su0", NULL, ONLY(sha256su0)},
    VECTOR("0", "0 11 1 mmmmm 1110 00", "pmull (doublewords)", decode_pmull, ONLY(vpmull_64)),
};
MV_A64_GROUP(mv_a64_crypto, "crypto", crypto);
