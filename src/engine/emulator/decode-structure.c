/* SPDX-License-Identifier: Apache-2.0 */
/* AdvSIMD load and store structure forms of the decode table (Arm ARM C4.1.94). */
#include "a64.h"

/*
 * Base and writeback: with a post-index, Rm 31 adds the bytes transferred.
 * The handlers add x[rm] and imm in any case; here both may be nothing.
 */
static void decode_base(uint32_t insn, struct mv_op *op, unsigned bytes)
{
    bool post = mv_bit(insn, 23);
    unsigned rm = mv_bits(insn, 20, 16);
    op->rd = (uint8_t)mv_bits(insn, 4, 0);
    op->rn = MV_RN_SP(insn);
    op->rm = (uint8_t)(post ? rm : MV_REG_ZR);
    op->imm = post && rm == 31 ? bytes : 0;
}

/* Registers, and whether their elements are interleaved, by bits 15-12. */
static const struct {
    uint8_t registers;
    bool interleaved;
} layouts[16] = {
    [0] = {4, true},  [2] = {4, false}, [4] = {3, true},  [6] = {3, false},
    [7] = {1, false}, [8] = {2, true},  [10] = {2, false},
};

static bool decode_multiple(uint32_t insn, struct mv_op *op)
{
    unsigned opcode = mv_bits(insn, 15, 12), size = mv_bits(insn, 11, 10), q = mv_bit(insn, 30);
    bool load = mv_bit(insn, 22), interleaved = layouts[opcode].interleaved;
    if (layouts[opcode].registers == 0 || (interleaved && size == 3 && !q))
        return false;
    static const uint16_t codes[2][2] = {{MV_OPCODE_vst1_8, MV_OPCODE_vld1_8},
                                         {MV_OPCODE_vst_8, MV_OPCODE_vld_8}};
    op->code = (uint16_t)(codes[interleaved][load] + size);
    op->ra = layouts[opcode].registers;
    op->aux = (uint16_t)q;
    decode_base(insn, op, op->ra * (8u << q));
    return true;
}

/* LD1 to LD4 and ST1 to ST4 of one element: its size is in bits 15-13, 11-10. */
static bool decode_lane(uint32_t insn, struct mv_op *op)
{
    unsigned scale = mv_bits(insn, 15, 14), size = mv_bits(insn, 11, 10);
    unsigned index = mv_bit(insn, 30) << 3 | mv_bit(insn, 12) << 2 | size;
    if ((scale == 1 && (size & 1)) || (scale == 2 && size > 1) ||
        (scale == 2 && size == 1 && mv_bit(insn, 12)))
        return false;
    if (scale == 2 && size == 1)
        scale = 3;
    op->code = (uint16_t)((mv_bit(insn, 22) ? MV_OPCODE_vld_lane_8 : MV_OPCODE_vst_lane_8) + scale);
    op->ra = (uint8_t)((mv_bit(insn, 13) << 1 | mv_bit(insn, 21)) + 1);
    op->aux = (uint16_t)(index >> scale);
    decode_base(insn, op, (unsigned)op->ra << scale);
    return true;
}

static bool decode_replicate(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 11, 10);
    op->code = (uint16_t)(MV_OPCODE_vld_dup_8 + size);
    op->ra = (uint8_t)((mv_bit(insn, 13) << 1 | mv_bit(insn, 21)) + 1);
    op->aux = (uint16_t)mv_bit(insn, 30);
    decode_base(insn, op, (unsigned)op->ra << size);
    return true;
}

static const struct mv_a64_form forms[] = {
    {"0 q 0011000 L 0 00000 oooo ss nnnnn ttttt", "ld1 … st4 (multiple)", decode_multiple},
    {"0 q 0011001 L 0 mmmmm oooo ss nnnnn ttttt", "ld1 … st4 (multiple, post-index)",
     decode_multiple},
    {"0 q 0011010 1 R 00000 11o 0 ss nnnnn ttttt", "ld1r … ld4r", decode_replicate},
    {"0 q 0011011 1 R mmmmm 11o 0 ss nnnnn ttttt", "ld1r … ld4r (post-index)", decode_replicate},
    {"0 q 0011010 L R 00000 00o S ss nnnnn ttttt", "ld1 … st4 (byte)", decode_lane},
    {"0 q 0011011 L R mmmmm 00o S ss nnnnn ttttt", "ld1 … st4 (byte, post-index)", decode_lane},
    {"0 q 0011010 L R 00000 01o S ss nnnnn ttttt", "ld1 … st4 (halfword)", decode_lane},
    {"0 q 0011011 L R mmmmm 01o S ss nnnnn ttttt", "ld1 … st4 (halfword, post-index)",
     decode_lane},
    {"0 q 0011010 L R 00000 10o S ss nnnnn ttttt", "ld1 … st4 (word, doubleword)", decode_lane},
    {"0 q 0011011 L R mmmmm 10o S ss nnnnn ttttt", "ld1 … st4 (word, doubleword, post-index)",
     decode_lane},
};
MV_A64_GROUP(mv_a64_structure, "structure", forms);
