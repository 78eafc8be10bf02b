/* SPDX-License-Identifier: Apache-2.0 */
/* Branch and system forms of the decode table (Arm ARM C4.1.93, C5). */
#include "a64.h"
#include "sysreg.h"

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

static const struct mv_a64_form branches[] = {
    {"l 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "b, bl", decode_b},
    {"01010100 iiiiiiiiiiiiiiiiiii 0 cccc", "b.cond", decode_b_cond},
    {"z 011010 o iiiiiiiiiiiiiiiiiii ttttt", "cbz, cbnz", decode_cbz},
    {"b 011011 o bbbbb iiiiiiiiiiiiii ttttt", "tbz, tbnz", decode_tbz},
    {"1101011 0000 11111 000000 nnnnn 00000", "br", decode_br},
    {"1101011 0001 11111 000000 nnnnn 00000", "blr", decode_br},
    {"1101011 0010 11111 000000 nnnnn 00000", "ret", decode_br},
};
MV_A64_GROUP(mv_a64_branch, "branch", branches);

/* --- system */

static bool decode_exception(uint32_t insn, struct mv_op *op)
{
    static const struct {
        uint8_t opc, ll;
        uint16_t code;
    } rows[] = {
        {0, 1, MV_OPCODE_svc},
        {0, 2, MV_OPCODE_hvc},
        {1, 0, MV_OPCODE_brk},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].opc == mv_bits(insn, 23, 21) && rows[i].ll == mv_bits(insn, 1, 0)) {
            op->code = rows[i].code;
            op->imm = mv_bits(insn, 20, 5);
            return true;
        }
    }
    /* SMC without EL3 and HLT without halting debug are UNDEF. */
    return false;
}

static bool decode_hint(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[6] = {MV_OPCODE_nop, MV_OPCODE_yield, MV_OPCODE_wfe,
                                      MV_OPCODE_wfi, MV_OPCODE_sev,   MV_OPCODE_sevl};
    unsigned hint = mv_bits(insn, 11, 5);
    op->code = hint < 6 ? codes[hint] : MV_OPCODE_nop;
    return true;
}

static bool decode_barrier(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[8] = {
        [2] = MV_OPCODE_clrex, [4] = MV_OPCODE_dsb, [5] = MV_OPCODE_dmb, [6] = MV_OPCODE_isb};
    op->code = codes[mv_bits(insn, 7, 5)];
    return op->code != 0;
}

static bool decode_msr_imm(uint32_t insn, struct mv_op *op)
{
    unsigned op1 = mv_bits(insn, 18, 16), op2 = mv_bits(insn, 7, 5);
    op->imm = mv_bits(insn, 11, 8);
    if (op1 == 0 && op2 == 5)
        op->code = MV_OPCODE_msr_spsel;
    else if (op1 == 3 && op2 == 6)
        op->code = MV_OPCODE_msr_daifset;
    else if (op1 == 3 && op2 == 7)
        op->code = MV_OPCODE_msr_daifclr;
    return op->code != 0;
}

static bool decode_sysreg(uint32_t insn, struct mv_op *op)
{
    bool read = mv_bit(insn, 21);
    const struct mv_sysreg *reg = mv_sysreg_find((uint16_t)mv_bits(insn, 20, 5));
    if (reg == NULL || (reg->flags & (read ? MV_SYSREG_WO : MV_SYSREG_RO)))
        return false;
    op->code = read ? MV_OPCODE_mrs : MV_OPCODE_msr;
    op->rd = read ? MV_RD(insn) : MV_RT(insn);
    op->imm = (uintptr_t)reg;
    return true;
}

static bool decode_eret(uint32_t insn, struct mv_op *op)
{
    (void)insn;
    op->code = MV_OPCODE_eret;
    return true;
}

static const struct mv_a64_form forms[] = {
    {"11010100 ooo iiiiiiiiiiiiiiii 000 ll", "svc, hvc, brk", decode_exception},
    {"1101010100 0 00 011 0010 mmmm ooo 11111", "hints", decode_hint},
    {"1101010100 0 00 011 0011 mmmm ooo 11111", "clrex, dsb, dmb, isb", decode_barrier},
    {"1101010100 0 00 ooo 0100 mmmm ooo 11111", "msr (immediate)", decode_msr_imm},
    {"1101010100 l 01 ooo nnnn mmmm ooo ttttt", "sys, sysl", decode_sysreg},
    {"1101010100 l 1o ooo nnnn mmmm ooo ttttt", "mrs, msr", decode_sysreg},
    {"1101011 0100 11111 000000 11111 00000", "eret", decode_eret},
};
MV_A64_GROUP(mv_a64_system, "system", forms);
