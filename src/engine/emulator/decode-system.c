/* SPDX-License-Identifier: Apache-2.0 */
/* Branch and system forms of the decode table (Arm ARM C4.1.93, C5). */
#include "a64.h"
#include "sysreg.h"

static bool decode_b(uint32_t insn, struct mv_op *op)
{
    op->imm = (uint64_t)(mv_sbits(insn, 25, 0) * 4);
    return true;
}

static bool decode_b_cond(uint32_t insn, struct mv_op *op)
{
    op->aux = mv_condition_masks[mv_bits(insn, 3, 0)];
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return true;
}

static bool decode_cbz(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][2] = {{MV_OPCODE_cbz_w, MV_OPCODE_cbz_x},
                                         {MV_OPCODE_cbnz_w, MV_OPCODE_cbnz_x}};
    op->code = codes[mv_bit(insn, 24)][mv_bit(insn, 31)];
    op->rn = op->rd;
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return true;
}

static bool decode_tbz(uint32_t insn, struct mv_op *op)
{
    op->rn = op->rd;
    op->aux = (uint16_t)(mv_bit(insn, 31) << 5 | mv_bits(insn, 23, 19));
    op->imm = (uint64_t)(mv_sbits(insn, 18, 5) * 4);
    return true;
}

static const struct mv_a64_form branches[] = {
    {"0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "b", decode_b, MV_OPCODE_b},
    {"1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "bl", decode_b, MV_OPCODE_bl},
    {"01010100 iiiiiiiiiiiiiiiiiii 0 cccc", "b.cond", decode_b_cond, MV_OPCODE_b_cond},
    {"z 011010 o iiiiiiiiiiiiiiiiiii ttttt", "cbz, cbnz", decode_cbz},
    {"b 011011 0 bbbbb iiiiiiiiiiiiii ttttt", "tbz", decode_tbz, MV_OPCODE_tbz},
    {"b 011011 1 bbbbb iiiiiiiiiiiiii ttttt", "tbnz", decode_tbz, MV_OPCODE_tbnz},
    {"1101011 0000 11111 000000 nnnnn 00000", "br", NULL, MV_OPCODE_br},
    {"1101011 0001 11111 000000 nnnnn 00000", "blr", NULL, MV_OPCODE_blr},
    {"1101011 0010 11111 000000 nnnnn 00000", "ret", NULL, MV_OPCODE_br},
};
MV_A64_GROUP(mv_a64_branch, "branch", branches);

/* --- system */

static bool decode_exception(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bits(insn, 20, 5);
    return true;
}

static bool decode_msr_imm(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bits(insn, 11, 8);
    return true;
}

static bool decode_sysreg(uint32_t insn, struct mv_op *op)
{
    bool read = mv_bit(insn, 21);
    const struct mv_sysreg *reg = mv_sysreg_find((uint16_t)mv_bits(insn, 20, 5));
    if (reg == NULL || (reg->flags & (read ? MV_SYSREG_WO : MV_SYSREG_RO)))
        return false;
    op->code = read ? MV_OPCODE_mrs : MV_OPCODE_msr;
    op->rd = read ? mv_reg_dest(op->rd) : op->rd;
    op->imm = (uintptr_t)reg;
    return true;
}

/* SMC without EL3 and HLT without halting debug are UNDEF; a hint that is not known is a NOP. */
static const struct mv_a64_form forms[] = {
    {"11010100 000 iiiiiiiiiiiiiiii 000 01", "svc", decode_exception, MV_OPCODE_svc},
    {"11010100 000 iiiiiiiiiiiiiiii 000 10", "hvc", decode_exception, MV_OPCODE_hvc},
    {"11010100 001 iiiiiiiiiiiiiiii 000 00", "brk", decode_exception, MV_OPCODE_brk},
    {"1101010100 0 00 011 0010 0000 001 11111", "yield", NULL, MV_OPCODE_yield},
    {"1101010100 0 00 011 0010 0000 010 11111", "wfe", NULL, MV_OPCODE_wfe},
    {"1101010100 0 00 011 0010 0000 011 11111", "wfi", NULL, MV_OPCODE_wfi},
    {"1101010100 0 00 011 0010 0000 100 11111", "sev", NULL, MV_OPCODE_sev},
    {"1101010100 0 00 011 0010 0000 101 11111", "sevl", NULL, MV_OPCODE_sevl},
    {"1101010100 0 00 011 0010 mmmm ooo 11111", "hints", NULL, MV_OPCODE_nop},
    {"1101010100 0 00 011 0011 mmmm 010 11111", "clrex", NULL, MV_OPCODE_clrex},
    {"1101010100 0 00 011 0011 mmmm 100 11111", "dsb", NULL, MV_OPCODE_dsb},
    {"1101010100 0 00 011 0011 mmmm 101 11111", "dmb", NULL, MV_OPCODE_dmb},
    {"1101010100 0 00 011 0011 mmmm 110 11111", "isb", NULL, MV_OPCODE_isb},
    {"1101010100 0 00 000 0100 mmmm 101 11111", "msr spsel", decode_msr_imm, MV_OPCODE_msr_spsel},
    {"1101010100 0 00 011 0100 mmmm 110 11111", "msr daifset", decode_msr_imm,
     MV_OPCODE_msr_daifset},
    {"1101010100 0 00 011 0100 mmmm 111 11111", "msr daifclr", decode_msr_imm,
     MV_OPCODE_msr_daifclr},
    {"1101010100 l 01 ooo nnnn mmmm ooo ttttt", "sys, sysl", decode_sysreg},
    {"1101010100 l 1o ooo nnnn mmmm ooo ttttt", "mrs, msr", decode_sysreg},
    {"1101011 0100 11111 000000 11111 00000", "eret", NULL, MV_OPCODE_eret},
};
MV_A64_GROUP(mv_a64_system, "system", forms);
