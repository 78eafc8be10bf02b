/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of one source register, and of
 * those across its elements (Arm ARM C7.2).
 */
#include "vector.h"

/* One expression over the whole register. */
#define WHOLE(name, type, expression)                                                              \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const type n = *(const type *)MV_VN;                                                       \
        mv_vector_set(cpu, op, (mv_u64x2)(expression));                                            \
        MV_NEXT;                                                                                   \
    }
#define WHOLE_BHSD(name, sign, expression) MV_EACH_BHSD(WHOLE, name, sign, expression)

WHOLE_BHSD(vcmgt0, s, n > 0)
WHOLE_BHSD(vcmge0, s, n >= 0)
WHOLE_BHSD(vcmeq0, s, n == 0)
WHOLE_BHSD(vcmle0, s, n <= 0)
WHOLE_BHSD(vcmlt0, s, n < 0)
WHOLE_BHSD(vneg, u, -n)
/* The most negative number is its own absolute value. */
#define ABSOLUTE(name, lanes)                                                                      \
    WHOLE(name, mv_s##lanes, ((mv_u##lanes)n ^ (mv_u##lanes)(n < 0)) - (mv_u##lanes)(n < 0))
ABSOLUTE(vabs_8, 8x16)
ABSOLUTE(vabs_16, 16x8)
ABSOLUTE(vabs_32, 32x4)
ABSOLUTE(vabs_64, 64x2)
WHOLE(vnot, mv_u64x2, ~n)

static inline mv_u8x16 count_bits(mv_u8x16 v)
{
    v -= v >> 1 & 0x55;
    v = (v & 0x33) + (v >> 2 & 0x33);
    return (v + (v >> 4)) & 0x0f;
}
WHOLE(vcnt, mv_u8x16, count_bits(n))

static inline mv_u8x16 reverse_bits(mv_u8x16 v)
{
    v = (v >> 1 & 0x55) | (v & 0x55) << 1;
    v = (v >> 2 & 0x33) | (v & 0x33) << 2;
    return v >> 4 | v << 4;
}
WHOLE(vrbit, mv_u8x16, reverse_bits(n))

/* One expression over elements; the upper ones of a 64-bit form stay zero. */
#define LANES(name, type, expression)                                                              \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++) {                                                   \
            const type n = MV_LANE(const type, MV_VN, i);                                          \
            MV_LANE(type, &result, i) = (type)(expression);                                        \
        }                                                                                          \
        *MV_VD = result;                                                                           \
    }
#define CLZ(bits) (n ? __builtin_clz(n) - (32 - (bits)) : (bits))
#define CLS(bits) (__builtin_clrsb(n) - (32 - (bits)))
LANES(vclz_8, uint8_t, CLZ(8))
LANES(vclz_16, uint16_t, CLZ(16))
LANES(vclz_32, uint32_t, CLZ(32))
LANES(vcls_8, int8_t, CLS(8))
LANES(vcls_16, int16_t, CLS(16))
LANES(vcls_32, int32_t, CLS(32))

/* Elements in reverse order within containers of 1 << log of them. */
#define REVERSE(name, type, container)                                                             \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(type, &result, i) =                                                            \
                MV_LANE(type, MV_VN, i ^ (container / 8 / sizeof(type) - 1));                      \
        *MV_VD = result;                                                                           \
    }
REVERSE(vrev64_8, uint8_t, 64)
REVERSE(vrev64_16, uint16_t, 64)
REVERSE(vrev64_32, uint32_t, 64)
REVERSE(vrev32_8, uint8_t, 32)
REVERSE(vrev32_16, uint16_t, 32)
REVERSE(vrev16_8, uint8_t, 16)

/* Sums of neighbours in elements twice as wide. */
#define PAIRS(name, narrow, wide, addend)                                                          \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux / 2; i++)                                                 \
            MV_LANE(wide, &result, i) =                                                            \
                (wide)((uint64_t)(addend) + (uint64_t)MV_LANE(narrow, MV_VN, 2 * i) +              \
                       (uint64_t)MV_LANE(narrow, MV_VN, 2 * i + 1));                               \
        *MV_VD = result;                                                                           \
    }
#define PAIRS_BHS(letter, sign)                                                                    \
    PAIRS(v##letter##addlp_8, sign##int8_t, sign##int16_t, 0)                                      \
    PAIRS(v##letter##addlp_16, sign##int16_t, sign##int32_t, 0)                                    \
    PAIRS(v##letter##addlp_32, sign##int32_t, sign##int64_t, 0)                                    \
    PAIRS(v##letter##adalp_8, sign##int8_t, sign##int16_t, MV_VD->h[i])                            \
    PAIRS(v##letter##adalp_16, sign##int16_t, sign##int32_t, MV_VD->s[i])                          \
    PAIRS(v##letter##adalp_32, sign##int32_t, sign##int64_t, MV_VD->d[i])
PAIRS_BHS(s, )
PAIRS_BHS(u, u)

/*
 * Narrowing.  The count of elements is op->aux, one in scalar forms; where there
 * are none, a constant lets the compiler do all at once.
 */
#define NARROW(name, wide, narrow, count, expression)                                              \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        uint64_t half = 0;                                                                         \
        for (unsigned i = 0; i < (count); i++) {                                                   \
            const wide n = MV_LANE(const wide, MV_VN, i);                                          \
            MV_LANE(narrow, &half, i) = (narrow)(expression);                                      \
        }                                                                                          \
        mv_vector_set_half(cpu, op, half);                                                         \
    }
#define NARROW_BHS(name, sign, expression)                                                         \
    NARROW(name##_8, sign##int16_t, uint8_t, op->aux, expression)                                  \
    NARROW(name##_16, sign##int32_t, uint16_t, op->aux, expression)                                \
    NARROW(name##_32, sign##int64_t, uint32_t, op->aux, expression)
#define NARROW_ALL(name, expression)                                                               \
    NARROW(name##_8, uint16_t, uint8_t, 8, expression)                                             \
    NARROW(name##_16, uint32_t, uint16_t, 4, expression)                                           \
    NARROW(name##_32, uint64_t, uint32_t, 2, expression)
NARROW_ALL(vxtn, n)
/* The narrow type is half as wide as n. */
#define BITS (4 * sizeof n)
NARROW_BHS(vsqxtn, , mv_saturate_signed(cpu, n, BITS))
NARROW_BHS(vsqxtun, , mv_saturate_unsigned(cpu, n, BITS))
NARROW_BHS(vuqxtn, u, mv_saturate_unsigned(cpu, n, BITS))

/* The same of a value shifted right, by the field rm (1 to the narrow width). */
#define SHIFTED mv_shift_signed(n, -op->rm, false)
#define ROUNDED mv_shift_signed(n, -op->rm, true)
NARROW_ALL(vshrn, n >> op->rm)
NARROW_ALL(vrshrn, ROUNDED)
NARROW_BHS(vsqshrn, , mv_saturate_signed(cpu, SHIFTED, BITS))
NARROW_BHS(vsqrshrn, , mv_saturate_signed(cpu, ROUNDED, BITS))
NARROW_BHS(vsqshrun, , mv_saturate_unsigned(cpu, SHIFTED, BITS))
NARROW_BHS(vsqrshrun, , mv_saturate_unsigned(cpu, ROUNDED, BITS))
NARROW_BHS(vuqshrn, u, mv_saturate_unsigned(cpu, SHIFTED, BITS))
NARROW_BHS(vuqrshrn, u, mv_saturate_unsigned(cpu, ROUNDED, BITS))

/* Widening and a shift left, by the field rm (0 to the narrow width). */
#define WIDEN(name, narrow, wide)                                                                  \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result;                                                                      \
        for (unsigned i = 0; i < 8 / sizeof(narrow); i++)                                          \
            MV_LANE(wide, &result, i) =                                                            \
                (wide)((uint64_t)MV_LANE(narrow, &MV_VN->d[op->ra], i) << op->rm);                 \
        *MV_VD = result;                                                                           \
    }
WIDEN(vsshll_8, int8_t, int16_t)
WIDEN(vsshll_16, int16_t, int32_t)
WIDEN(vsshll_32, int32_t, int64_t)
WIDEN(vushll_8, uint8_t, uint16_t)
WIDEN(vushll_16, uint16_t, uint32_t)
WIDEN(vushll_32, uint32_t, uint64_t)

/* Across all elements; the result is a scalar. */
#define ACROSS(name, type, result_type, combine)                                                   \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        result_type r = MV_LANE(const type, MV_VN, 0);                                             \
        for (unsigned i = 1; i < op->aux; i++) {                                                   \
            const type n = MV_LANE(const type, MV_VN, i);                                          \
            r = (result_type)(combine);                                                            \
        }                                                                                          \
        *(mv_u64x2 *)MV_VD = (mv_u64x2){0, 0};                                                     \
        MV_LANE(result_type, MV_VD, 0) = r;                                                        \
    }
#define ACROSS_BHS(name, sign, combine)                                                            \
    ACROSS(name##_8, sign##int8_t, sign##int8_t, combine)                                          \
    ACROSS(name##_16, sign##int16_t, sign##int16_t, combine)                                       \
    ACROSS(name##_32, sign##int32_t, sign##int32_t, combine)
#define ACROSS_LONG(name, sign)                                                                    \
    ACROSS(name##_8, sign##int8_t, sign##int16_t, r + n)                                           \
    ACROSS(name##_16, sign##int16_t, sign##int32_t, r + n)                                         \
    ACROSS(name##_32, sign##int32_t, sign##int64_t, r + n)
ACROSS_BHS(vaddv, u, r + n)
ACROSS_BHS(vsmaxv, , n > r ? n : r)
ACROSS_BHS(vsminv, , n < r ? n : r)
ACROSS_BHS(vumaxv, u, n > r ? n : r)
ACROSS_BHS(vuminv, u, n < r ? n : r)
ACROSS_LONG(vsaddlv, )
ACROSS_LONG(vuaddlv, u)
