/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD forms of the decode table with immediates or general registers:
 * shifts, modified immediates, copies (Arm ARM C4.1.96).
 */
#include "decode-vector.h"

/* The element's size is where the highest bit of immh is; none is reserved. */
static bool shift_size(uint32_t insn, unsigned *ret_size, unsigned *ret_value)
{
    unsigned immh = mv_bits(insn, 22, 19);
    if (immh == 0)
        return false;
    *ret_size = 31 - (unsigned)__builtin_clz(immh);
    *ret_value = mv_bits(insn, 22, 16);
    return true;
}

static bool decode_right(uint32_t insn, struct mv_op *op)
{
    unsigned size, value;
    if (!shift_size(insn, &size, &value))
        return false;
    op->rm = (uint8_t)((16u << size) - value);
    return mv_vector_arrange(insn, op, size);
}

static bool decode_left(uint32_t insn, struct mv_op *op)
{
    unsigned size, value;
    if (!shift_size(insn, &size, &value))
        return false;
    op->rm = (uint8_t)(value - (8u << size));
    return mv_vector_arrange(insn, op, size);
}

static bool decode_right_narrow(uint32_t insn, struct mv_op *op)
{
    unsigned size, value;
    if (!shift_size(insn, &size, &value))
        return false;
    op->rm = (uint8_t)((16u << size) - value);
    return mv_vector_arrange_halves(insn, op, size);
}

static bool decode_left_long(uint32_t insn, struct mv_op *op)
{
    unsigned size, value;
    if (!shift_size(insn, &size, &value))
        return false;
    op->rm = (uint8_t)(value - (8u << size));
    return mv_vector_arrange_halves(insn, op, size);
}

/* VFPExpandImm for single precision, twice, and for double precision. */
static uint64_t expand_float(unsigned imm8)
{
    uint64_t sign = imm8 >> 7, b = imm8 >> 6 & 1;
    uint64_t word = sign << 31 | (b ? 0x1fu << 25 : 1u << 30) | (uint64_t)(imm8 & 0x3f) << 19;
    return word << 32 | word;
}

static uint64_t expand_double(unsigned imm8)
{
    uint64_t sign = imm8 >> 7, b = imm8 >> 6 & 1;
    return sign << 63 | (b ? UINT64_C(0xff) << 54 : UINT64_C(1) << 62) |
           (uint64_t)(imm8 & 0x3f) << 48;
}

/* Each bit as a byte of zeros or ones. */
static uint64_t expand_bits(unsigned imm8)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= imm8 >> i & 1 ? UINT64_C(0xff) << 8 * i : 0;
    return value;
}

/* AdvSIMDExpandImm, but for the inversion of MVNI and BIC. */
static uint64_t expand_immediate(unsigned op, unsigned cmode, unsigned imm8)
{
    uint64_t words = UINT64_C(0x0000000100000001);
    switch (cmode >> 1) {
    case 0:
    case 1:
    case 2:
    case 3:
        return words * ((uint64_t)imm8 << 8 * (cmode >> 1));
    case 4:
    case 5:
        return UINT64_C(0x0001000100010001) * ((uint64_t)imm8 << 8 * (cmode >> 1 & 1));
    case 6:
        return words * (cmode & 1 ? (uint64_t)imm8 << 16 | 0xffff : (uint64_t)imm8 << 8 | 0xff);
    default:
        break;
    }
    if (cmode & 1)
        return op ? expand_double(imm8) : expand_float(imm8);
    return op ? expand_bits(imm8) : UINT64_C(0x0101010101010101) * imm8;
}

static bool decode_modified_immediate(uint32_t insn, struct mv_op *op)
{
    unsigned q = mv_bit(insn, 30), invert = mv_bit(insn, 29), cmode = mv_bits(insn, 15, 12);
    unsigned imm8 = mv_bits(insn, 18, 16) << 5 | mv_bits(insn, 9, 5);
    if (cmode == 15 && invert && !q)
        return false;
    op->rd = (uint8_t)mv_bits(insn, 4, 0);
    op->aux = (uint16_t)q;
    op->imm = expand_immediate(invert, cmode, imm8);
    if (cmode < 12 && (cmode & 1)) {
        op->code = invert ? MV_OPCODE_vbic_imm : MV_OPCODE_vorr_imm;
    } else {
        op->code = MV_OPCODE_vmovi;
        if (invert && cmode < 14)
            op->imm = ~op->imm;
    }
    return true;
}

/* imm5: the lowest set bit is the size, what is above it the index. */
static bool copy_size(uint32_t insn, unsigned *ret_size, unsigned *ret_index)
{
    unsigned imm5 = mv_bits(insn, 20, 16);
    if ((imm5 & 15) == 0)
        return false;
    *ret_size = (unsigned)__builtin_ctz(imm5);
    *ret_index = imm5 >> (*ret_size + 1);
    return true;
}

static bool decode_dup(uint32_t insn, struct mv_op *op)
{
    unsigned size, index;
    if (!copy_size(insn, &size, &index))
        return false;
    op->ra = (uint8_t)index;
    op->aux = SIZE_BHSD;
    return mv_vector_arrange(insn, op, size);
}

static bool decode_dup_general(uint32_t insn, struct mv_op *op)
{
    if (!decode_dup(insn, op))
        return false;
    op->rn = MV_RN(insn);
    return true;
}

static bool decode_ins(uint32_t insn, struct mv_op *op)
{
    unsigned size, index;
    if (!copy_size(insn, &size, &index))
        return false;
    mv_vector_registers(insn, op);
    op->code += (uint16_t)size;
    op->aux = (uint16_t)index;
    op->ra = (uint8_t)(mv_bits(insn, 14, 11) >> size);
    return true;
}

/* The registers' widths that each size may go to. */
static bool decode_umov(uint32_t insn, struct mv_op *op)
{
    unsigned size, index;
    if (!copy_size(insn, &size, &index) || (size == 3) != mv_bit(insn, 30))
        return false;
    mv_vector_registers(insn, op);
    op->rd = MV_RD(insn);
    op->code += (uint16_t)size;
    op->ra = (uint8_t)index;
    return true;
}

static bool decode_smov(uint32_t insn, struct mv_op *op)
{
    unsigned size, index, q = mv_bit(insn, 30);
    if (!copy_size(insn, &size, &index) || size > 1 + q)
        return false;
    mv_vector_registers(insn, op);
    op->rd = MV_RD(insn);
    op->code = (uint16_t)((q ? MV_OPCODE_smov_x_8 : MV_OPCODE_smov_w_8) + size);
    op->ra = (uint8_t)index;
    return true;
}

#define SHIFT(u, opcode, name, decode, code, sizes)                                                \
    {                                                                                              \
        "0 q " u " 011110 hhhh bbb " opcode " 1 nnnnn ddddd", name, decode, code, sizes            \
    }
#define SHIFT_BOTH(u, opcode, name, decode, code, sizes, scalar_sizes)                             \
    SHIFT(u, opcode, name, decode, code, sizes),                                                   \
    {                                                                                              \
        "01 " u " 111110 hhhh bbb " opcode " 1 nnnnn ddddd", name " (scalar)", decode, code,       \
            scalar_sizes                                                                           \
    }

/* Modified immediates come first: they are what shifts with immh 0 would be. */
static const struct mv_a64_form forms[] = {
    {"0 q o 0111100000 aaa cccc 01 bbbbb ddddd", "movi, mvni, orr, bic, fmov (vector, immediate)",
     decode_modified_immediate},

    SHIFT_BOTH("0", "00000", "sshr", decode_right, FROM_B(vsshr), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "00000", "ushr", decode_right, FROM_B(vushr), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("0", "00010", "ssra", decode_right, FROM_B(vssra), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "00010", "usra", decode_right, FROM_B(vusra), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("0", "00100", "srshr", decode_right, FROM_B(vsrshr), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "00100", "urshr", decode_right, FROM_B(vurshr), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("0", "00110", "srsra", decode_right, FROM_B(vsrsra), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "00110", "ursra", decode_right, FROM_B(vursra), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "01000", "sri", decode_right, FROM_B(vsri), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("0", "01010", "shl", decode_left, FROM_B(vshl), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "01010", "sli", decode_left, FROM_B(vsli), SIZE_BHSD, SIZE_D),
    SHIFT_BOTH("1", "01100", "sqshlu", decode_left, FROM_B(vsqshlu_imm), SIZE_BHSD, SIZE_BHSD),
    SHIFT_BOTH("0", "01110", "sqshl (immediate)", decode_left, FROM_B(vsqshl_imm), SIZE_BHSD,
               SIZE_BHSD),
    SHIFT_BOTH("1", "01110", "uqshl (immediate)", decode_left, FROM_B(vuqshl_imm), SIZE_BHSD,
               SIZE_BHSD),
    SHIFT("0", "10000", "shrn", decode_right_narrow, FROM_B(vshrn), SIZE_BHS),
    SHIFT_BOTH("1", "10000", "sqshrun", decode_right_narrow, FROM_B(vsqshrun), SIZE_BHS, SIZE_BHS),
    SHIFT("0", "10001", "rshrn", decode_right_narrow, FROM_B(vrshrn), SIZE_BHS),
    SHIFT_BOTH("1", "10001", "sqrshrun", decode_right_narrow, FROM_B(vsqrshrun), SIZE_BHS,
               SIZE_BHS),
    SHIFT_BOTH("0", "10010", "sqshrn", decode_right_narrow, FROM_B(vsqshrn), SIZE_BHS, SIZE_BHS),
    SHIFT_BOTH("1", "10010", "uqshrn", decode_right_narrow, FROM_B(vuqshrn), SIZE_BHS, SIZE_BHS),
    SHIFT_BOTH("0", "10011", "sqrshrn", decode_right_narrow, FROM_B(vsqrshrn), SIZE_BHS,
               SIZE_BHS),
    SHIFT_BOTH("1", "10011", "uqrshrn", decode_right_narrow, FROM_B(vuqrshrn), SIZE_BHS,
               SIZE_BHS),
    SHIFT_BOTH("0", "11100", "scvtf (fixed-point)", decode_right, FROM_S(vscvtf), SIZE_SD, SIZE_SD),
    SHIFT_BOTH("1", "11100", "ucvtf (fixed-point)", decode_right, FROM_S(vucvtf), SIZE_SD, SIZE_SD),
    SHIFT_BOTH("0", "11111", "fcvtzs (fixed-point)", decode_right, FROM_S(vfcvtzs), SIZE_SD,
               SIZE_SD),
    SHIFT_BOTH("1", "11111", "fcvtzu (fixed-point)", decode_right, FROM_S(vfcvtzu), SIZE_SD,
               SIZE_SD),
    SHIFT("0", "10100", "sshll", decode_left_long, FROM_B(vsshll), SIZE_BHS),
    SHIFT("1", "10100", "ushll", decode_left_long, FROM_B(vushll), SIZE_BHS),

    {"0 q 0 01110000 iiiii 0 0000 1 nnnnn ddddd", "dup (element)", decode_dup, FROM_B(vdup)},
    {"01 0 11110000 iiiii 0 0000 1 nnnnn ddddd", "dup (element, scalar)", decode_dup,
     FROM_B(dup_scalar)},
    {"0 q 0 01110000 iiiii 0 0001 1 nnnnn ddddd", "dup (general)", decode_dup_general,
     FROM_B(vdup_gen)},
    {"0 q 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "smov", decode_smov},
    {"0 q 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "umov", decode_umov, FROM_B(umov)},
    {"0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "ins (general)", decode_ins, FROM_B(vins_gen)},
    {"0 1 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd", "ins (element)", decode_ins, FROM_B(vins)},
};
MV_A64_GROUP(mv_a64_vector_immediate, "vector-immediate", forms);
