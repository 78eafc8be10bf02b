/* SPDX-License-Identifier: Apache-2.0 */
/* Load and store forms of the decode table (Arm ARM C4.1.94). */
#include "a64.h"

enum addressing { MODE_IMM, MODE_POST, MODE_PRE, MODE_REG, MODE_EXT, MODE_COUNT };

#define MODES(name)                                                                                \
    {                                                                                              \
        MV_OPCODE_##name##_imm, MV_OPCODE_##name##_post, MV_OPCODE_##name##_pre,                   \
            MV_OPCODE_##name##_reg, MV_OPCODE_##name##_ext                                         \
    }

/* Indexed by size (log2 of bytes) and opc; a row of zeros is unallocated. */
static const uint16_t general[4][4][MODE_COUNT] = {
    {MODES(str8), MODES(ldr8), MODES(ldrs8_x), MODES(ldrs8_w)},
    {MODES(str16), MODES(ldr16), MODES(ldrs16_x), MODES(ldrs16_w)},
    {MODES(str32), MODES(ldr32), MODES(ldrs32_x), {0}},
    {MODES(str64), MODES(ldr64), {0}, {0}},
};
/* Indexed by log2 of bytes and load. */
static const uint16_t vector[5][2][MODE_COUNT] = {
    {MODES(str_v8), MODES(ldr_v8)},     {MODES(str_v16), MODES(ldr_v16)},
    {MODES(str_v32), MODES(ldr_v32)},   {MODES(str_v64), MODES(ldr_v64)},
    {MODES(str_v128), MODES(ldr_v128)},
};

static bool is_load(unsigned opc)
{
    return opc != 0;
}

/*
 * The register and opcode of a single access; false where it is unallocated.
 * PRFM (size 3, opc 2) becomes a nop where the mode has it.
 */
static bool decode_single(uint32_t insn, struct mv_op *op, enum addressing mode,
                          unsigned *ret_log_size)
{
    unsigned size = mv_bits(insn, 31, 30), opc = mv_bits(insn, 23, 22);
    if (mv_bit(insn, 26)) {
        unsigned log_size = (opc & 2) << 1 | size;
        if (log_size > 4)
            return false;
        op->code = vector[log_size][opc & 1][mode];
        op->rd = (uint8_t)mv_bits(insn, 4, 0);
        *ret_log_size = log_size;
    } else {
        op->code = general[size][opc][mode];
        if (op->code == 0 && size == 3 && opc == 2 && mode != MODE_POST && mode != MODE_PRE)
            op->code = MV_OPCODE_nop;
        op->rd = is_load(opc) ? MV_RD(insn) : MV_RT(insn);
        *ret_log_size = size;
    }
    op->rn = MV_RN_SP(insn);
    return op->code != 0;
}

static bool decode_unsigned_offset(uint32_t insn, struct mv_op *op)
{
    unsigned log_size;
    if (!decode_single(insn, op, MODE_IMM, &log_size))
        return false;
    op->imm = (uint64_t)mv_bits(insn, 21, 10) << log_size;
    return true;
}

static bool decode_imm9(uint32_t insn, struct mv_op *op)
{
    static const enum addressing modes[4] = {MODE_IMM, MODE_POST, MODE_IMM, MODE_PRE};
    unsigned log_size;
    if (!decode_single(insn, op, modes[mv_bits(insn, 11, 10)], &log_size))
        return false;
    op->imm = (uint64_t)mv_sbits(insn, 20, 12);
    return true;
}

static bool decode_unprivileged(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 31, 30), opc = mv_bits(insn, 23, 22);
    if (general[size][opc][MODE_IMM] == 0)
        return false;
    op->code = is_load(opc) ? MV_OPCODE_ldtr : MV_OPCODE_sttr;
    op->rd = is_load(opc) ? MV_RD(insn) : MV_RT(insn);
    op->rn = MV_RN_SP(insn);
    op->ra = opc == 2 ? 64 : opc == 3 ? 32 : 0;
    op->aux = (uint16_t)(1u << size);
    op->imm = (uint64_t)mv_sbits(insn, 20, 12);
    return true;
}

static bool decode_register_offset(uint32_t insn, struct mv_op *op)
{
    unsigned option = mv_bits(insn, 15, 13), log_size;
    if (!(option & 2))
        return false;
    enum addressing mode = (option & 3) == 3 ? MODE_REG : MODE_EXT;
    if (!decode_single(insn, op, mode, &log_size))
        return false;
    op->rm = MV_RM(insn);
    op->aux = (uint16_t)option;
    op->imm = mv_bit(insn, 12) ? log_size : 0;
    return true;
}

static bool decode_literal(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][4] = {
        {MV_OPCODE_ldr32_lit, MV_OPCODE_ldr64_lit, MV_OPCODE_ldrs32_lit, MV_OPCODE_nop},
        {MV_OPCODE_ldr_v32_lit, MV_OPCODE_ldr_v64_lit, MV_OPCODE_ldr_v128_lit, 0},
    };
    bool v = mv_bit(insn, 26);
    op->code = codes[v][mv_bits(insn, 31, 30)];
    op->rd = v ? (uint8_t)mv_bits(insn, 4, 0) : MV_RD(insn);
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return op->code != 0;
}

#define PAIR_MODES(name)                                                                           \
    {                                                                                              \
        MV_OPCODE_##name##_imm, MV_OPCODE_##name##_post, MV_OPCODE_##name##_pre                    \
    }

static bool decode_pair(uint32_t insn, struct mv_op *op)
{
    /* Indexed by V, opc, load. */
    static const uint16_t codes[2][3][2][3] = {
        {{PAIR_MODES(stp32), PAIR_MODES(ldp32)},
         {{0}, PAIR_MODES(ldps32)},
         {PAIR_MODES(stp64), PAIR_MODES(ldp64)}},
        {{PAIR_MODES(stp_v32), PAIR_MODES(ldp_v32)},
         {PAIR_MODES(stp_v64), PAIR_MODES(ldp_v64)},
         {PAIR_MODES(stp_v128), PAIR_MODES(ldp_v128)}},
    };
    /* No-allocate pairs are offset pairs to us. */
    static const enum addressing modes[4] = {MODE_IMM, MODE_POST, MODE_IMM, MODE_PRE};
    unsigned opc = mv_bits(insn, 31, 30), index = mv_bits(insn, 24, 23);
    bool v = mv_bit(insn, 26), load = mv_bit(insn, 22);
    if (opc == 3 || (index == 0 && !v && opc == 1))
        return false;
    op->code = codes[v][opc][load][modes[index]];
    unsigned rt = mv_bits(insn, 4, 0), rt2 = mv_bits(insn, 14, 10);
    op->rd = v || !load ? (uint8_t)rt : mv_reg_dest(rt);
    op->ra = v || !load ? (uint8_t)rt2 : mv_reg_dest(rt2);
    op->rn = MV_RN_SP(insn);
    unsigned log_size = v ? 2 + opc : opc == 2 ? 3 : 2;
    op->imm = (uint64_t)mv_sbits(insn, 21, 15) << log_size;
    return op->code != 0;
}

static const struct mv_a64_form forms[] = {
    {"ss 111 V 01 oo iiiiiiiiiiii nnnnn ttttt", "ldr, str (unsigned offset)",
     decode_unsigned_offset},
    {"ss 111 V 00 oo 0 iiiiiiiii 00 nnnnn ttttt", "ldur, stur", decode_imm9},
    {"ss 111 V 00 oo 0 iiiiiiiii 01 nnnnn ttttt", "ldr, str (post-index)", decode_imm9},
    {"ss 111 V 00 oo 0 iiiiiiiii 11 nnnnn ttttt", "ldr, str (pre-index)", decode_imm9},
    {"ss 111 0 00 oo 0 iiiiiiiii 10 nnnnn ttttt", "ldtr, sttr", decode_unprivileged},
    {"ss 111 V 00 oo 1 mmmmm ooo S 10 nnnnn ttttt", "ldr, str (register offset)",
     decode_register_offset},
    {"oo 011 V 00 iiiiiiiiiiiiiiiiiii ttttt", "ldr (literal)", decode_literal},
    {"oo 101 V 0ii L iiiiiii TTTTT nnnnn ttttt", "ldp, stp", decode_pair},
};
MV_A64_GROUP(mv_a64_memory, "memory", forms);
