/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load and store forms of the decode table (Arm ARM C4.1.94): those of registers,
 * exclusive, ordered and LSE ones, AdvSIMD structures.
 */
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

/* --- exclusive, ordered, LSE */

#define SIZES(name)                                                                                \
    {                                                                                              \
        MV_OPCODE_##name##8, MV_OPCODE_##name##16, MV_OPCODE_##name##32, MV_OPCODE_##name##64      \
    }

static bool decode_exclusive(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][4] = {SIZES(stxr), SIZES(ldxr)};
    bool load = mv_bit(insn, 22);
    op->code = codes[load][mv_bits(insn, 31, 30)];
    op->rd = load ? MV_RD(insn) : MV_RT(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = mv_reg_dest(mv_bits(insn, 20, 16));
    return true;
}

static bool decode_exclusive_pair(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][2] = {{MV_OPCODE_stxp32, MV_OPCODE_stxp64},
                                         {MV_OPCODE_ldxp32, MV_OPCODE_ldxp64}};
    bool load = mv_bit(insn, 22);
    unsigned rt2 = mv_bits(insn, 14, 10);
    op->code = codes[load][mv_bit(insn, 30)];
    op->rd = load ? MV_RD(insn) : MV_RT(insn);
    op->ra = load ? mv_reg_dest(rt2) : mv_reg_zr(rt2);
    op->rn = MV_RN_SP(insn);
    op->rm = mv_reg_dest(mv_bits(insn, 20, 16));
    return true;
}

/* LDAR, STLR, and LORegions' LDLAR, STLLR, which are not in v8.0. */
static bool decode_ordered(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][4] = {SIZES(stlr), SIZES(ldar)};
    bool load = mv_bit(insn, 22);
    op->code = codes[load][mv_bits(insn, 31, 30)];
    op->rd = load ? MV_RD(insn) : MV_RT(insn);
    op->rn = MV_RN_SP(insn);
    return true;
}

static bool decode_cas(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4] = SIZES(cas);
    op->code = codes[mv_bits(insn, 31, 30)];
    op->rd = MV_RT(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = MV_RM(insn);
    return true;
}

static bool decode_casp(uint32_t insn, struct mv_op *op)
{
    op->code = mv_bit(insn, 30) ? MV_OPCODE_casp64 : MV_OPCODE_casp32;
    op->rd = MV_RT(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = MV_RM(insn);
    return !(op->rd & 1) && !(op->rm & 1);
}

static bool decode_lse(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[8][4] = {
        SIZES(ldadd),  SIZES(ldclr),  SIZES(ldeor),  SIZES(ldset),
        SIZES(ldsmax), SIZES(ldsmin), SIZES(ldumax), SIZES(ldumin),
    };
    op->code = codes[mv_bits(insn, 14, 12)][mv_bits(insn, 31, 30)];
    op->rd = MV_RD(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = MV_RM(insn);
    return true;
}

static bool decode_swp(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[4] = SIZES(swp);
    op->code = codes[mv_bits(insn, 31, 30)];
    op->rd = MV_RD(insn);
    op->rn = MV_RN_SP(insn);
    op->rm = MV_RM(insn);
    return true;
}

static const struct mv_a64_form atomics[] = {
    {"ss 001000 0 L 0 sssss o TTTTT nnnnn ttttt", "ldxr, ldaxr, stxr, stlxr", decode_exclusive},
    {"1 z 001000 0 L 1 sssss o TTTTT nnnnn ttttt", "ldxp, ldaxp, stxp, stlxp",
     decode_exclusive_pair},
    {"0 z 001000 0 L 1 sssss o 11111 nnnnn ttttt", "casp", decode_casp},
    {"ss 001000 1 L 0 sssss 1 TTTTT nnnnn ttttt", "ldar, stlr", decode_ordered},
    {"ss 001000 1 L 1 sssss o 11111 nnnnn ttttt", "cas", decode_cas},
    {"ss 111 0 00 A R 1 sssss 0 ooo 00 nnnnn ttttt", "ldadd … ldumin", decode_lse},
    {"ss 111 0 00 A R 1 sssss 1 000 00 nnnnn ttttt", "swp", decode_swp},
};
MV_A64_GROUP(mv_a64_atomic, "atomic", atomics);

/* --- structures */

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

static const struct mv_a64_form structures[] = {
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
MV_A64_GROUP(mv_a64_structure, "structure", structures);
