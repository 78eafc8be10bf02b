/* SPDX-License-Identifier: Apache-2.0 */
/* Exclusive, ordered and LSE forms of the decode table (Arm ARM C4.1.94). */
#include "a64.h"

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

static const struct mv_a64_form forms[] = {
    {"ss 001000 0 L 0 sssss o TTTTT nnnnn ttttt", "ldxr, ldaxr, stxr, stlxr", decode_exclusive},
    {"1 z 001000 0 L 1 sssss o TTTTT nnnnn ttttt", "ldxp, ldaxp, stxp, stlxp",
     decode_exclusive_pair},
    {"0 z 001000 0 L 1 sssss o 11111 nnnnn ttttt", "casp", decode_casp},
    {"ss 001000 1 L 0 sssss 1 TTTTT nnnnn ttttt", "ldar, stlr", decode_ordered},
    {"ss 001000 1 L 1 sssss o 11111 nnnnn ttttt", "cas", decode_cas},
    {"ss 111 0 00 A R 1 sssss 0 ooo 00 nnnnn ttttt", "ldadd … ldumin", decode_lse},
    {"ss 111 0 00 A R 1 sssss 1 000 00 nnnnn ttttt", "swp", decode_swp},
};
MV_A64_GROUP(mv_a64_atomic, "atomic", forms);
