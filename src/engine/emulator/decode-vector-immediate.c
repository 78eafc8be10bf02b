/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdvSIMD forms of the decode table with immediates or general registers:
 * shifts, modified immediates, copies (Arm ARM C4.1.96).
 */
#include "decode-vector.h"

/*
 * The element's size is where the highest bit of immh is; where none is, it is one
 * that no form has.
 */
static unsigned shift_size(uint32_t insn)
{
    unsigned immh = mv_bits(insn, 22, 19);
    return immh == 0 ? SIZE_COUNT : 31 - (unsigned)__builtin_clz(immh);
}

static unsigned right_amount(uint32_t insn)
{
    return (16u << shift_size(insn)) - mv_bits(insn, 22, 16);
}

static unsigned left_amount(uint32_t insn)
{
    return mv_bits(insn, 22, 16) - (8u << shift_size(insn));
}

static bool decode_right(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)right_amount(insn);
    return mv_vector_arrange(insn, op, shift_size(insn));
}

static bool decode_left(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)left_amount(insn);
    return mv_vector_arrange(insn, op, shift_size(insn));
}

static bool decode_right_narrow(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)right_amount(insn);
    return mv_vector_arrange_halves(insn, op, shift_size(insn));
}

static bool decode_left_long(uint32_t insn, struct mv_op *op)
{
    op->rm = (uint8_t)left_amount(insn);
    return mv_vector_arrange_halves(insn, op, shift_size(insn));
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
    const uint64_t words = UINT64_C(0x0000000100000001);
    unsigned kind = cmode >> 1;
    if (kind < 4)
        return words * ((uint64_t)imm8 << 8 * kind);
    if (kind < 6)
        return UINT64_C(0x0001000100010001) * ((uint64_t)imm8 << 8 * (kind & 1));
    if (kind == 6)
        return words * (cmode & 1 ? (uint64_t)imm8 << 16 | 0xffff : (uint64_t)imm8 << 8 | 0xff);
    if (cmode & 1)
        return mv_a64_expand_float(imm8, op) * (op ? 1 : words);
    return op ? expand_bits(imm8) : UINT64_C(0x0101010101010101) * imm8;
}

static bool decode_modified_immediate(uint32_t insn, struct mv_op *op)
{
    unsigned q = mv_bit(insn, 30), invert = mv_bit(insn, 29), cmode = mv_bits(insn, 15, 12);
    unsigned imm8 = mv_bits(insn, 18, 16) << 5 | mv_bits(insn, 9, 5);
    if (cmode == 15 && invert && !q)
        return false;
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
static unsigned copy_size(uint32_t insn)
{
    return (unsigned)__builtin_ctz(mv_bits(insn, 19, 16) | 1u << SIZE_COUNT);
}

static unsigned copy_index(uint32_t insn)
{
    return mv_bits(insn, 20, 16) >> (copy_size(insn) + 1);
}

static bool decode_dup(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)copy_index(insn);
    op->aux = SIZE_BHSD;
    return mv_vector_arrange(insn, op, copy_size(insn));
}

static bool decode_ins(uint32_t insn, struct mv_op *op)
{
    unsigned size = copy_size(insn);
    op->code = (uint16_t)(op->code + size);
    op->aux = (uint16_t)copy_index(insn);
    op->ra = (uint8_t)(mv_bits(insn, 14, 11) >> size);
    return size < SIZE_COUNT;
}

/* To a general register. */
static bool decode_move(uint32_t insn, struct mv_op *op)
{
    unsigned size = copy_size(insn);
    op->code = (uint16_t)(op->code + size);
    op->ra = (uint8_t)copy_index(insn);
    return op->aux >> size & 1 && mv_a64_decode_dest(insn, op);
}

#define SHIFT(u, opcode, name, code, decode, sizes)                                                \
    VECTOR(u, "10 hhhh bbb " opcode " 1", name, decode, code, sizes)
#define SHIFT_BOTH(u, opcode, name, code, decode, sizes)                                           \
    BOTH(u, "10 hhhh bbb " opcode " 1", name, code, decode, sizes, sizes)
/* The scalar form is of doublewords alone. */
#define SHIFT_D(u, opcode, name, code, decode)                                                     \
    BOTH(u, "10 hhhh bbb " opcode " 1", name, code, decode, SIZE_BHSD, SIZE_D)

/* Modified immediates come first: they are what shifts with immh 0 would be. */
static const struct mv_a64_form forms[] = {
    {"0 q o 0111100000 aaa cccc 01 bbbbb ddddd", "movi … fmov (immediate)",
     decode_modified_immediate},

    SU(SHIFT_D, "00000", shr, decode_right),
    SU(SHIFT_D, "00010", sra, decode_right),
    SU(SHIFT_D, "00100", rshr, decode_right),
    SU(SHIFT_D, "00110", rsra, decode_right),
    SHIFT_D("1", "01000", "sri", FROM_B(vsri), decode_right),
    SHIFT_D("0", "01010", "shl", FROM_B(vshl), decode_left),
    SHIFT_D("1", "01010", "sli", FROM_B(vsli), decode_left),
    SHIFT_BOTH("1", "01100", "sqshlu", FROM_B(vsqshlu_imm), decode_left, SIZE_BHSD),
    SHIFT_BOTH("0", "01110", "sqshl (immediate)", FROM_B(vsqshl_imm), decode_left, SIZE_BHSD),
    SHIFT_BOTH("1", "01110", "uqshl (immediate)", FROM_B(vuqshl_imm), decode_left, SIZE_BHSD),
    SHIFT("0", "10000", "shrn", FROM_B(vshrn), decode_right_narrow, SIZE_BHS),
    SHIFT_BOTH("1", "10000", "sqshrun", FROM_B(vsqshrun), decode_right_narrow, SIZE_BHS),
    SHIFT("0", "10001", "rshrn", FROM_B(vrshrn), decode_right_narrow, SIZE_BHS),
    SHIFT_BOTH("1", "10001", "sqrshrun", FROM_B(vsqrshrun), decode_right_narrow, SIZE_BHS),
    SU(SHIFT_BOTH, "10010", qshrn, decode_right_narrow, SIZE_BHS),
    SU(SHIFT_BOTH, "10011", qrshrn, decode_right_narrow, SIZE_BHS),
    SHIFT_BOTH("0", "11100", "scvtf (fixed-point)", FROM_S(vscvtf), decode_right, SIZE_SD),
    SHIFT_BOTH("1", "11100", "ucvtf (fixed-point)", FROM_S(vucvtf), decode_right, SIZE_SD),
    SHIFT_BOTH("0", "11111", "fcvtzs (fixed-point)", FROM_S(vfcvtzs), decode_right, SIZE_SD),
    SHIFT_BOTH("1", "11111", "fcvtzu (fixed-point)", FROM_S(vfcvtzu), decode_right, SIZE_SD),
    SU(SHIFT, "10100", shll, decode_left_long, SIZE_BHS),

    VECTOR("0", "0000 iiiii 0 0000 1", "dup (element)", decode_dup, FROM_B(vdup)),
    SCALAR("0", "0000 iiiii 0 0000 1", "dup (element)", decode_dup, FROM_B(dup_scalar)),
    VECTOR("0", "0000 iiiii 0 0001 1", "dup (general)", decode_dup, FROM_B(vdup_gen)),
    {"0 0 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "smov", decode_move, FROM_B(smov_w), SIZE_BH},
    {"0 1 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "smov", decode_move, FROM_B(smov_x), SIZE_BHS},
    {"0 0 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "umov", decode_move, FROM_B(umov), SIZE_BHS},
    {"0 1 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "umov", decode_move, FROM_B(umov), SIZE_D},
    {"0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "ins (general)", decode_ins, FROM_B(vins_gen)},
    {"0 1 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd", "ins (element)", decode_ins, FROM_B(vins)},
};
MV_A64_GROUP(mv_a64_vector_immediate, "vector-immediate", forms);
