/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 instructions, as bytes (Intel SDM volume 2): one function a form, most of them
 * two lines.  Nothing is known here of the guest.  Where a buffer is full, `full` is set and
 * nothing is written any more; who emits looks at it once, at the end.
 *
 * W is the operand's size: 64 bits where it is true, else 32, whose result zeroes the upper
 * half.  What sets EFLAGS is what the instruction does; lea, mov, movzx, not, rorx, shlx
 * and their like leave them.
 */
#ifndef MV_JIT_EMIT_H
#define MV_JIT_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum mv_host_reg {
    MV_RAX,
    MV_RCX,
    MV_RDX,
    MV_RBX,
    MV_RSP,
    MV_RBP,
    MV_RSI,
    MV_RDI,
    MV_R8,
    MV_R9,
    MV_R10,
    MV_R11,
    MV_R12,
    MV_R13,
    MV_R14,
    MV_R15,
    MV_NO_REG,
};

/* Conditions, as jcc, setcc and cmovcc have them; ^ 1 is the opposite. */
enum mv_host_cond {
    MV_CC_O,
    MV_CC_NO,
    MV_CC_B,
    MV_CC_AE,
    MV_CC_E,
    MV_CC_NE,
    MV_CC_BE,
    MV_CC_A,
    MV_CC_S,
    MV_CC_NS,
    MV_CC_P,
    MV_CC_NP,
    MV_CC_L,
    MV_CC_GE,
    MV_CC_LE,
    MV_CC_G,
};

/* The eight of one encoding, and those of the shift group. */
enum mv_host_alu { MV_ADD, MV_OR, MV_ADC, MV_SBB, MV_AND, MV_SUB, MV_XOR, MV_CMP };
enum mv_host_shift { MV_ROL, MV_ROR, MV_SHL = 4, MV_SHR, MV_SAR = 7 };
/* Of one operand, rdx:rax the other one where there are two. */
enum mv_host_unary { MV_NOT = 2, MV_NEG, MV_MUL, MV_IMUL, MV_DIV, MV_IDIV };

struct mv_emit {
    uint8_t *start;
    size_t used, size;
    bool full;
};

/* [base + index << scale + disp]; index MV_NO_REG: none. */
struct mv_host_mem {
    enum mv_host_reg base, index;
    unsigned scale;
    int32_t disp;
};

static inline struct mv_host_mem mv_at(enum mv_host_reg base, int32_t disp)
{
    return (struct mv_host_mem){base, MV_NO_REG, 0, disp};
}

static inline struct mv_host_mem mv_at_index(enum mv_host_reg base, enum mv_host_reg index,
                                             unsigned scale, int32_t disp)
{
    return (struct mv_host_mem){base, index, scale, disp};
}

/* --- bytes */

static inline void mv_emit_bytes(struct mv_emit *e, const void *bytes, size_t len)
{
    if (e->size - e->used < len) {
        e->full = true;
        return;
    }
    memcpy(e->start + e->used, bytes, len);
    e->used += len;
}

static inline void mv_emit8(struct mv_emit *e, unsigned byte)
{
    mv_emit_bytes(e, &(uint8_t){(uint8_t)byte}, 1);
}

static inline void mv_emit32(struct mv_emit *e, uint32_t word)
{
    mv_emit_bytes(e, &word, sizeof word);
}

static inline void mv_emit64(struct mv_emit *e, uint64_t word)
{
    mv_emit_bytes(e, &word, sizeof word);
}

/* --- prefixes and operands */

#define MV_MAP_0F 0x0f00u /* in an opcode: behind the escape byte */

/* byte: an operand is an 8-bit register, of which 4-7 need a prefix. */
static inline void mv_emit_opcode(struct mv_emit *e, bool w, unsigned reg, unsigned index,
                                  unsigned base, bool byte, unsigned opcode)
{
    unsigned rex = (unsigned)w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
    if (rex != 0 || (byte && reg >= 4))
        mv_emit8(e, 0x40 | rex);
    if (opcode > 0xffff)
        mv_emit8(e, opcode >> 16);
    if (opcode > 0xff)
        mv_emit8(e, opcode >> 8);
    mv_emit8(e, opcode & 0xff);
}

static inline void mv_emit_modrm_reg(struct mv_emit *e, unsigned reg, unsigned rm)
{
    mv_emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void mv_emit_modrm_mem(struct mv_emit *e, unsigned reg, struct mv_host_mem m)
{
    bool small = m.disp >= -128 && m.disp <= 127;
    unsigned mod = small ? 1 : 2; /* a displacement is always there: short, and no special case */
    if (m.index == MV_NO_REG && (m.base & 7) != MV_RSP) {
        mv_emit8(e, mod << 6 | (reg & 7) << 3 | (m.base & 7));
    } else {
        unsigned index = m.index == MV_NO_REG ? MV_RSP : m.index;
        mv_emit8(e, mod << 6 | (reg & 7) << 3 | 4);
        mv_emit8(e, m.scale << 6 | (index & 7) << 3 | (m.base & 7));
    }
    if (small)
        mv_emit8(e, (uint8_t)m.disp);
    else
        mv_emit32(e, (uint32_t)m.disp);
}

/* An instruction of a register and a register or memory. */
static inline void mv_emit_rr(struct mv_emit *e, bool w, unsigned opcode, unsigned reg, unsigned rm)
{
    mv_emit_opcode(e, w, reg, 0, rm, false, opcode);
    mv_emit_modrm_reg(e, reg, rm);
}

static inline void mv_emit_rm(struct mv_emit *e, bool w, unsigned opcode, unsigned reg,
                              struct mv_host_mem m)
{
    mv_emit_opcode(e, w, reg, m.index == MV_NO_REG ? 0 : m.index, m.base, false, opcode);
    mv_emit_modrm_mem(e, reg, m);
}

/* --- moves */

static inline void mv_mov_rr(struct mv_emit *e, bool w, enum mv_host_reg to, enum mv_host_reg from)
{
    mv_emit_rr(e, w, 0x8b, to, from);
}

static inline void mv_mov_rm(struct mv_emit *e, bool w, enum mv_host_reg to,
                             struct mv_host_mem from)
{
    mv_emit_rm(e, w, 0x8b, to, from);
}

static inline void mv_mov_mr(struct mv_emit *e, bool w, struct mv_host_mem to,
                             enum mv_host_reg from)
{
    mv_emit_rm(e, w, 0x89, from, to);
}

/* Of 1, 2, 4 or 8 bytes. */
static inline void mv_store(struct mv_emit *e, unsigned size, struct mv_host_mem to,
                            enum mv_host_reg from)
{
    unsigned index = to.index == MV_NO_REG ? 0 : to.index;
    if (size == 2)
        mv_emit8(e, 0x66);
    mv_emit_opcode(e, size == 8, from, index, to.base, size == 1, size == 1 ? 0x88 : 0x89);
    mv_emit_modrm_mem(e, from, to);
}

/* Zero-extended to 64 bits, or sign-extended to 64 (w) or 32. */
static inline void mv_load(struct mv_emit *e, unsigned size, bool is_signed, bool w,
                           enum mv_host_reg to, struct mv_host_mem from)
{
    static const unsigned zero[] = {[1] = 0x0fb6, [2] = 0x0fb7, [4] = 0x8b, [8] = 0x8b};
    static const unsigned sign[] = {[1] = 0x0fbe, [2] = 0x0fbf, [4] = 0x63, [8] = 0x8b};
    mv_emit_rm(e, is_signed ? w : size == 8, is_signed ? sign[size] : zero[size], to, from);
}

/* The same of a register's low bytes; one of a byte is rax, rcx, rdx, rbx or has a prefix. */
static inline void mv_extend_rr(struct mv_emit *e, unsigned size, bool is_signed, bool w,
                                enum mv_host_reg to, enum mv_host_reg from)
{
    static const unsigned zero[] = {[1] = 0x0fb6, [2] = 0x0fb7, [4] = 0x8b, [8] = 0x8b};
    static const unsigned sign[] = {[1] = 0x0fbe, [2] = 0x0fbf, [4] = 0x63, [8] = 0x8b};
    bool wide = is_signed ? w : size == 8;
    unsigned rex = (unsigned)wide << 3 | (to >> 3) << 2 | from >> 3;
    unsigned opcode = is_signed ? sign[size] : zero[size];
    if (rex != 0 || (size == 1 && from >= 4))
        mv_emit8(e, 0x40 | rex);
    if (opcode > 0xff)
        mv_emit8(e, opcode >> 8);
    mv_emit8(e, opcode & 0xff);
    mv_emit_modrm_reg(e, to, from);
}

/* Leaves EFLAGS, for a zero, too. */
static inline void mv_mov_ri(struct mv_emit *e, enum mv_host_reg to, uint64_t value)
{
    if (value == (uint32_t)value) {
        mv_emit_opcode(e, false, 0, 0, to, false, 0xb8 | (to & 7));
        mv_emit32(e, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        mv_emit_rr(e, true, 0xc7, 0, to);
        mv_emit32(e, (uint32_t)value);
    } else {
        mv_emit_opcode(e, true, 0, 0, to, false, 0xb8 | (to & 7));
        mv_emit64(e, value);
    }
}

static inline void mv_mov_mi16(struct mv_emit *e, struct mv_host_mem to, unsigned value)
{
    mv_emit8(e, 0x66);
    mv_emit_rm(e, false, 0xc7, 0, to);
    mv_emit8(e, value & 0xff);
    mv_emit8(e, value >> 8 & 0xff);
}

static inline void mv_lea(struct mv_emit *e, bool w, enum mv_host_reg to, struct mv_host_mem m)
{
    mv_emit_rm(e, w, 0x8d, to, m);
}

/* The address at which a place of this memory runs. */
static inline void mv_lea_place(struct mv_emit *e, enum mv_host_reg to, size_t place)
{
    mv_emit_opcode(e, true, to, 0, 0, false, 0x8d);
    mv_emit8(e, (to & 7u) << 3 | 5); /* [rip + displacement] */
    mv_emit32(e, (uint32_t)(place - (e->used + 4)));
}

/* --- arithmetic */

static inline void mv_alu_rr(struct mv_emit *e, bool w, enum mv_host_alu alu, enum mv_host_reg to,
                             enum mv_host_reg from)
{
    mv_emit_rr(e, w, alu << 3 | 3, to, from);
}

static inline void mv_alu_rm(struct mv_emit *e, bool w, enum mv_host_alu alu, enum mv_host_reg to,
                             struct mv_host_mem from)
{
    mv_emit_rm(e, w, alu << 3 | 3, to, from);
}

static inline void mv_emit_imm8_or_32(struct mv_emit *e, bool small, int32_t value)
{
    if (small)
        mv_emit8(e, (uint8_t)value);
    else
        mv_emit32(e, (uint32_t)value);
}

static inline void mv_alu_ri(struct mv_emit *e, bool w, enum mv_host_alu alu, enum mv_host_reg to,
                             int32_t value)
{
    bool small = value >= -128 && value <= 127;
    mv_emit_rr(e, w, small ? 0x83 : 0x81, alu, to);
    mv_emit_imm8_or_32(e, small, value);
}

static inline void mv_alu_mi(struct mv_emit *e, bool w, enum mv_host_alu alu, struct mv_host_mem to,
                             int32_t value)
{
    bool small = value >= -128 && value <= 127;
    mv_emit_rm(e, w, small ? 0x83 : 0x81, alu, to);
    mv_emit_imm8_or_32(e, small, value);
}

/* Of a byte. */
static inline void mv_cmp_mi8(struct mv_emit *e, struct mv_host_mem m, unsigned value)
{
    mv_emit_rm(e, false, 0x80, MV_CMP, m);
    mv_emit8(e, value);
}

static inline void mv_test_mi8(struct mv_emit *e, struct mv_host_mem m, unsigned bits)
{
    mv_emit_rm(e, false, 0xf6, 0, m);
    mv_emit8(e, bits);
}

static inline void mv_test_mi(struct mv_emit *e, struct mv_host_mem m, uint32_t bits)
{
    mv_emit_rm(e, false, 0xf7, 0, m);
    mv_emit32(e, bits);
}

static inline void mv_test_rr(struct mv_emit *e, bool w, enum mv_host_reg a, enum mv_host_reg b)
{
    mv_emit_rr(e, w, 0x85, b, a);
}

static inline void mv_test_ri(struct mv_emit *e, bool w, enum mv_host_reg a, int32_t value)
{
    mv_emit_rr(e, w, 0xf7, 0, a);
    mv_emit32(e, (uint32_t)value);
}

static inline void mv_unary(struct mv_emit *e, bool w, enum mv_host_unary what, enum mv_host_reg r)
{
    mv_emit_rr(e, w, 0xf7, what, r);
}

static inline void mv_imul_rr(struct mv_emit *e, bool w, enum mv_host_reg to, enum mv_host_reg from)
{
    mv_emit_rr(e, w, 0x0faf, to, from);
}

static inline void mv_shift_ri(struct mv_emit *e, bool w, enum mv_host_shift how,
                               enum mv_host_reg r, unsigned amount)
{
    mv_emit_rr(e, w, 0xc1, how, r);
    mv_emit8(e, amount);
}

/* By cl. */
static inline void mv_shift_cl(struct mv_emit *e, bool w, enum mv_host_shift how,
                               enum mv_host_reg r)
{
    mv_emit_rr(e, w, 0xd3, how, r);
}

/* The lower part of from:to, shifted right. */
static inline void mv_shrd(struct mv_emit *e, bool w, enum mv_host_reg to, enum mv_host_reg from,
                           unsigned amount)
{
    mv_emit_rr(e, w, 0x0fac, from, to);
    mv_emit8(e, amount);
}

static inline void mv_bswap(struct mv_emit *e, bool w, enum mv_host_reg r)
{
    mv_emit_opcode(e, w, 0, 0, r, false, 0x0fc8 | (r & 7));
}

/* CF: the bit. */
static inline void mv_bt_ri(struct mv_emit *e, bool w, enum mv_host_reg r, unsigned bit)
{
    mv_emit_rr(e, w, 0x0fba, 4, r);
    mv_emit8(e, bit);
}

static inline void mv_bt_mi(struct mv_emit *e, struct mv_host_mem m, unsigned bit)
{
    mv_emit_rm(e, false, 0x0fba, 4, m);
    mv_emit8(e, bit);
}

static inline void mv_lzcnt(struct mv_emit *e, bool w, enum mv_host_reg to, enum mv_host_reg from)
{
    mv_emit8(e, 0xf3);
    mv_emit_rr(e, w, 0x0fbd, to, from);
}

/* The CRC-32C in `to` goes on by a value of 1, 2, 4 or 8 bytes. */
static inline void mv_crc32c(struct mv_emit *e, unsigned size, enum mv_host_reg to,
                             enum mv_host_reg from)
{
    if (size == 2)
        mv_emit8(e, 0x66);
    mv_emit8(e, 0xf2);
    unsigned rex = (unsigned)(size == 8) << 3 | (to >> 3) << 2 | from >> 3;
    if (rex != 0 || (size == 1 && from >= 4))
        mv_emit8(e, 0x40 | rex);
    mv_emit_bytes(e, "\x0f\x38", 2);
    mv_emit8(e, size == 1 ? 0xf0 : 0xf1);
    mv_emit_modrm_reg(e, to, from);
}

/* --- flags and conditions */

static inline void mv_cmov(struct mv_emit *e, bool w, enum mv_host_cond cc, enum mv_host_reg to,
                           enum mv_host_reg from)
{
    mv_emit_rr(e, w, 0x0f40 | cc, to, from);
}

/* Of al, cl, dl or bl. */
static inline void mv_setcc(struct mv_emit *e, enum mv_host_cond cc, enum mv_host_reg to)
{
    mv_emit_rr(e, false, 0x0f90 | cc, 0, to);
}

#define MV_LAHF 0x9fu
#define MV_SAHF 0x9eu
#define MV_CMC  0xf5u
#define MV_STC  0xf9u
#define MV_RET  0xc3u

/* --- jumps: the place of a displacement, to be set once the target is known */

static inline size_t mv_jcc(struct mv_emit *e, enum mv_host_cond cc)
{
    mv_emit8(e, 0x0f);
    mv_emit8(e, 0x80 | cc);
    mv_emit32(e, 0);
    return e->used - 4;
}

static inline size_t mv_jmp(struct mv_emit *e)
{
    mv_emit8(e, 0xe9);
    mv_emit32(e, 0);
    return e->used - 4;
}

static inline size_t mv_call(struct mv_emit *e)
{
    mv_emit8(e, 0xe8);
    mv_emit32(e, 0);
    return e->used - 4;
}

static inline void mv_set_target(struct mv_emit *e, size_t place, size_t target)
{
    int32_t delta = (int32_t)((int64_t)target - (int64_t)(place + 4));
    if (!e->full)
        memcpy(e->start + place, &delta, sizeof delta);
}

static inline void mv_jmp_reg(struct mv_emit *e, enum mv_host_reg r)
{
    mv_emit_rr(e, false, 0xff, 4, r);
}

static inline void mv_call_reg(struct mv_emit *e, enum mv_host_reg r)
{
    mv_emit_rr(e, false, 0xff, 2, r);
}

static inline void mv_push(struct mv_emit *e, enum mv_host_reg r)
{
    mv_emit_opcode(e, false, 0, 0, r, false, 0x50 | (r & 7));
}

static inline void mv_pop(struct mv_emit *e, enum mv_host_reg r)
{
    mv_emit_opcode(e, false, 0, 0, r, false, 0x58 | (r & 7));
}

#endif
