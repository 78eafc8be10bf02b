/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of three registers of one element
 * size that neither saturate nor shift (Arm ARM C7.2).
 */
#include "vector.h"

/* One expression over whole registers: n, m and the old destination d. */
#define WHOLE(name, type, expression)                                                              \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const type n = *(const type *)MV_VN, m = *(const type *)MV_VM;                             \
        const type d = *(const type *)MV_VD;                                                       \
        (void)d;                                                                                   \
        mv_vector_set(cpu, op, (mv_u64x2)(expression));                                            \
        MV_NEXT;                                                                                   \
    }
#define WHOLE_BHS(name, sign, expression) MV_EACH_BHS(WHOLE, name, sign, expression)
#define WHOLE_BHSD(name, sign, expression) MV_EACH_BHSD(WHOLE, name, sign, expression)

/* a where the comparison's mask is set, else b. */
#define SELECT(mask, a, b) (((a) & (__typeof__(a))(mask)) | ((b) & ~(__typeof__(a))(mask)))

WHOLE(vand, mv_u64x2, n &m)
WHOLE(vbic, mv_u64x2, n & ~m)
WHOLE(vorr, mv_u64x2, n | m)
WHOLE(vorn, mv_u64x2, n | ~m)
WHOLE(veor, mv_u64x2, n ^ m)
WHOLE(vbsl, mv_u64x2, m ^ ((n ^ m) & d))
WHOLE(vbit, mv_u64x2, d ^ ((d ^ n) & m))
WHOLE(vbif, mv_u64x2, d ^ ((d ^ n) & ~m))

WHOLE_BHSD(vadd, u, n + m)
WHOLE_BHSD(vsub, u, n - m)
WHOLE_BHS(vmul, u, n *m)
WHOLE_BHS(vmla, u, d + n * m)
WHOLE_BHS(vmls, u, d - n * m)

WHOLE_BHSD(vcmgt, s, n > m)
WHOLE_BHSD(vcmge, s, n >= m)
WHOLE_BHSD(vcmhi, u, n > m)
WHOLE_BHSD(vcmhs, u, n >= m)
WHOLE_BHSD(vcmeq, u, n == m)
WHOLE_BHSD(vcmtst, u, (n & m) != 0)

WHOLE_BHS(vsmax, s, SELECT(n > m, n, m))
WHOLE_BHS(vsmin, s, SELECT(n < m, n, m))
WHOLE_BHS(vumax, u, SELECT(n > m, n, m))
WHOLE_BHS(vumin, u, SELECT(n < m, n, m))

/* The difference in the unsigned type, where it cannot overflow. */
#define DIFFERENCE(sign, count)                                                                    \
    SELECT(n > m, (mv_u##count)n - (mv_u##count)m, (mv_u##count)m - (mv_u##count)n)
#define ABSOLUTE(name, sign, accumulate)                                                           \
    WHOLE(name##_8, mv_##sign##8x16, accumulate(mv_u8x16) DIFFERENCE(sign, 8x16))                  \
    WHOLE(name##_16, mv_##sign##16x8, accumulate(mv_u16x8) DIFFERENCE(sign, 16x8))                 \
    WHOLE(name##_32, mv_##sign##32x4, accumulate(mv_u32x4) DIFFERENCE(sign, 32x4))
#define ALONE(type)
#define ADDED(type) (type) d +
ABSOLUTE(vsabd, s, ALONE)
ABSOLUTE(vuabd, u, ALONE)
ABSOLUTE(vsaba, s, ADDED)
ABSOLUTE(vuaba, u, ADDED)

/* Halving without the bit that a sum has more than its operands. */
WHOLE_BHS(vshadd, s, (n & m) + ((n ^ m) >> 1))
WHOLE_BHS(vuhadd, u, (n & m) + ((n ^ m) >> 1))
WHOLE_BHS(vsrhadd, s, (n | m) - ((n ^ m) >> 1))
WHOLE_BHS(vurhadd, u, (n | m) - ((n ^ m) >> 1))
WHOLE_BHS(vshsub, s, (n >> 1) - (m >> 1) - (~n & m & 1))
WHOLE_BHS(vuhsub, u, (n >> 1) - (m >> 1) - (~n & m & 1))

/* Polynomials over {0,1}, element by element: bit i of n selects m << i. */
WHOLE(vpmul_8, mv_u8x16,
      (m & -(n & 1)) ^ ((m << 1) & -(n >> 1 & 1)) ^ ((m << 2) & -(n >> 2 & 1)) ^
          ((m << 3) & -(n >> 3 & 1)) ^ ((m << 4) & -(n >> 4 & 1)) ^ ((m << 5) & -(n >> 5 & 1)) ^
          ((m << 6) & -(n >> 6 & 1)) ^ ((m << 7) & -(n >> 7 & 1)))

/*
 * Pairs of neighbours: of n into the lower half of the result, of m into the
 * upper one.  The element count is a constant in each branch for the sake of
 * the compiler's vectoriser.
 */
#define PAIRWISE(name, type, expression)                                                           \
    static inline void name##_pairs(union mv_vreg *ret, const union mv_vreg *n,                    \
                                    const union mv_vreg *m, unsigned half)                         \
    {                                                                                              \
        for (unsigned i = 0; i < half; i++) {                                                      \
            type a = MV_LANE(const type, n, 2 * i), b = MV_LANE(const type, n, 2 * i + 1);         \
            MV_LANE(type, ret, i) = (type)(expression);                                            \
            a = MV_LANE(const type, m, 2 * i);                                                     \
            b = MV_LANE(const type, m, 2 * i + 1);                                                 \
            MV_LANE(type, ret, half + i) = (type)(expression);                                     \
        }                                                                                          \
    }                                                                                              \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result;                                                                      \
        result.d[1] = 0;                                                                           \
        if (op->imm)                                                                               \
            name##_pairs(&result, MV_VN, MV_VM, 8 / sizeof(type));                                 \
        else                                                                                       \
            name##_pairs(&result, MV_VN, MV_VM, 4 / sizeof(type));                                 \
        *MV_VD = result;                                                                           \
    }
#define PAIRWISE_BHS(name, sign, expression)                                                       \
    PAIRWISE(name##_8, sign##int8_t, expression)                                                   \
    PAIRWISE(name##_16, sign##int16_t, expression)                                                 \
    PAIRWISE(name##_32, sign##int32_t, expression)
PAIRWISE_BHS(vaddp, u, a + b)
PAIRWISE_BHS(vsmaxp, , a > b ? a : b)
PAIRWISE_BHS(vsminp, , a < b ? a : b)
PAIRWISE_BHS(vumaxp, u, a > b ? a : b)
PAIRWISE_BHS(vuminp, u, a < b ? a : b)

MV_OP(vaddp_64)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = (mv_u64x2){MV_VN->d[0] + MV_VN->d[1], MV_VM->d[0] + MV_VM->d[1]};
    MV_NEXT;
}

MV_OP(addp_scalar)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = (mv_u64x2){MV_VN->d[0] + MV_VN->d[1], 0};
    MV_NEXT;
}
