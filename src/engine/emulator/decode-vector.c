/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD forms of the decode table whose operands are vector registers alone:
 * three same, three different, by element, two-register miscellaneous, across
 * lanes, permute, extract, table look-up; cryptography (Arm ARM C4.1.96).
 */
#include "decode-vector.h"

static bool decode_bitwise(uint32_t insn, struct mv_op *op)
{
    mv_vector_registers(insn, op);
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    op->imm = mv_bit(insn, 30) ? UINT64_MAX : 0;
    return true;
}

static bool decode_same(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    return mv_vector_arrange(insn, op, mv_bits(insn, 23, 22));
}

static bool decode_different(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    return mv_vector_arrange_halves(insn, op, mv_bits(insn, 23, 22));
}

/* Rm and the index of a halfword or word; the bits that name it differ. */
static unsigned decode_index(uint32_t insn, struct mv_op *op)
{
    unsigned high = mv_bit(insn, 11), low = mv_bit(insn, 21), m = mv_bit(insn, 20);
    unsigned rm = mv_bits(insn, 19, 16);
    bool halfword = mv_bits(insn, 23, 22) == 1;
    op->rm = (uint8_t)(halfword ? rm : m << 4 | rm);
    return halfword ? high << 2 | low << 1 | m : high << 1 | low;
}

static bool decode_element(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)decode_index(insn, op);
    return mv_vector_arrange(insn, op, mv_bits(insn, 23, 22));
}

static bool decode_element_long(uint32_t insn, struct mv_op *op)
{
    op->imm = decode_index(insn, op);
    return mv_vector_arrange_halves(insn, op, mv_bits(insn, 23, 22));
}

static bool decode_unary(uint32_t insn, struct mv_op *op)
{
    return mv_vector_arrange(insn, op, mv_bits(insn, 23, 22));
}

static bool decode_narrow(uint32_t insn, struct mv_op *op)
{
    return mv_vector_arrange_halves(insn, op, mv_bits(insn, 23, 22));
}

/* SHLL shifts by the width of an element. */
static bool decode_shll(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)(8u << mv_bits(insn, 23, 22));
    return mv_vector_arrange_halves(insn, op, mv_bits(insn, 23, 22));
}

/* Two words are no arrangement here. */
static bool decode_across(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 23, 22);
    return mv_vector_arrange(insn, op, size) && (size < 2 || mv_bit(insn, 30));
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
    {                                                                                              \
        "0 q " u " 01110 " size " 1 mmmmm 00011 1 nnnnn ddddd", name, decode_bitwise, ONLY(code)   \
    }
#define SAME(u, opcode, name, code, sizes)                                                         \
    {                                                                                              \
        "0 q " u " 01110 ss 1 mmmmm " opcode " 1 nnnnn ddddd", name, decode_same, code, sizes      \
    }
#define SAME_SCALAR(u, opcode, name, code, sizes)                                                  \
    {                                                                                              \
        "01 " u " 11110 ss 1 mmmmm " opcode " 1 nnnnn ddddd", name " (scalar)", decode_same, code, \
            sizes                                                                                  \
    }
/* Vector and scalar; many scalar forms are of doublewords alone. */
#define SAME_BOTH(u, opcode, name, code, sizes, scalar_sizes)                                      \
    SAME(u, opcode, name, code, sizes), SAME_SCALAR(u, opcode, name, code, scalar_sizes)

#define DIFFERENT(u, opcode, name, code, sizes)                                                    \
    {                                                                                              \
        "0 q " u " 01110 ss 1 mmmmm " opcode " 00 nnnnn ddddd", name, decode_different, code,      \
            sizes                                                                                  \
    }
#define DIFFERENT_SCALAR(opcode, name, code)                                                       \
    {                                                                                              \
        "01 0 11110 ss 1 mmmmm " opcode " 00 nnnnn ddddd", name " (scalar)", decode_different,     \
            code, SIZE_HS                                                                          \
    }
#define ELEMENT(u, opcode, name, decode, code)                                                     \
    {                                                                                              \
        "0 q " u " 01111 ss L M mmmm " opcode " H 0 nnnnn ddddd", name " (by element)", decode,    \
            code, SIZE_HS                                                                          \
    }
#define ELEMENT_SCALAR(opcode, name, decode, code)                                                 \
    {                                                                                              \
        "01 0 11111 ss L M mmmm " opcode " H 0 nnnnn ddddd", name " (by element, scalar)", decode, \
            code, SIZE_HS                                                                          \
    }
#define MISC(u, opcode, name, decode, code, sizes)                                                 \
    {                                                                                              \
        "0 q " u " 01110 ss 10000 " opcode " 10 nnnnn ddddd", name, decode, code, sizes            \
    }
#define MISC_SCALAR(u, opcode, name, decode, code, sizes)                                          \
    {                                                                                              \
        "01 " u " 11110 ss 10000 " opcode " 10 nnnnn ddddd", name " (scalar)", decode, code, sizes \
    }
#define MISC_BOTH(u, opcode, name, decode, code, sizes, scalar_sizes)                              \
    MISC(u, opcode, name, decode, code, sizes),                                                    \
        MISC_SCALAR(u, opcode, name, decode, code, scalar_sizes)
#define MISC_BYTES(u, size, opcode, name, code)                                                    \
    {                                                                                              \
        "0 q " u " 01110 " size " 10000 " opcode " 10 nnnnn ddddd", name, decode_bitwise,          \
            ONLY(code)                                                                             \
    }
#define ACROSS(u, opcode, name, code)                                                              \
    {                                                                                              \
        "0 q " u " 01110 ss 11000 " opcode " 10 nnnnn ddddd", name, decode_across, code, SIZE_BHS  \
    }
#define PERMUTE(opcode, name, code)                                                                \
    {                                                                                              \
        "0 q 001110 ss 0 mmmmm 0 p " opcode " 10 nnnnn ddddd", name, decode_permute, code,         \
            SIZE_BHSD                                                                              \
    }

static const struct mv_a64_form forms[] = {
    BITWISE("0", "00", "and (vector)", vand),
    BITWISE("0", "01", "bic (vector)", vbic),
    BITWISE("0", "10", "orr (vector)", vorr),
    BITWISE("0", "11", "orn (vector)", vorn),
    BITWISE("1", "00", "eor (vector)", veor),
    BITWISE("1", "01", "bsl", vbsl),
    BITWISE("1", "10", "bit", vbit),
    BITWISE("1", "11", "bif", vbif),

    SAME("0", "00000", "shadd", FROM_B(vshadd), SIZE_BHS),
    SAME("1", "00000", "uhadd", FROM_B(vuhadd), SIZE_BHS),
    SAME_BOTH("0", "00001", "sqadd", FROM_B(vsqadd), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("1", "00001", "uqadd", FROM_B(vuqadd), SIZE_BHSD, SIZE_BHSD),
    SAME("0", "00010", "srhadd", FROM_B(vsrhadd), SIZE_BHS),
    SAME("1", "00010", "urhadd", FROM_B(vurhadd), SIZE_BHS),
    SAME("0", "00100", "shsub", FROM_B(vshsub), SIZE_BHS),
    SAME("1", "00100", "uhsub", FROM_B(vuhsub), SIZE_BHS),
    SAME_BOTH("0", "00101", "sqsub", FROM_B(vsqsub), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("1", "00101", "uqsub", FROM_B(vuqsub), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("0", "00110", "cmgt (register)", FROM_B(vcmgt), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "00110", "cmhi", FROM_B(vcmhi), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "00111", "cmge (register)", FROM_B(vcmge), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "00111", "cmhs", FROM_B(vcmhs), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "01000", "sshl", FROM_B(vsshl), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "01000", "ushl", FROM_B(vushl), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "01001", "sqshl (register)", FROM_B(vsqshl), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("1", "01001", "uqshl (register)", FROM_B(vuqshl), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("0", "01010", "srshl", FROM_B(vsrshl), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "01010", "urshl", FROM_B(vurshl), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "01011", "sqrshl", FROM_B(vsqrshl), SIZE_BHSD, SIZE_BHSD),
    SAME_BOTH("1", "01011", "uqrshl", FROM_B(vuqrshl), SIZE_BHSD, SIZE_BHSD),
    SAME("0", "01100", "smax", FROM_B(vsmax), SIZE_BHS),
    SAME("1", "01100", "umax", FROM_B(vumax), SIZE_BHS),
    SAME("0", "01101", "smin", FROM_B(vsmin), SIZE_BHS),
    SAME("1", "01101", "umin", FROM_B(vumin), SIZE_BHS),
    SAME("0", "01110", "sabd", FROM_B(vsabd), SIZE_BHS),
    SAME("1", "01110", "uabd", FROM_B(vuabd), SIZE_BHS),
    SAME("0", "01111", "saba", FROM_B(vsaba), SIZE_BHS),
    SAME("1", "01111", "uaba", FROM_B(vuaba), SIZE_BHS),
    SAME_BOTH("0", "10000", "add (vector)", FROM_B(vadd), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "10000", "sub (vector)", FROM_B(vsub), SIZE_BHSD, SIZE_D),
    SAME_BOTH("0", "10001", "cmtst", FROM_B(vcmtst), SIZE_BHSD, SIZE_D),
    SAME_BOTH("1", "10001", "cmeq (register)", FROM_B(vcmeq), SIZE_BHSD, SIZE_D),
    SAME("0", "10010", "mla", FROM_B(vmla), SIZE_BHS),
    SAME("1", "10010", "mls", FROM_B(vmls), SIZE_BHS),
    SAME("0", "10011", "mul", FROM_B(vmul), SIZE_BHS),
    SAME("1", "10011", "pmul", FROM_B(vpmul), SIZE_B),
    SAME("0", "10100", "smaxp", FROM_B(vsmaxp), SIZE_BHS),
    SAME("1", "10100", "umaxp", FROM_B(vumaxp), SIZE_BHS),
    SAME("0", "10101", "sminp", FROM_B(vsminp), SIZE_BHS),
    SAME("1", "10101", "uminp", FROM_B(vuminp), SIZE_BHS),
    SAME_BOTH("0", "10110", "sqdmulh", FROM_H(vsqdmulh), SIZE_HS, SIZE_HS),
    SAME_BOTH("1", "10110", "sqrdmulh", FROM_H(vsqrdmulh), SIZE_HS, SIZE_HS),
    SAME("0", "10111", "addp (vector)", FROM_B(vaddp), SIZE_BHSD),
    {"01 0 11110 11 11000 11011 10 nnnnn ddddd", "addp (scalar)", decode_bitwise,
     ONLY(addp_scalar)},

    DIFFERENT("0", "0000", "saddl", FROM_B(vsaddl), SIZE_BHS),
    DIFFERENT("1", "0000", "uaddl", FROM_B(vuaddl), SIZE_BHS),
    DIFFERENT("0", "0001", "saddw", FROM_B(vsaddw), SIZE_BHS),
    DIFFERENT("1", "0001", "uaddw", FROM_B(vuaddw), SIZE_BHS),
    DIFFERENT("0", "0010", "ssubl", FROM_B(vssubl), SIZE_BHS),
    DIFFERENT("1", "0010", "usubl", FROM_B(vusubl), SIZE_BHS),
    DIFFERENT("0", "0011", "ssubw", FROM_B(vssubw), SIZE_BHS),
    DIFFERENT("1", "0011", "usubw", FROM_B(vusubw), SIZE_BHS),
    DIFFERENT("0", "0100", "addhn", FROM_B(vaddhn), SIZE_BHS),
    DIFFERENT("1", "0100", "raddhn", FROM_B(vraddhn), SIZE_BHS),
    DIFFERENT("0", "0101", "sabal", FROM_B(vsabal), SIZE_BHS),
    DIFFERENT("1", "0101", "uabal", FROM_B(vuabal), SIZE_BHS),
    DIFFERENT("0", "0110", "subhn", FROM_B(vsubhn), SIZE_BHS),
    DIFFERENT("1", "0110", "rsubhn", FROM_B(vrsubhn), SIZE_BHS),
    DIFFERENT("0", "0111", "sabdl", FROM_B(vsabdl), SIZE_BHS),
    DIFFERENT("1", "0111", "uabdl", FROM_B(vuabdl), SIZE_BHS),
    DIFFERENT("0", "1000", "smlal", FROM_B(vsmlal), SIZE_BHS),
    DIFFERENT("1", "1000", "umlal", FROM_B(vumlal), SIZE_BHS),
    DIFFERENT("0", "1001", "sqdmlal", FROM_H(vsqdmlal), SIZE_HS),
    DIFFERENT("0", "1010", "smlsl", FROM_B(vsmlsl), SIZE_BHS),
    DIFFERENT("1", "1010", "umlsl", FROM_B(vumlsl), SIZE_BHS),
    DIFFERENT("0", "1011", "sqdmlsl", FROM_H(vsqdmlsl), SIZE_HS),
    DIFFERENT("0", "1100", "smull", FROM_B(vsmull), SIZE_BHS),
    DIFFERENT("1", "1100", "umull", FROM_B(vumull), SIZE_BHS),
    DIFFERENT("0", "1101", "sqdmull", FROM_H(vsqdmull), SIZE_HS),
    {"0 q 0 01110 00 1 mmmmm 1110 00 nnnnn ddddd", "pmull (bytes)", decode_different,
     FROM_B(vpmull), SIZE_B},
    DIFFERENT_SCALAR("1001", "sqdmlal", FROM_H(vsqdmlal)),
    DIFFERENT_SCALAR("1011", "sqdmlsl", FROM_H(vsqdmlsl)),
    DIFFERENT_SCALAR("1101", "sqdmull", FROM_H(vsqdmull)),

    ELEMENT("1", "0000", "mla", decode_element, FROM_H(vmla_el)),
    ELEMENT("0", "0010", "smlal", decode_element_long, FROM_H(vsmlal_el)),
    ELEMENT("1", "0010", "umlal", decode_element_long, FROM_H(vumlal_el)),
    ELEMENT("0", "0011", "sqdmlal", decode_element_long, FROM_H(vsqdmlal_el)),
    ELEMENT("1", "0100", "mls", decode_element, FROM_H(vmls_el)),
    ELEMENT("0", "0110", "smlsl", decode_element_long, FROM_H(vsmlsl_el)),
    ELEMENT("1", "0110", "umlsl", decode_element_long, FROM_H(vumlsl_el)),
    ELEMENT("0", "0111", "sqdmlsl", decode_element_long, FROM_H(vsqdmlsl_el)),
    ELEMENT("0", "1000", "mul", decode_element, FROM_H(vmul_el)),
    ELEMENT("0", "1010", "smull", decode_element_long, FROM_H(vsmull_el)),
    ELEMENT("1", "1010", "umull", decode_element_long, FROM_H(vumull_el)),
    ELEMENT("0", "1011", "sqdmull", decode_element_long, FROM_H(vsqdmull_el)),
    ELEMENT("0", "1100", "sqdmulh", decode_element, FROM_H(vsqdmulh_el)),
    ELEMENT("0", "1101", "sqrdmulh", decode_element, FROM_H(vsqrdmulh_el)),
    ELEMENT_SCALAR("0011", "sqdmlal", decode_element_long, FROM_H(vsqdmlal_el)),
    ELEMENT_SCALAR("0111", "sqdmlsl", decode_element_long, FROM_H(vsqdmlsl_el)),
    ELEMENT_SCALAR("1011", "sqdmull", decode_element_long, FROM_H(vsqdmull_el)),
    ELEMENT_SCALAR("1100", "sqdmulh", decode_element, FROM_H(vsqdmulh_el)),
    ELEMENT_SCALAR("1101", "sqrdmulh", decode_element, FROM_H(vsqrdmulh_el)),

    MISC("0", "00000", "rev64", decode_unary, FROM_B(vrev64), SIZE_BHS),
    MISC("1", "00000", "rev32 (vector)", decode_unary, FROM_B(vrev32), SIZE_BH),
    MISC("0", "00001", "rev16 (vector)", decode_unary, FROM_B(vrev16), SIZE_B),
    MISC("0", "00010", "saddlp", decode_unary, FROM_B(vsaddlp), SIZE_BHS),
    MISC("1", "00010", "uaddlp", decode_unary, FROM_B(vuaddlp), SIZE_BHS),
    MISC_BOTH("0", "00011", "suqadd", decode_unary, FROM_B(vsuqadd), SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("1", "00011", "usqadd", decode_unary, FROM_B(vusqadd), SIZE_BHSD, SIZE_BHSD),
    MISC("0", "00100", "cls (vector)", decode_unary, FROM_B(vcls), SIZE_BHS),
    MISC("1", "00100", "clz (vector)", decode_unary, FROM_B(vclz), SIZE_BHS),
    MISC_BYTES("0", "00", "00101", "cnt", vcnt),
    MISC_BYTES("1", "00", "00101", "not", vnot),
    MISC_BYTES("1", "01", "00101", "rbit (vector)", vrbit),
    MISC("0", "00110", "sadalp", decode_unary, FROM_B(vsadalp), SIZE_BHS),
    MISC("1", "00110", "uadalp", decode_unary, FROM_B(vuadalp), SIZE_BHS),
    MISC_BOTH("0", "00111", "sqabs", decode_unary, FROM_B(vsqabs), SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("1", "00111", "sqneg", decode_unary, FROM_B(vsqneg), SIZE_BHSD, SIZE_BHSD),
    MISC_BOTH("0", "01000", "cmgt (zero)", decode_unary, FROM_B(vcmgt0), SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01000", "cmge (zero)", decode_unary, FROM_B(vcmge0), SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01001", "cmeq (zero)", decode_unary, FROM_B(vcmeq0), SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01001", "cmle (zero)", decode_unary, FROM_B(vcmle0), SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01010", "cmlt (zero)", decode_unary, FROM_B(vcmlt0), SIZE_BHSD, SIZE_D),
    MISC_BOTH("0", "01011", "abs", decode_unary, FROM_B(vabs), SIZE_BHSD, SIZE_D),
    MISC_BOTH("1", "01011", "neg (vector)", decode_unary, FROM_B(vneg), SIZE_BHSD, SIZE_D),
    MISC("0", "10010", "xtn", decode_narrow, FROM_B(vxtn), SIZE_BHS),
    MISC_BOTH("1", "10010", "sqxtun", decode_narrow, FROM_B(vsqxtun), SIZE_BHS, SIZE_BHS),
    MISC("1", "10011", "shll", decode_shll, FROM_B(vushll), SIZE_BHS),
    MISC_BOTH("0", "10100", "sqxtn", decode_narrow, FROM_B(vsqxtn), SIZE_BHS, SIZE_BHS),
    MISC_BOTH("1", "10100", "uqxtn", decode_narrow, FROM_B(vuqxtn), SIZE_BHS, SIZE_BHS),

    ACROSS("0", "00011", "saddlv", FROM_B(vsaddlv)),
    ACROSS("1", "00011", "uaddlv", FROM_B(vuaddlv)),
    ACROSS("0", "01010", "smaxv", FROM_B(vsmaxv)),
    ACROSS("1", "01010", "umaxv", FROM_B(vumaxv)),
    ACROSS("0", "11010", "sminv", FROM_B(vsminv)),
    ACROSS("1", "11010", "uminv", FROM_B(vuminv)),
    ACROSS("0", "11011", "addv", FROM_B(vaddv)),

    PERMUTE("01", "uzp1, uzp2", FROM_B(vuzp)),
    PERMUTE("10", "trn1, trn2", FROM_B(vtrn)),
    PERMUTE("11", "zip1, zip2", FROM_B(vzip)),
    {"0 q 101110 00 0 mmmmm 0 iiii 0 nnnnn ddddd", "ext", decode_ext},
    {"0 q 001110 00 0 mmmmm 0 ll 0 00 nnnnn ddddd", "tbl", decode_table, ONLY(vtbl)},
    {"0 q 001110 00 0 mmmmm 0 ll 1 00 nnnnn ddddd", "tbx", decode_table, ONLY(vtbx)},
};
MV_A64_GROUP(mv_a64_vector, "vector", forms);

/* --- cryptography */

static bool decode_crypto(uint32_t insn, struct mv_op *op)
{
    mv_vector_registers(insn, op);
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    return true;
}

static bool decode_pmull(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)mv_bit(insn, 30);
    return decode_crypto(insn, op);
}

#define AES(opcode, name)                                                                          \
    {                                                                                              \
        "01001110 00 10100 " opcode " 10 nnnnn ddddd", #name, decode_crypto, ONLY(name)            \
    }
#define SHA_3(opcode, name)                                                                        \
    {                                                                                              \
        "01011110 00 0 mmmmm 0 " opcode " 00 nnnnn ddddd", #name, decode_crypto, ONLY(name)        \
    }
#define SHA_2(opcode, name)                                                                        \
    {                                                                                              \
        "01011110 00 10100 " opcode " 10 nnnnn ddddd", #name, decode_crypto, ONLY(name)            \
    }

static const struct mv_a64_form crypto[] = {
    AES("00100", aese),
    AES("00101", aesd),
    AES("00110", aesmc),
    AES("00111", aesimc),
    SHA_3("000", sha1c),
    SHA_3("001", sha1p),
    SHA_3("010", sha1m),
    SHA_3("011", sha1su0),
    SHA_3("100", sha256h),
    SHA_3("101", sha256h2),
    SHA_3("110", sha256su1),
    SHA_2("00000", sha1h),
    SHA_2("00001", sha1su1),
    SHA_2("00010", sha256su0),
    {"0 q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd", "pmull (doublewords)", decode_pmull,
     ONLY(vpmull_64)},
};
MV_A64_GROUP(mv_a64_crypto, "crypto", crypto);
