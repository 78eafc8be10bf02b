/* SPDX-License-Identifier: Apache-2.0 */
/* Branch forms of the decode table (Arm ARM C4.1.93). */
#include "a64.h"
#include "conditions.h"

static bool decode_b(uint32_t insn, struct mv_op *op)
{
    op->code = mv_bit(insn, 31) ? MV_OPCODE_bl : MV_OPCODE_b;
    op->imm = (uint64_t)(mv_sbits(insn, 25, 0) * 4);
    return true;
}

static bool decode_b_cond(uint32_t insn, struct mv_op *op)
{
    op->code = MV_OPCODE_b_cond;
    op->aux = mv_condition_masks[mv_bits(insn, 3, 0)];
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return true;
}

static bool decode_cbz(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][2] = {{MV_OPCODE_cbz_w, MV_OPCODE_cbz_x},
                                         {MV_OPCODE_cbnz_w, MV_OPCODE_cbnz_x}};
    op->code = codes[mv_bit(insn, 24)][mv_bit(insn, 31)];
    op->rn = MV_RT(insn);
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return true;
}

static bool decode_tbz(uint32_t insn, struct mv_op *op)
{
    op->code = mv_bit(insn, 24) ? MV_OPCODE_tbnz : MV_OPCODE_tbz;
    op->rn = MV_RT(insn);
    op->aux = (uint16_t)(mv_bit(insn, 31) << 5 | mv_bits(insn, 23, 19));
    op->imm = (uint64_t)(mv_sbits(insn, 18, 5) * 4);
    return true;
}

static bool decode_br(uint32_t insn, struct mv_op *op)
{
    op->code = mv_bits(insn, 22, 21) == 1 ? MV_OPCODE_blr : MV_OPCODE_br;
    op->rn = MV_RN(insn);
    return true;
}

static const struct mv_a64_form forms[] = {
    {"l 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "b, bl", decode_b},
    {"01010100 iiiiiiiiiiiiiiiiiii 0 cccc", "b.cond", decode_b_cond},
    {"z 011010 o iiiiiiiiiiiiiiiiiii ttttt", "cbz, cbnz", decode_cbz},
    {"b 011011 o bbbbb iiiiiiiiiiiiii ttttt", "tbz, tbnz", decode_tbz},
    {"1101011 0000 11111 000000 nnnnn 00000", "br", decode_br},
    {"1101011 0001 11111 000000 nnnnn 00000", "blr", decode_br},
    {"1101011 0010 11111 000000 nnnnn 00000", "ret", decode_br},
};
MV_A64_GROUP(mv_a64_branch, "branch", forms);
