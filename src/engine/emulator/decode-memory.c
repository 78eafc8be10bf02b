/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load and store forms of the decode table (Arm ARM C4.1.94): those of registers,
 * exclusive, ordered and LSE ones, AdvSIMD structures.
 */
#include "a64.h"

enum addressing { MODE_IMM, MODE_POST, MODE_PRE, MODE_REG, MODE_EXT, MODE_COUNT };

/* The opcode of the first mode, which the others follow. */
#define FIRST(name) MV_OPCODE_##name##_imm

/* Indexed by size (log2 of bytes) and opc; zero is unallocated. */
static const uint16_t general[4][4] = {
    {FIRST(str8), FIRST(ldr8), FIRST(ldrs8_x), FIRST(ldrs8_w)},
    {FIRST(str16), FIRST(ldr16), FIRST(ldrs16_x), FIRST(ldrs16_w)},
    {FIRST(str32), FIRST(ldr32), FIRST(ldrs32_x)},
    {FIRST(str64), FIRST(ldr64)},
};
/* Indexed by log2 of bytes and load; the larger ones are those of opc's bit 1. */
static const uint16_t vector[8][2] = {
    {FIRST(str_v8), FIRST(ldr_v8)},     {FIRST(str_v16), FIRST(ldr_v16)},
    {FIRST(str_v32), FIRST(ldr_v32)},   {FIRST(str_v64), FIRST(ldr_v64)},
    {FIRST(str_v128), FIRST(ldr_v128)},
};

/*
 * The registers and opcode of a single access: log2 of its bytes, or -1 where it is
 * unallocated.  PRFM (size 3, opc 2) becomes a nop where the mode has it.
 */
static int decode_single(uint32_t insn, struct mv_op *op, enum addressing mode)
{
    unsigned size = mv_bits(insn, 31, 30), opc = mv_bits(insn, 23, 22);
    bool v = mv_bit(insn, 26);
    if (v)
        size |= (opc & 2) << 1;
    else if (opc != 0)
        op->rd = mv_reg_dest(op->rd);
    op->rn = mv_reg_sp(op->rn);
    unsigned first = v ? vector[size][opc & 1] : general[size][opc];
    op->code = (uint16_t)(first + mode);
    if (first != 0)
        return (int)size;
    op->code = MV_OPCODE_nop;
    return !v && size == 3 && opc == 2 && mode != MODE_POST && mode != MODE_PRE ? 3 : -1;
}

static bool decode_unsigned_offset(uint32_t insn, struct mv_op *op)
{
    int log_size = decode_single(insn, op, MODE_IMM);
    if (log_size < 0)
        return false;
    op->imm = (uint64_t)mv_bits(insn, 21, 10) << log_size;
    return true;
}

/* No-allocate pairs are offset pairs to us, unscaled accesses ones with an offset. */
static const enum addressing modes[4] = {MODE_IMM, MODE_POST, MODE_IMM, MODE_PRE};

static bool decode_imm9(uint32_t insn, struct mv_op *op)
{
    op->imm = (uint64_t)mv_sbits(insn, 20, 12);
    return decode_single(insn, op, modes[mv_bits(insn, 11, 10)]) >= 0;
}

static bool decode_unprivileged(uint32_t insn, struct mv_op *op)
{
    unsigned size = mv_bits(insn, 31, 30), opc = mv_bits(insn, 23, 22);
    op->code = opc != 0 ? MV_OPCODE_ldtr : MV_OPCODE_sttr;
    op->rd = opc != 0 ? mv_reg_dest(op->rd) : op->rd;
    op->rn = mv_reg_sp(op->rn);
    op->ra = opc == 2 ? 64 : opc == 3 ? 32 : 0;
    op->aux = (uint16_t)(1u << size);
    op->imm = (uint64_t)mv_sbits(insn, 20, 12);
    return general[size][opc] != 0;
}

static bool decode_register_offset(uint32_t insn, struct mv_op *op)
{
    unsigned option = mv_bits(insn, 15, 13);
    int log_size = decode_single(insn, op, (option & 3) == 3 ? MODE_REG : MODE_EXT);
    op->aux = (uint16_t)option;
    op->imm = mv_bit(insn, 12) ? (uint64_t)log_size : 0;
    return (option & 2) && log_size >= 0;
}

static bool decode_literal(uint32_t insn, struct mv_op *op)
{
    static const uint16_t codes[2][4] = {
        {MV_OPCODE_ldr32_lit, MV_OPCODE_ldr64_lit, MV_OPCODE_ldrs32_lit, MV_OPCODE_nop},
        {MV_OPCODE_ldr_v32_lit, MV_OPCODE_ldr_v64_lit, MV_OPCODE_ldr_v128_lit, 0},
    };
    bool v = mv_bit(insn, 26);
    op->code = codes[v][mv_bits(insn, 31, 30)];
    op->rd = v ? op->rd : mv_reg_dest(op->rd);
    op->imm = (uint64_t)(mv_sbits(insn, 23, 5) * 4);
    return op->code != 0;
}

static bool decode_pair(uint32_t insn, struct mv_op *op)
{
    /* Indexed by V, opc, load. */
    static const uint16_t codes[2][3][2] = {
        {{FIRST(stp32), FIRST(ldp32)}, {0, FIRST(ldps32)}, {FIRST(stp64), FIRST(ldp64)}},
        {{FIRST(stp_v32), FIRST(ldp_v32)},
         {FIRST(stp_v64), FIRST(ldp_v64)},
         {FIRST(stp_v128), FIRST(ldp_v128)}},
    };
    unsigned opc = mv_bits(insn, 31, 30), index = mv_bits(insn, 24, 23);
    bool v = mv_bit(insn, 26), load = mv_bit(insn, 22);
    if (opc == 3 || codes[v][opc][load] == 0 || (index == 0 && !v && opc == 1))
        return false;
    op->code = (uint16_t)(codes[v][opc][load] + modes[index]);
    if (load && !v) {
        op->rd = mv_reg_dest(op->rd);
        op->ra = mv_reg_dest(op->ra);
    }
    op->rn = mv_reg_sp(op->rn);
    unsigned log_size = v ? 2 + opc : opc == 2 ? 3 : 2;
    op->imm = (uint64_t)mv_sbits(insn, 21, 15) << log_size;
    return true;
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

/* The registers that are written, but for those that a compare reads. */
enum { WRITES_D = 1, WRITES_M = 2, WRITES_A = 4 };

/* The code is the one for size 0; pairs have size 2 and 3. */
static bool decode_atomic(uint32_t insn, struct mv_op *op)
{
    op->code = (uint16_t)(op->code + mv_bits(insn, 31, 30));
    op->rd = op->aux & WRITES_D ? mv_reg_dest(op->rd) : op->rd;
    op->rm = op->aux & WRITES_M ? mv_reg_dest(op->rm) : op->rm;
    op->ra = op->aux & WRITES_A ? mv_reg_dest(op->ra) : op->ra;
    op->rn = mv_reg_sp(op->rn);
    return true;
}

static bool decode_casp(uint32_t insn, struct mv_op *op)
{
    return !(op->rd & 1) && !(op->rm & 1) && decode_atomic(insn, op);
}

#define EXCLUSIVE(bits, name, code, writes)                                                        \
    MV_A64_FORM(bits " sssss o TTTTT nnnnn ttttt", name, decode_atomic, MV_OPCODE_##code, writes)
#define LSE(bits, name)                                                                            \
    MV_A64_FORM("ss 111 0 00 A R 1 sssss " bits " 00 nnnnn ttttt", #name, decode_atomic,           \
                MV_OPCODE_##name##8, WRITES_D)

/* LDAR and STLR with o0 0 are LORegions' LDLAR, STLLR, which are not in v8.0. */
static const struct mv_a64_form atomics[] = {
    EXCLUSIVE("ss 001000 0 0 0", "stxr, stlxr", stxr8, WRITES_M),
    EXCLUSIVE("ss 001000 0 1 0", "ldxr, ldaxr", ldxr8, WRITES_D),
    EXCLUSIVE("1 z 001000 0 0 1", "stxp, stlxp", stxp32 - 2, WRITES_M),
    EXCLUSIVE("1 z 001000 0 1 1", "ldxp, ldaxp", ldxp32 - 2, WRITES_D | WRITES_A),
    {"0 z 001000 0 L 1 sssss o 11111 nnnnn ttttt", "casp", decode_casp, MV_OPCODE_casp32},
    {"ss 001000 1 0 0 sssss 1 TTTTT nnnnn ttttt", "stlr", decode_atomic, MV_OPCODE_stlr8},
    {"ss 001000 1 1 0 sssss 1 TTTTT nnnnn ttttt", "ldar", decode_atomic, MV_OPCODE_ldar8, WRITES_D},
    {"ss 001000 1 L 1 sssss o 11111 nnnnn ttttt", "cas", decode_atomic, MV_OPCODE_cas8},
    LSE("0 000", ldadd),
    LSE("0 001", ldclr),
    LSE("0 010", ldeor),
    LSE("0 011", ldset),
    LSE("0 100", ldsmax),
    LSE("0 101", ldsmin),
    LSE("0 110", ldumax),
    LSE("0 111", ldumin),
    LSE("1 000", swp),
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
    op->rn = mv_reg_sp(op->rn);
    op->imm = post && op->rm == MV_REG_ZR ? bytes : 0;
    op->rm = post ? op->rm : MV_REG_ZR;
}

/* Registers, and whether their elements are interleaved, by bits 15-12. */
static const struct {
    uint8_t registers;
    bool interleaved;
} layouts[16] = {
    [0] = {4, true},  [2] = {4, false}, [4] = {3, true},   [6] = {3, false},
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

/* Without and with writeback. */
#define BOTH(bits, fields, rest, name, decode)                                                     \
    MV_A64_FORM("0 q 00110" bits "0 " fields " 00000 " rest " ss nnnnn ttttt", name, decode),      \
        MV_A64_FORM("0 q 00110" bits "1 " fields " mmmmm " rest " ss nnnnn ttttt",                 \
                    name " (post-index)", decode)

static const struct mv_a64_form structures[] = {
    BOTH("0", "L 0", "oooo", "ld1 … st4 (multiple)", decode_multiple),
    BOTH("1", "1 R", "11o 0", "ld1r … ld4r", decode_replicate),
    BOTH("1", "L R", "00o S", "ld1 … st4 (byte)", decode_lane),
    BOTH("1", "L R", "01o S", "ld1 … st4 (halfword)", decode_lane),
    BOTH("1", "L R", "10o S", "ld1 … st4 (word, doubleword)", decode_lane),
};
MV_A64_GROUP(mv_a64_structure, "structure", structures);
