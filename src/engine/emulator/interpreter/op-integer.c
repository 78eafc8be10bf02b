/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of the integer instructions (Arm ARM C6.2). */
#include "alu.h"
#include "cpu.h"

#include <string.h>

#define RN cpu->x[op->rn]
#define RM cpu->x[op->rm]
#define RA cpu->x[op->ra]
#define RD cpu->x[op->rd]

/* A handler of one expression, for 64 bits and for 32. */
#define BOTH(name, expression_x, expression_w)                                                     \
    MV_OP(name##_x)                                                                                \
    {                                                                                              \
        RD = (expression_x);                                                                       \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(name##_w)                                                                                \
    {                                                                                              \
        RD = (uint32_t)(expression_w);                                                             \
        MV_NEXT;                                                                                   \
    }
#define ONE(name, expression)                                                                      \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        RD = (expression);                                                                         \
        MV_NEXT;                                                                                   \
    }

ONE(adr, mv_op_pc(cpu, op) + op->imm)
ONE(adrp, cpu->page_va + op->imm)

BOTH(add_imm, RN + op->imm, RN + op->imm)
BOTH(adds_imm, mv_add_flags_x(cpu, RN, op->imm, 0),
     mv_add_flags_w(cpu, (uint32_t)RN, (uint32_t)op->imm, 0))
BOTH(subs_imm, mv_sub_flags_x(cpu, RN, op->imm),
     mv_sub_flags_w(cpu, (uint32_t)RN, (uint32_t)op->imm))

/* The second operand as it is, shifted left by imm, shifted by imm as aux says. */
#define SHIFTED(name, apply_x, apply_w)                                                            \
    BOTH(name##_reg, apply_x(RN, RM), apply_w((uint32_t)RN, (uint32_t)RM))                         \
    BOTH(name##_lsl, apply_x(RN, (RM << op->imm)),                                                 \
         apply_w((uint32_t)RN, ((uint32_t)RM << op->imm)))                                         \
    BOTH(name##_sh, apply_x(RN, mv_shift_x(RM, op->aux, (unsigned)op->imm)),                       \
         apply_w((uint32_t)RN, mv_shift_w((uint32_t)RM, op->aux, (unsigned)op->imm)))

#define DO_ADD(a, b) ((a) + (b))
#define DO_SUB(a, b) ((a) - (b))
#define DO_ADDS_X(a, b) mv_add_flags_x(cpu, a, b, 0)
#define DO_ADDS_W(a, b) mv_add_flags_w(cpu, a, b, 0)
#define DO_SUBS_X(a, b) mv_sub_flags_x(cpu, a, b)
#define DO_SUBS_W(a, b) mv_sub_flags_w(cpu, a, b)
SHIFTED(add, DO_ADD, DO_ADD)
SHIFTED(sub, DO_SUB, DO_SUB)
SHIFTED(adds, DO_ADDS_X, DO_ADDS_W)
SHIFTED(subs, DO_SUBS_X, DO_SUBS_W)

#define DO_AND(a, b) ((a) & (b))
#define DO_BIC(a, b) ((a) & ~(b))
#define DO_ORR(a, b) ((a) | (b))
#define DO_ORN(a, b) ((a) | ~(b))
#define DO_EOR(a, b) ((a) ^ (b))
#define DO_EON(a, b) ((a) ^ ~(b))
#define DO_ANDS_X(a, b) mv_logic_flags_x(cpu, (a) & (b))
#define DO_ANDS_W(a, b) mv_logic_flags_w(cpu, (a) & (b))
#define DO_BICS_X(a, b) mv_logic_flags_x(cpu, (a) & ~(b))
#define DO_BICS_W(a, b) mv_logic_flags_w(cpu, (a) & ~(b))
SHIFTED(and, DO_AND, DO_AND)
SHIFTED(bic, DO_BIC, DO_BIC)
SHIFTED(orr, DO_ORR, DO_ORR)
SHIFTED(orn, DO_ORN, DO_ORN)
SHIFTED(eor, DO_EOR, DO_EOR)
SHIFTED(eon, DO_EON, DO_EON)
SHIFTED(ands, DO_ANDS_X, DO_ANDS_W)
SHIFTED(bics, DO_BICS_X, DO_BICS_W)

#define EXTENDED mv_extend(RM, op->aux, (unsigned)op->imm)
BOTH(add_ext, RN + EXTENDED, RN + EXTENDED)
BOTH(sub_ext, RN - EXTENDED, RN - EXTENDED)
BOTH(adds_ext, mv_add_flags_x(cpu, RN, EXTENDED, 0),
     mv_add_flags_w(cpu, (uint32_t)RN, (uint32_t)EXTENDED, 0))
BOTH(subs_ext, mv_sub_flags_x(cpu, RN, EXTENDED),
     mv_sub_flags_w(cpu, (uint32_t)RN, (uint32_t)EXTENDED))

#define CARRY (cpu->nzcv >> 29 & 1)
BOTH(adc, RN + RM + CARRY, RN + RM + CARRY)
BOTH(sbc, RN + ~RM + CARRY, RN + ~RM + CARRY)
BOTH(adcs, mv_add_flags_x(cpu, RN, RM, CARRY),
     mv_add_flags_w(cpu, (uint32_t)RN, (uint32_t)RM, CARRY))
BOTH(sbcs, mv_add_flags_x(cpu, RN, ~RM, CARRY),
     mv_add_flags_w(cpu, (uint32_t)RN, ~(uint32_t)RM, CARRY))

ONE(and_imm, RN & op->imm)
BOTH(orr_imm, RN | op->imm, RN | op->imm)
BOTH(eor_imm, RN ^ op->imm, RN ^ op->imm)
BOTH(ands_imm, mv_logic_flags_x(cpu, RN & op->imm),
     mv_logic_flags_w(cpu, (uint32_t)(RN & op->imm)))

ONE(mov_imm, op->imm)
BOTH(mov_reg, RM, RM)
BOTH(movk, (RD & ~(UINT64_C(0xffff) << op->aux)) | op->imm,
     (RD & ~(UINT64_C(0xffff) << op->aux)) | op->imm)

/* Bit fields: aux is the shift, imm the mask of the field's width; ra the width. */
ONE(ubfx, RN >> op->aux & op->imm)
ONE(ubfiz, (RN & op->imm) << op->aux)

static inline uint64_t sign_extend(uint64_t value, unsigned width)
{
    return (uint64_t)((int64_t)(value << (64 - width)) >> (64 - width));
}
BOTH(sbfx, sign_extend(RN >> op->aux, op->ra), sign_extend(RN >> op->aux, op->ra))
BOTH(sbfiz, sign_extend(RN, op->ra) << op->aux, sign_extend(RN, op->ra) << op->aux)
#define BFXIL ((RD & ~op->imm) | (RN >> op->aux & op->imm))
#define BFI ((RD & ~(op->imm << op->aux)) | (RN & op->imm) << op->aux)
BOTH(bfxil, BFXIL, BFXIL)
BOTH(bfi, BFI, BFI)
BOTH(extr, op->imm ? RM >> op->imm | RN << (64 - op->imm) : RM,
     op->imm ? (uint32_t)RM >> op->imm | (uint32_t)RN << (32 - op->imm) : (uint32_t)RM)

#define COND mv_cond_holds(cpu, op->aux)
BOTH(csel, COND ? RN : RM, COND ? RN : RM)
BOTH(csinc, COND ? RN : RM + 1, COND ? RN : RM + 1)
BOTH(csinv, COND ? RN : ~RM, COND ? RN : ~RM)
BOTH(csneg, COND ? RN : -RM, COND ? RN : -RM)

/* imm: the flags in the upper half, the immediate in the lower one. */
#define CONDITIONAL_COMPARE(name, compare)                                                         \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        if (COND)                                                                                  \
            compare;                                                                               \
        else                                                                                       \
            cpu->nzcv = (uint32_t)(op->imm >> 32);                                                 \
        MV_NEXT;                                                                                   \
    }
CONDITIONAL_COMPARE(ccmp_imm_x, mv_sub_flags_x(cpu, RN, (uint32_t)op->imm))
CONDITIONAL_COMPARE(ccmp_imm_w, mv_sub_flags_w(cpu, (uint32_t)RN, (uint32_t)op->imm))
CONDITIONAL_COMPARE(ccmp_reg_x, mv_sub_flags_x(cpu, RN, RM))
CONDITIONAL_COMPARE(ccmp_reg_w, mv_sub_flags_w(cpu, (uint32_t)RN, (uint32_t)RM))
CONDITIONAL_COMPARE(ccmn_imm_x, mv_add_flags_x(cpu, RN, (uint32_t)op->imm, 0))
CONDITIONAL_COMPARE(ccmn_imm_w, mv_add_flags_w(cpu, (uint32_t)RN, (uint32_t)op->imm, 0))
CONDITIONAL_COMPARE(ccmn_reg_x, mv_add_flags_x(cpu, RN, RM, 0))
CONDITIONAL_COMPARE(ccmn_reg_w, mv_add_flags_w(cpu, (uint32_t)RN, (uint32_t)RM, 0))

static uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}
BOTH(rbit, reverse_bits(RN), reverse_bits(RN) >> 32)
#define REV16(v, mask) (((v) >> 8 & (mask)) | ((v) & (mask)) << 8)
BOTH(rev16, REV16(RN, 0x00ff00ff00ff00ff), REV16(RN, 0x00ff00ff))
ONE(rev32_x, __builtin_bswap64(RN << 32 | RN >> 32))
BOTH(rev, __builtin_bswap64(RN), __builtin_bswap32((uint32_t)RN))
BOTH(clz, RN ? (unsigned)__builtin_clzll(RN) : 64,
     (uint32_t)RN ? (unsigned)__builtin_clz((uint32_t)RN) : 32)
BOTH(cls, (unsigned)__builtin_clrsbll((long long)RN), (unsigned)__builtin_clrsb((int)RN))

BOTH(udiv, RM ? RN / RM : 0, (uint32_t)RM ? (uint32_t)RN / (uint32_t)RM : 0)
/* The smallest number divided by -1 is itself. */
BOTH(sdiv, RM == 0 ? 0 : RM == UINT64_MAX ? -RN : (uint64_t)((int64_t)RN / (int64_t)RM),
     (uint32_t)RM == 0            ? 0
     : (uint32_t)RM == UINT32_MAX ? -(uint32_t)RN
                                  : (uint32_t)((int32_t)RN / (int32_t)RM))

BOTH(lslv, RN << (RM & 63), (uint32_t)RN << (RM & 31))
BOTH(lsrv, RN >> (RM & 63), (uint32_t)RN >> (RM & 31))
BOTH(asrv, (uint64_t)((int64_t)RN >> (RM & 63)), (uint32_t)((int32_t)RN >> (RM & 31)))
BOTH(rorv, mv_shift_x(RN, MV_SHIFT_ROR, RM & 63), mv_shift_w((uint32_t)RN, MV_SHIFT_ROR, RM & 31))

BOTH(madd, RA + RN * RM, RA + RN * RM)
BOTH(msub, RA - RN * RM, RA - RN * RM)
#define SIGNED_PRODUCT ((uint64_t)((int64_t)(int32_t)RN * (int32_t)RM))
#define UNSIGNED_PRODUCT ((uint64_t)(uint32_t)RN * (uint32_t)RM)
ONE(smaddl, RA + SIGNED_PRODUCT)
ONE(smsubl, RA - SIGNED_PRODUCT)
ONE(umaddl, RA + UNSIGNED_PRODUCT)
ONE(umsubl, RA - UNSIGNED_PRODUCT)
ONE(smulh, (uint64_t)((__int128)(int64_t)RN * (int64_t)RM >> 64))
ONE(umulh, (uint64_t)((unsigned __int128)RN * RM >> 64))

/* aux: bytes of the data operand; the polynomial is given bit-reversed. */
static uint32_t crc32_update(uint32_t crc, uint64_t data, unsigned bytes, uint32_t polynomial)
{
    for (unsigned i = 0; i < bytes; i++) {
        crc ^= (uint8_t)(data >> 8 * i);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    }
    return crc;
}
ONE(crc32, crc32_update((uint32_t)RN, RM, op->aux, 0xedb88320))
ONE(crc32c, crc32_update((uint32_t)RN, RM, op->aux, 0x82f63b78))
