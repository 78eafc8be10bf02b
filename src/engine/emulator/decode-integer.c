/* SPDX-License-Identifier: Apache-2.0 */
/* Integer forms of the decode table (Arm ARM C4.1.92, C4.1.94). */
#include "a64.h"

#define SF(insn) mv_bit(insn, 31)
/* Choose between the opcodes for 64 and 32 bits. */
#define XW(insn, name) (SF(insn) ? MV_OPCODE_##name##_x : MV_OPCODE_##name##_w)

static bool decode_adr(uint32_t insn, struct mv_op *op)
{
    int64_t imm = mv_sbits(insn, 23, 5) * 4 + mv_bits(insn, 30, 29);
    bool page = mv_bit(insn, 31);
    op->code = page ? MV_OPCODE_adrp : MV_OPCODE_adr;
    op->rd = MV_RD(insn);
    op->imm = (uint64_t)(page ? imm * 4096 : imm);
    return true;
}

static bool decode_add_sub_imm(uint32_t insn, struct mv_op *op)
{
    bool sub = mv_bit(insn, 30), flags = mv_bit(insn, 29);
    uint64_t imm = mv_bits(insn, 21, 10);
    if (mv_bit(insn, 22))
        imm <<= 12;
    op->rn = MV_RN_SP(insn);
    if (!flags) {
        op->code = XW(insn, add_imm);
        op->rd = MV_RD_SP(insn);
        op->imm = sub ? -imm : imm;
    } else {
        op->code = sub ? XW(insn, subs_imm) : XW(insn, adds_imm);
        op->rd = MV_RD(insn);
        op->imm = imm;
    }
    return true;
}

static bool decode_logical_imm(uint32_t insn, struct mv_op *op)
{
    uint64_t mask;
    if (!SF(insn) && mv_bit(insn, 22))
        return false;
    if (!mv_a64_bit_masks(mv_bit(insn, 22), mv_bits(insn, 15, 10), mv_bits(insn, 21, 16),
                          SF(insn), &mask))
        return false;
    unsigned opc = mv_bits(insn, 30, 29);
    const uint16_t codes[4] = {MV_OPCODE_and_imm, XW(insn, orr_imm), XW(insn, eor_imm),
                               XW(insn, ands_imm)};
    op->code = codes[opc];
    op->rd = opc == 3 ? MV_RD(insn) : MV_RD_SP(insn);
    op->rn = MV_RN(insn);
    op->imm = mask;
    return true;
}

static bool decode_move_wide(uint32_t insn, struct mv_op *op)
{
    unsigned opc = mv_bits(insn, 30, 29), shift = 16 * mv_bits(insn, 22, 21);
    uint64_t imm = (uint64_t)mv_bits(insn, 20, 5) << shift;
    if (opc == 1 || (!SF(insn) && shift >= 32))
        return false;
    op->rd = MV_RD(insn);
    if (opc == 3) {
        op->code = XW(insn, movk);
        op->aux = (uint16_t)shift;
        op->imm = imm;
        return true;
    }
    op->code = MV_OPCODE_mov_imm;
    op->imm = opc == 0 ? ~imm : imm;
    if (!SF(insn))
        op->imm = (uint32_t)op->imm;
    return true;
}

static uint64_t low_mask(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
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
    op->rd = MV_RD(insn);
    op->rn = MV_RN(insn);
    op->ra = (uint8_t)width;
    op->aux = (uint16_t)(extract ? immr : size - immr);
    op->imm = low_mask(width);
    return true;
}

static bool decode_extract(uint32_t insn, struct mv_op *op)
{
    unsigned lsb = mv_bits(insn, 15, 10);
    if (SF(insn) != mv_bit(insn, 22) || (!SF(insn) && lsb >= 32))
        return false;
    op->code = XW(insn, extr);
    op->rd = MV_RD(insn);
    op->rn = MV_RN(insn);
    op->rm = MV_RM(insn);
    op->imm = lsb;
    return true;
}

/* Row of opcodes for an operand that is plain, shifted left, shifted otherwise. */
#define SHIFTED_ROW(name)                                                                          \
    {                                                                                              \
        {MV_OPCODE_##name##_reg_w, MV_OPCODE_##name##_lsl_w, MV_OPCODE_##name##_sh_w},             \
        {                                                                                          \
            MV_OPCODE_##name##_reg_x, MV_OPCODE_##name##_lsl_x, MV_OPCODE_##name##_sh_x            \
        }                                                                                          \
    }

static bool decode_shifted(uint32_t insn, struct mv_op *op, const uint16_t codes[2][3])
{
    unsigned kind = mv_bits(insn, 23, 22), amount = mv_bits(insn, 15, 10);
    if (!SF(insn) && amount >= 32)
        return false;
    op->code = codes[SF(insn)][amount == 0 ? 0 : kind == MV_SHIFT_LSL ? 1 : 2];
    op->rd = MV_RD(insn);
    op->rn = MV_RN(insn);
    op->rm = MV_RM(insn);
    op->aux = (uint16_t)kind;
    op->imm = amount;
    return true;
}

static bool decode_logical_shifted(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[8][2][3] = {
        SHIFTED_ROW(and), SHIFTED_ROW(bic), SHIFTED_ROW(orr),  SHIFTED_ROW(orn),
        SHIFTED_ROW(eor), SHIFTED_ROW(eon), SHIFTED_ROW(ands), SHIFTED_ROW(bics),
    };
    unsigned which = mv_bits(insn, 30, 29) * 2 + mv_bit(insn, 21);
    if (!decode_shifted(insn, op, codes[which]))
        return false;
    if (op->code == MV_OPCODE_orr_reg_x && op->rn == MV_REG_ZR)
        op->code = MV_OPCODE_mov_reg_x;
    if (op->code == MV_OPCODE_orr_reg_w && op->rn == MV_REG_ZR)
        op->code = MV_OPCODE_mov_reg_w;
    return true;
}

static bool decode_add_sub_shifted(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4][2][3] = {SHIFTED_ROW(add), SHIFTED_ROW(adds), SHIFTED_ROW(sub),
                                            SHIFTED_ROW(subs)};
    return mv_bits(insn, 23, 22) != 3 && decode_shifted(insn, op, codes[mv_bits(insn, 30, 29)]);
}

static bool decode_add_sub_extended(uint32_t insn, struct mv_op *op)
{
    unsigned shift = mv_bits(insn, 12, 10);
    if (shift > 4)
        return false;
    const uint16_t codes[4] = {XW(insn, add_ext), XW(insn, adds_ext), XW(insn, sub_ext),
                               XW(insn, subs_ext)};
    op->code = codes[mv_bits(insn, 30, 29)];
    op->rd = mv_bit(insn, 29) ? MV_RD(insn) : MV_RD_SP(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = MV_RM(insn);
    op->aux = (uint16_t)mv_bits(insn, 15, 13);
    op->imm = shift;
    return true;
}

static void decode_registers(uint32_t insn, struct mv_op *op, uint16_t code)
{
    op->code = code;
    op->rd = MV_RD(insn);
    op->rn = MV_RN(insn);
    op->rm = MV_RM(insn);
}

static bool decode_add_sub_carry(uint32_t insn, struct mv_op *op)
{
    const uint16_t codes[4] = {XW(insn, adc), XW(insn, adcs), XW(insn, sbc), XW(insn, sbcs)};
    decode_registers(insn, op, codes[mv_bits(insn, 30, 29)]);
    return true;
}

static bool decode_conditional_compare(uint32_t insn, struct mv_op *op)
{
    bool immediate = mv_bit(insn, 11);
    const uint16_t codes[4] = {XW(insn, ccmn_reg), XW(insn, ccmn_imm), XW(insn, ccmp_reg),
                               XW(insn, ccmp_imm)};
    decode_registers(insn, op, codes[mv_bit(insn, 30) * 2 + immediate]);
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    op->imm = (uint64_t)mv_bits(insn, 3, 0) << 60 | (immediate ? mv_bits(insn, 20, 16) : 0);
    return true;
}

static bool decode_conditional_select(uint32_t insn, struct mv_op *op)
{
    const uint16_t codes[4] = {XW(insn, csel), XW(insn, csinc), XW(insn, csinv), XW(insn, csneg)};
    decode_registers(insn, op, codes[mv_bit(insn, 30) * 2 + mv_bit(insn, 10)]);
    op->aux = mv_condition_masks[mv_bits(insn, 15, 12)];
    return true;
}

static bool decode_one_source(uint32_t insn, struct mv_op *op)
{
    const uint16_t codes[6] = {
        XW(insn, rbit), XW(insn, rev16), SF(insn) ? MV_OPCODE_rev32_x : MV_OPCODE_rev_w,
        MV_OPCODE_rev_x, XW(insn, clz), XW(insn, cls)};
    unsigned which = mv_bits(insn, 15, 10);
    if (which >= 6 || (which == 3 && !SF(insn)))
        return false;
    decode_registers(insn, op, codes[which]);
    return true;
}

static bool decode_divide(uint32_t insn, struct mv_op *op)
{
    decode_registers(insn, op, mv_bit(insn, 10) ? XW(insn, sdiv) : XW(insn, udiv));
    return true;
}

static bool decode_variable_shift(uint32_t insn, struct mv_op *op)
{
    const uint16_t codes[4] = {XW(insn, lslv), XW(insn, lsrv), XW(insn, asrv), XW(insn, rorv)};
    decode_registers(insn, op, codes[mv_bits(insn, 11, 10)]);
    return true;
}

static bool decode_crc32(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 11, 10);
    if (SF(insn) != (size == 3))
        return false;
    decode_registers(insn, op, mv_bit(insn, 12) ? MV_OPCODE_crc32c : MV_OPCODE_crc32);
    op->aux = (uint16_t)(1u << size);
    return true;
}

static bool decode_multiply_add(uint32_t insn, struct mv_op *op)
{
    decode_registers(insn, op, mv_bit(insn, 15) ? XW(insn, msub) : XW(insn, madd));
    op->ra = MV_RA(insn);
    return true;
}

static bool decode_multiply_long(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4] = {MV_OPCODE_smaddl, MV_OPCODE_smsubl, MV_OPCODE_umaddl,
                                      MV_OPCODE_umsubl};
    decode_registers(insn, op, codes[mv_bit(insn, 23) * 2 + mv_bit(insn, 15)]);
    op->ra = MV_RA(insn);
    return true;
}

static bool decode_multiply_high(uint32_t insn, struct mv_op *op)
{
    decode_registers(insn, op, mv_bit(insn, 23) ? MV_OPCODE_umulh : MV_OPCODE_smulh);
    return true;
}

static const struct mv_a64_form forms[] = {
    {"p ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "adr, adrp", decode_adr},
    {"z o s 100010 h iiiiiiiiiiii nnnnn ddddd", "add, sub (immediate)", decode_add_sub_imm},
    {"z oo 100100 N rrrrrr ssssss nnnnn ddddd", "and, orr, eor, ands (immediate)",
     decode_logical_imm},
    {"z oo 100101 hh iiiiiiiiiiiiiiii ddddd", "movn, movz, movk", decode_move_wide},
    {"z oo 100110 N rrrrrr ssssss nnnnn ddddd", "sbfm, bfm, ubfm", decode_bitfield},
    {"z 00 100111 N 0 mmmmm ssssss nnnnn ddddd", "extr", decode_extract},
    {"z oo 01010 hh N mmmmm iiiiii nnnnn ddddd", "and … bics (shifted register)",
     decode_logical_shifted},
    {"z o s 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "add, sub (shifted register)",
     decode_add_sub_shifted},
    {"z o s 01011 00 1 mmmmm ooo iii nnnnn ddddd", "add, sub (extended register)",
     decode_add_sub_extended},
    {"z o s 11010000 mmmmm 000000 nnnnn ddddd", "adc, sbc", decode_add_sub_carry},
    {"z o 1 11010010 mmmmm cccc i 0 nnnnn 0 ffff", "ccmn, ccmp", decode_conditional_compare},
    {"z o 0 11010100 mmmmm cccc 0 o nnnnn ddddd", "csel, csinc, csinv, csneg",
     decode_conditional_select},
    {"z 1 0 11010110 00000 oooooo nnnnn ddddd", "rbit … cls", decode_one_source},
    {"z 0 0 11010110 mmmmm 00001 o nnnnn ddddd", "udiv, sdiv", decode_divide},
    {"z 0 0 11010110 mmmmm 0010 oo nnnnn ddddd", "lslv, lsrv, asrv, rorv", decode_variable_shift},
    {"z 0 0 11010110 mmmmm 010 c ss nnnnn ddddd", "crc32, crc32c", decode_crc32},
    {"z 00 11011 000 mmmmm o aaaaa nnnnn ddddd", "madd, msub", decode_multiply_add},
    {"1 00 11011 u01 mmmmm o aaaaa nnnnn ddddd", "smaddl … umsubl", decode_multiply_long},
    {"1 00 11011 u10 mmmmm 0 aaaaa nnnnn ddddd", "smulh, umulh", decode_multiply_high},
};
MV_A64_GROUP(mv_a64_integer, "integer", forms);
