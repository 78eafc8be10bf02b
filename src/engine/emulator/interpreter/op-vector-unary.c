/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of one source register, and of
 * those across its elements (Arm ARM C7.2).
 */
#include "vector.h"

MV_WHOLE_BHSD(vcmgt0, s, n > 0)
MV_WHOLE_BHSD(vcmge0, s, n >= 0)
MV_WHOLE_BHSD(vcmeq0, s, n == 0)
MV_WHOLE_BHSD(vcmle0, s, n <= 0)
MV_WHOLE_BHSD(vcmlt0, s, n < 0)
MV_WHOLE_BHSD(vneg, u, -n)
/* The most negative number is its own absolute value. */
MV_WHOLE_BHSD(vabs, s, (MV_UNSIGNED(n) ^ MV_UNSIGNED(n < 0)) - MV_UNSIGNED(n < 0))
MV_WHOLE(vnot, mv_u64x2, ~n)

static inline mv_u8x16 count_bits(mv_u8x16 v)
{
    v -= v >> 1 & 0x55;
    v = (v & 0x33) + (v >> 2 & 0x33);
    return (v + (v >> 4)) & 0x0f;
}
MV_WHOLE(vcnt, mv_u8x16, count_bits(n))

static inline mv_u8x16 reverse_bits(mv_u8x16 v)
{
    v = (v >> 1 & 0x55) | (v & 0x55) << 1;
    v = (v >> 2 & 0x33) | (v & 0x33) << 2;
    return v >> 4 | v << 4;
}
MV_WHOLE(vrbit, mv_u8x16, reverse_bits(n))

#define LANES(name, narrow, wide, expression)                                                      \
    MV_LANES(name, narrow, wide, narrow, op->aux, expression)
#define N    MV_LANE(const narrow, MV_VN, i)
#define BITS (8 * (int)sizeof(narrow))
MV_EACH_BHS(LANES, vclz, u, N ? __builtin_clz(N) - (32 - BITS) : BITS)
MV_EACH_BHS(LANES, vcls, , __builtin_clrsb(N) - (32 - BITS))

/* Elements in reverse order within containers of so many bits. */
#define REVERSED(container) MV_LANE(narrow, MV_VN, i ^ (container / 8 / sizeof(narrow) - 1))
MV_EACH_BHS(LANES, vrev64, u, REVERSED(64))
LANES(vrev32_8, uint8_t, void, REVERSED(32))
LANES(vrev32_16, uint16_t, void, REVERSED(32))
LANES(vrev16_8, uint8_t, void, REVERSED(16))

/* Sums of neighbours in elements twice as wide. */
#define PAIRS(name, narrow, wide, expression)                                                      \
    MV_LANES(name, narrow, wide, wide, op->aux / 2, expression)
#define HALF_N(i) (uint64_t) MV_LANE(narrow, MV_VN, i)
#define SUM       (HALF_N(2 * i) + HALF_N(2 * i + 1))
MV_EACH_SU(MV_EACH_BHS, PAIRS, addlp, SUM)
MV_EACH_SU(MV_EACH_BHS, PAIRS, adalp, (uint64_t)MV_LANE(wide, MV_VD, i) + SUM)

/*
 * Narrowing.  The count of elements is op->aux, one in scalar forms; where there
 * are none, a constant lets the compiler do all at once.
 */
#define NARROW(name, narrow, wide, expression) MV_NARROW(name, narrow, wide, op->aux, expression)
#define NARROW_ALL(name, narrow, wide, expression)                                                 \
    MV_NARROW(name, narrow, wide, 8 / sizeof(narrow), expression)
#define WIDE_N MV_LANE(const wide, MV_VN, i)
MV_EACH_BHS(NARROW_ALL, vxtn, u, WIDE_N)
MV_EACH_BHS(NARROW, vsqxtn, , mv_saturate_signed(cpu, WIDE_N, BITS))
MV_EACH_BHS(NARROW, vsqxtun, , mv_saturate_unsigned(cpu, WIDE_N, BITS))
MV_EACH_BHS(NARROW, vuqxtn, u, mv_saturate_unsigned(cpu, WIDE_N, BITS))

/* The same of a value shifted right, by the field rm (1 to the narrow width). */
#define SHIFTED mv_shift_signed(WIDE_N, -op->rm, false)
#define ROUNDED mv_shift_signed(WIDE_N, -op->rm, true)
MV_EACH_BHS(NARROW_ALL, vshrn, u, WIDE_N >> op->rm)
MV_EACH_BHS(NARROW_ALL, vrshrn, u, ROUNDED)
MV_EACH_BHS(NARROW, vsqshrn, , mv_saturate_signed(cpu, SHIFTED, BITS))
MV_EACH_BHS(NARROW, vsqrshrn, , mv_saturate_signed(cpu, ROUNDED, BITS))
MV_EACH_BHS(NARROW, vsqshrun, , mv_saturate_unsigned(cpu, SHIFTED, BITS))
MV_EACH_BHS(NARROW, vsqrshrun, , mv_saturate_unsigned(cpu, ROUNDED, BITS))
MV_EACH_BHS(NARROW, vuqshrn, u, mv_saturate_unsigned(cpu, SHIFTED, BITS))
MV_EACH_BHS(NARROW, vuqrshrn, u, mv_saturate_unsigned(cpu, ROUNDED, BITS))

/* Widening and a shift left, by the field rm (0 to the narrow width). */
#define WIDEN(name, narrow, wide, expression)                                                      \
    MV_LANES(name, narrow, wide, wide, 8 / sizeof(narrow), expression)
MV_EACH_SU(MV_EACH_BHS, WIDEN, shll, (uint64_t)MV_LANE(narrow, &MV_VN->d[op->ra], i) << op->rm)

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
#define ACROSS_SAME(name, type, wide, combine) ACROSS(name, type, type, combine)
MV_EACH_BHS(ACROSS_SAME, vaddv, u, r + n)
MV_EACH_SU(MV_EACH_BHS, ACROSS_SAME, maxv, n > r ? n : r)
MV_EACH_SU(MV_EACH_BHS, ACROSS_SAME, minv, n < r ? n : r)
MV_EACH_SU(MV_EACH_BHS, ACROSS, addlv, r + n)
