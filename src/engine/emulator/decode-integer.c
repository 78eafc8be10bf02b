/* SPDX-License-Identifier: Apache-2.0 */
/* Integer forms of the decode table (Arm ARM C4.1.92, C4.1.94). */
#include "a64.h"

#define SF(insn) mv_bit(insn, 31)
/* The opcode for 64 bits, which the one for 32 follows; the one that the instruction is of. */
#define X(name)        MV_OPCODE_##name##_x
#define XW(insn, name) (uint16_t)(X(name) + !SF(insn))

static bool decode_adr(uint32_t insn, struct mv_op *op)
{
    int64_t imm = mv_sbits(insn, 23, 5) * 4 + mv_bits(insn, 30, 29);
    bool page = mv_bit(insn, 31);
    op->code = page ? MV_OPCODE_adrp : MV_OPCODE_adr;
    op->rd = mv_reg_dest(op->rd);
    op->imm = (uint64_t)(page ? imm * 4096 : imm);
    return true;
}

static bool decode_add_sub_imm(uint32_t insn, struct mv_op *op)
{
    bool sub = mv_bit(insn, 30), flags = mv_bit(insn, 29);
    uint64_t imm = mv_bits(insn, 21, 10) << 12 * mv_bit(insn, 22);
    op->code = !flags ? XW(insn, add_imm) : sub ? XW(insn, subs_imm) : XW(insn, adds_imm);
    op->rd = flags ? mv_reg_dest(op->rd) : mv_reg_sp(op->rd);
    op->rn = mv_reg_sp(op->rn);
    op->imm = sub && !flags ? -imm : imm;
    return true;
}

static uint64_t low_mask(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

/* DecodeBitMasks (Arm ARM, shared pseudocode), for a mask of 64 or 32 bits. */
static bool bit_masks(uint32_t insn, uint64_t *ret_mask)
{
    unsigned imms = mv_bits(insn, 15, 10);
    unsigned combined = mv_bit(insn, 22) << 6 | (~imms & 0x3f);
    if (combined < 2)
        return false;
    unsigned width = 1u << (31 - __builtin_clz(combined));
    unsigned s = imms & (width - 1), r = mv_bits(insn, 21, 16) & (width - 1);
    if (s == width - 1)
        return false;
    uint64_t element = low_mask(s + 1);
    if (r != 0)
        element = (element >> r | element << (width - r)) & low_mask(width);
    for (unsigned filled = width; filled < 64; filled *= 2)
        element |= element << filled;
    *ret_mask = SF(insn) ? element : (uint32_t)element;
    return true;
}

static bool decode_logical_imm(uint32_t insn, struct mv_op *op)
{
    if ((!SF(insn) && mv_bit(insn, 22)) || !bit_masks(insn, &op->imm))
        return false;
    unsigned opc = mv_bits(insn, 30, 29);
    const uint16_t codes[4] = {MV_OPCODE_and_imm, XW(insn, orr_imm), XW(insn, eor_imm),
                               XW(insn, ands_imm)};
    op->code = codes[opc];
    op->rd = opc == 3 ? mv_reg_dest(op->rd) : mv_reg_sp(op->rd);
    return true;
}

static bool decode_move_wide(uint32_t insn, struct mv_op *op)
{
    unsigned opc = mv_bits(insn, 30, 29), shift = 16 * mv_bits(insn, 22, 21);
    uint64_t imm = (uint64_t)mv_bits(insn, 20, 5) << shift;
    if (opc == 1 || (!SF(insn) && shift >= 32))
        return false;
    op->code = opc == 3 ? XW(insn, movk) : MV_OPCODE_mov_imm;
    op->rd = mv_reg_dest(op->rd);
    op->aux = (uint16_t)shift;
    op->imm = opc == 0 ? ~imm : imm;
    if (!SF(insn))
        op->imm = (uint32_t)op->imm;
    return true;
}

static bool decode_bitfield(uint32_t insn, struct mv_op *op)
{
    unsigned opc = mv_bits(insn, 30, 29), size = SF(insn) ? 64 : 32;
    unsigned immr = mv_bits(insn, 21, 16), imms = mv_bits(insn, 15, 10);
    if (opc == 3 || SF(insn) != mv_bit(insn, 22) || immr >= size || imms >= size)
        return false;
    bool extract = imms >= immr;
    unsigned width = extract ? imms - immr + 1 : imms + 1;
    const uint16_t codes[3][2] = {
        {XW(insn, sbfiz), XW(insn, sbfx)},
        {XW(insn, bfi), XW(insn, bfxil)},
        {MV_OPCODE_ubfiz, MV_OPCODE_ubfx},
    };
    op->code = codes[opc][extract];
    op->rd = mv_reg_dest(op->rd);
    op->ra = (uint8_t)width;
    op->aux = (uint16_t)(extract ? immr : size - immr);
    op->imm = low_mask(width);
    return true;
}

/* The code is the one for 64 bits, if there is a choice. */
static bool decode_sized(uint32_t insn, struct mv_op *op)
{
    op->code += !SF(insn);
    op->rd = mv_reg_dest(op->rd);
    return true;
}

static bool decode_extract(uint32_t insn, struct mv_op *op)
{
    op->imm = mv_bits(insn, 15, 10);
    return SF(insn) == mv_bit(insn, 22) && (SF(insn) || op->imm < 32) && decode_sized(insn, op);
}

/* The code's operand is plain; that of the pairs behind is shifted left, shifted otherwise. */
static bool decode_shifted(uint32_t insn, struct mv_op *op)
{
    unsigned kind = mv_bits(insn, 23, 22), amount = mv_bits(insn, 15, 10);
    if (!SF(insn) && amount >= 32)
        return false;
    if (op->code == X(orr_reg) && amount == 0 && op->rn == MV_REG_ZR)
        op->code = X(mov_reg);
    op->code += amount == 0 ? 0 : kind == MV_SHIFT_LSL ? 2 : 4;
    op->aux = (uint16_t)kind;
    op->imm = amount;
    return decode_sized(insn, op);
}

static bool decode_add_shifted(uint32_t insn, struct mv_op *op)
{
    return mv_bits(insn, 23, 22) != MV_SHIFT_ROR && decode_shifted(insn, op);
}

static bool decode_add_sub_extended(uint32_t insn, struct mv_op *op)
{
    const uint16_t codes[4] = {XW(insn, add_ext), XW(insn, adds_ext), XW(insn, sub_ext),
                               XW(insn, subs_ext)};
    op->code = codes[mv_bits(insn, 30, 29)];
    op->rd = mv_bit(insn, 29) ? mv_reg_dest(op->rd) : mv_reg_sp(op->rd);
    op->rn = mv_reg_sp(op->rn);
    op->aux = (uint16_t)mv_bits(insn, 15, 13);
    op->imm = mv_bits(insn, 12, 10);
    return op->imm <= 4;
}

static bool decode_conditional_compare(uint32_t insn, struct mv_op *op)
{
    bool immediate = mv_bit(insn, 11);
    const uint16_t codes[4] = {XW(insn, ccmn_reg), XW(insn, ccmn_imm), XW(insn, ccmp_reg),
                               XW(insn, ccmp_imm)};
    op->code = codes[mv_bit(insn, 30) * 2 + immediate];
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    op->imm = (uint64_t)mv_bits(insn, 3, 0) << 60 | (immediate ? mv_bits(insn, 20, 16) : 0);
    return true;
}

static bool decode_conditional_select(uint32_t insn, struct mv_op *op)
{
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    return decode_sized(insn, op);
}

static bool decode_crc32(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 11, 10);
    op->aux = (uint16_t)(1u << size);
    return SF(insn) == (size == 3) && mv_a64_decode_dest(insn, op);
}

static const struct mv_a64_form forms[] = {
    {"p ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "adr, adrp", decode_adr},
    {"z o s 100010 h iiiiiiiiiiii nnnnn ddddd", "add, sub (immediate)", decode_add_sub_imm},
    {"z oo 100100 N rrrrrr ssssss nnnnn ddddd", "and … ands (immediate)", decode_logical_imm},
    {"z oo 100101 hh iiiiiiiiiiiiiiii ddddd", "movn, movz, movk", decode_move_wide},
    {"z oo 100110 N rrrrrr ssssss nnnnn ddddd", "sbfm, bfm, ubfm", decode_bitfield},
    {"z 00 100111 N 0 mmmmm ssssss nnnnn ddddd", "extr", decode_extract, X(extr)},
    {"z 00 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "and (shifted)", decode_shifted, X(and_reg)},
    {"z 00 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "bic (shifted)", decode_shifted, X(bic_reg)},
    {"z 01 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "orr (shifted)", decode_shifted, X(orr_reg)},
    {"z 01 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "orn (shifted)", decode_shifted, X(orn_reg)},
    {"z 10 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "eor (shifted)", decode_shifted, X(eor_reg)},
    {"z 10 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "eon (shifted)", decode_shifted, X(eon_reg)},
    {"z 11 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "ands (shifted)", decode_shifted, X(ands_reg)},
    {"z 11 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "bics (shifted)", decode_shifted, X(bics_reg)},
    {"z 00 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "add (shifted)", decode_add_shifted, X(add_reg)},
    {"z 01 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "adds (shifted)", decode_add_shifted, X(adds_reg)},
    {"z 10 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "sub (shifted)", decode_add_shifted, X(sub_reg)},
    {"z 11 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "subs (shifted)", decode_add_shifted, X(subs_reg)},
    {"z o s 01011 00 1 mmmmm ooo iii nnnnn ddddd", "add, sub (extended)", decode_add_sub_extended},
    {"z 00 11010000 mmmmm 000000 nnnnn ddddd", "adc", decode_sized, X(adc)},
    {"z 01 11010000 mmmmm 000000 nnnnn ddddd", "adcs", decode_sized, X(adcs)},
    {"z 10 11010000 mmmmm 000000 nnnnn ddddd", "sbc", decode_sized, X(sbc)},
    {"z 11 11010000 mmmmm 000000 nnnnn ddddd", "sbcs", decode_sized, X(sbcs)},
    {"z o 1 11010010 mmmmm cccc i 0 nnnnn 0 ffff", "ccmn, ccmp", decode_conditional_compare},
    {"z 0 0 11010100 mmmmm cccc 0 0 nnnnn ddddd", "csel", decode_conditional_select, X(csel)},
    {"z 0 0 11010100 mmmmm cccc 0 1 nnnnn ddddd", "csinc", decode_conditional_select, X(csinc)},
    {"z 1 0 11010100 mmmmm cccc 0 0 nnnnn ddddd", "csinv", decode_conditional_select, X(csinv)},
    {"z 1 0 11010100 mmmmm cccc 0 1 nnnnn ddddd", "csneg", decode_conditional_select, X(csneg)},
    {"z 1 0 11010110 00000 000000 nnnnn ddddd", "rbit", decode_sized, X(rbit)},
    {"z 1 0 11010110 00000 000001 nnnnn ddddd", "rev16", decode_sized, X(rev16)},
    {"0 1 0 11010110 00000 000010 nnnnn ddddd", "rev", decode_sized, X(rev)},
    {"1 1 0 11010110 00000 000010 nnnnn ddddd", "rev32", decode_sized, MV_OPCODE_rev32_x},
    {"1 1 0 11010110 00000 000011 nnnnn ddddd", "rev", decode_sized, X(rev)},
    {"z 1 0 11010110 00000 000100 nnnnn ddddd", "clz", decode_sized, X(clz)},
    {"z 1 0 11010110 00000 000101 nnnnn ddddd", "cls", decode_sized, X(cls)},
    {"z 0 0 11010110 mmmmm 000010 nnnnn ddddd", "udiv", decode_sized, X(udiv)},
    {"z 0 0 11010110 mmmmm 000011 nnnnn ddddd", "sdiv", decode_sized, X(sdiv)},
    {"z 0 0 11010110 mmmmm 001000 nnnnn ddddd", "lslv", decode_sized, X(lslv)},
    {"z 0 0 11010110 mmmmm 001001 nnnnn ddddd", "lsrv", decode_sized, X(lsrv)},
    {"z 0 0 11010110 mmmmm 001010 nnnnn ddddd", "asrv", decode_sized, X(asrv)},
    {"z 0 0 11010110 mmmmm 001011 nnnnn ddddd", "rorv", decode_sized, X(rorv)},
    {"z 0 0 11010110 mmmmm 010 0 ss nnnnn ddddd", "crc32", decode_crc32, MV_OPCODE_crc32},
    {"z 0 0 11010110 mmmmm 010 1 ss nnnnn ddddd", "crc32c", decode_crc32, MV_OPCODE_crc32c},
    {"z 00 11011 000 mmmmm 0 aaaaa nnnnn ddddd", "madd", decode_sized, X(madd)},
    {"z 00 11011 000 mmmmm 1 aaaaa nnnnn ddddd", "msub", decode_sized, X(msub)},
    {"1 00 11011 001 mmmmm 0 aaaaa nnnnn ddddd", "smaddl", decode_sized, MV_OPCODE_smaddl},
    {"1 00 11011 001 mmmmm 1 aaaaa nnnnn ddddd", "smsubl", decode_sized, MV_OPCODE_smsubl},
    {"1 00 11011 101 mmmmm 0 aaaaa nnnnn ddddd", "umaddl", decode_sized, MV_OPCODE_umaddl},
    {"1 00 11011 101 mmmmm 1 aaaaa nnnnn ddddd", "umsubl", decode_sized, MV_OPCODE_umsubl},
    {"1 00 11011 010 mmmmm 0 aaaaa nnnnn ddddd", "smulh", decode_sized, MV_OPCODE_smulh},
    {"1 00 11011 110 mmmmm 0 aaaaa nnnnn ddddd", "umulh", decode_sized, MV_OPCODE_umulh},
};
MV_A64_GROUP(mv_a64_integer, "integer", forms);
