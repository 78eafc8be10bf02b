/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of the integer instructions (Arm ARM C6.2). */
#include "alu.h"
#include "cpu.h"

#include <string.h>

#define RN cpu->x[op->rn]
#define RM cpu->x[op->rm]
#define RA cpu->x[op->ra]
#define RD cpu->x[op->rd]

/* A handler of one statement, about registers as words. */
#define DO(name, unsigned_type, signed_type, statement)                                            \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        typedef __attribute__((unused)) unsigned_type word;                                        \
        typedef __attribute__((unused)) signed_type sword;                                         \
        statement;                                                                                 \
        MV_NEXT;                                                                                   \
    }
/* For 64 bits and for 32; and of one expression. */
#define EACH(name, statement)                                                                      \
    DO(name##_x, uint64_t, int64_t, statement) DO(name##_w, uint32_t, int32_t, statement)
#define BOTH(name, expression) EACH(name, RD = (word)(expression))
#define ONE(name, expression)  DO(name, uint64_t, int64_t, RD = (expression))
#define N                      ((word)RN)
#define M                      ((word)RM)
#define IMM                    ((word)op->imm)
#define BITS                   (8 * sizeof(word))
#define ALU(function)          _Generic((word)0, uint64_t : mv_##function##_x, uint32_t : mv_##function##_w)

ONE(adr, mv_op_pc(cpu, op) + op->imm)
ONE(adrp, cpu->page_va + op->imm)

BOTH(add_imm, RN + op->imm)
BOTH(adds_imm, ALU(add_flags)(cpu, N, IMM, 0))
BOTH(subs_imm, ALU(sub_flags)(cpu, N, IMM))

/* The second operand as it is, shifted left by imm, shifted by imm as aux says. */
#define SHIFTED(name, apply)                                                                       \
    BOTH(name##_reg, apply(N, M))                                                                  \
    BOTH(name##_lsl, apply(N, (M << op->imm)))                                                     \
    BOTH(name##_sh, apply(N, ALU(shift)(M, op->aux, (unsigned)op->imm)))
#define DO_ADD(a, b)  ((a) + (b))
#define DO_SUB(a, b)  ((a) - (b))
#define DO_ADDS(a, b) ALU(add_flags)(cpu, a, b, 0)
#define DO_SUBS(a, b) ALU(sub_flags)(cpu, a, b)
#define DO_AND(a, b)  ((a) & (b))
#define DO_BIC(a, b)  ((a) & ~(b))
#define DO_ORR(a, b)  ((a) | (b))
#define DO_ORN(a, b)  ((a) | ~(b))
#define DO_EOR(a, b)  ((a) ^ (b))
#define DO_EON(a, b)  ((a) ^ ~(b))
#define DO_ANDS(a, b) ALU(logic_flags)(cpu, (a) & (b))
#define DO_BICS(a, b) ALU(logic_flags)(cpu, (a) & ~(b))
SHIFTED(add, DO_ADD)
SHIFTED(sub, DO_SUB)
SHIFTED(adds, DO_ADDS)
SHIFTED(subs, DO_SUBS)
SHIFTED(and, DO_AND)
SHIFTED(bic, DO_BIC)
SHIFTED(orr, DO_ORR)
SHIFTED(orn, DO_ORN)
SHIFTED(eor, DO_EOR)
SHIFTED(eon, DO_EON)
SHIFTED(ands, DO_ANDS)
SHIFTED(bics, DO_BICS)

#define EXTENDED mv_extend(RM, op->aux, (unsigned)op->imm)
BOTH(add_ext, RN + EXTENDED)
BOTH(sub_ext, RN - EXTENDED)
BOTH(adds_ext, ALU(add_flags)(cpu, N, (word)EXTENDED, 0))
BOTH(subs_ext, ALU(sub_flags)(cpu, N, (word)EXTENDED))

#define CARRY (cpu->nzcv >> 29 & 1)
BOTH(adc, RN + RM + CARRY)
BOTH(sbc, RN + ~RM + CARRY)
BOTH(adcs, ALU(add_flags)(cpu, N, M, CARRY))
BOTH(sbcs, ALU(add_flags)(cpu, N, ~M, CARRY))

ONE(and_imm, RN & op->imm)
BOTH(orr_imm, RN | op->imm)
BOTH(eor_imm, RN ^ op->imm)
BOTH(ands_imm, ALU(logic_flags)(cpu, N &IMM))

ONE(mov_imm, op->imm)
BOTH(mov_reg, RM)
BOTH(movk, (RD & ~(UINT64_C(0xffff) << op->aux)) | op->imm)

/* Bit fields: aux is the shift, imm the mask of the field's width; ra the width. */
ONE(ubfx, RN >> op->aux & op->imm)
ONE(ubfiz, (RN & op->imm) << op->aux)

static inline uint64_t sign_extend(uint64_t value, unsigned width)
{
    return (uint64_t)((int64_t)(value << (64 - width)) >> (64 - width));
}
BOTH(sbfx, sign_extend(RN >> op->aux, op->ra))
BOTH(sbfiz, sign_extend(RN, op->ra) << op->aux)
BOTH(bfxil, (RD & ~op->imm) | (RN >> op->aux & op->imm))
BOTH(bfi, (RD & ~(op->imm << op->aux)) | (RN & op->imm) << op->aux)
BOTH(extr, op->imm ? (M >> op->imm) | (N << (BITS - op->imm)) : M)

#define COND mv_cond_holds(cpu, op->aux)
BOTH(csel, COND ? RN : RM)
BOTH(csinc, COND ? RN : RM + 1)
BOTH(csinv, COND ? RN : ~RM)
BOTH(csneg, COND ? RN : -RM)

/* imm: the flags in the upper half, the immediate in the lower one. */
#define CONDITIONAL_COMPARE(name, compare)                                                         \
    EACH(name, {                                                                                   \
        if (COND)                                                                                  \
            compare;                                                                               \
        else                                                                                       \
            cpu->nzcv = (uint32_t)(op->imm >> 32);                                                 \
    })
CONDITIONAL_COMPARE(ccmp_imm, ALU(sub_flags)(cpu, N, (uint32_t)op->imm))
CONDITIONAL_COMPARE(ccmp_reg, ALU(sub_flags)(cpu, N, M))
CONDITIONAL_COMPARE(ccmn_imm, ALU(add_flags)(cpu, N, (uint32_t)op->imm, 0))
CONDITIONAL_COMPARE(ccmn_reg, ALU(add_flags)(cpu, N, M, 0))

static uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}
BOTH(rbit, reverse_bits(RN) >> (64 - BITS))
#define HIGH_BYTES UINT64_C(0x00ff00ff00ff00ff)
BOTH(rev16, (RN >> 8 & HIGH_BYTES) | (RN & HIGH_BYTES) << 8)
ONE(rev32_x, __builtin_bswap64(RN << 32 | RN >> 32))
BOTH(rev, BITS == 64 ? __builtin_bswap64(RN) : __builtin_bswap32((uint32_t)RN))
BOTH(clz, N ? (BITS == 64 ? __builtin_clzll(RN) : __builtin_clz((uint32_t)RN)) : (int)BITS)
BOTH(cls, (unsigned)__builtin_clrsbll((sword)RN) - (64 - BITS))

/* The smallest number divided by -1 is itself. */
BOTH(udiv, M ? N / M : 0)
BOTH(sdiv, M == 0 ? 0 : M == (word)-1 ? -N : (word)((sword)RN / (sword)RM))

#define AMOUNT (RM & (BITS - 1))
BOTH(lslv, N << AMOUNT)
BOTH(lsrv, N >> AMOUNT)
BOTH(asrv, (sword)RN >> AMOUNT)
BOTH(rorv, ALU(shift)(N, MV_SHIFT_ROR, AMOUNT))

BOTH(madd, RA + RN * RM)
BOTH(msub, RA - RN * RM)
#define SIGNED_PRODUCT   ((uint64_t)((int64_t)(int32_t)RN * (int32_t)RM))
#define UNSIGNED_PRODUCT ((uint64_t)(uint32_t)RN * (uint32_t)RM)
ONE(smaddl, RA + SIGNED_PRODUCT)
ONE(smsubl, RA - SIGNED_PRODUCT)
ONE(umaddl, RA + UNSIGNED_PRODUCT)
ONE(umsubl, RA - UNSIGNED_PRODUCT)
ONE(smulh, (uint64_t)((__int128)(int64_t)RN *(int64_t)RM >> 64))
ONE(umulh, (uint64_t)((unsigned __int128)RN *RM >> 64))

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
