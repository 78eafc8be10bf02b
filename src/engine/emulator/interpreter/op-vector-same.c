/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of three registers of one element
 * size that neither saturate nor shift (Arm ARM C7.2).
 */
#include "vector.h"

#define M (*(const vector *)MV_VM)

/* a where the comparison's mask is set, else b. */
#define SELECT(mask, a, b) (((a) & (__typeof__(a))(mask)) | ((b) & ~(__typeof__(a))(mask)))

MV_WHOLE(vand, mv_u64x2, n &M)
MV_WHOLE(vbic, mv_u64x2, n & ~M)
MV_WHOLE(vorr, mv_u64x2, n | M)
MV_WHOLE(vorn, mv_u64x2, n | ~M)
MV_WHOLE(veor, mv_u64x2, n ^ M)
MV_WHOLE(vbsl, mv_u64x2, M ^ ((n ^ M) & d))
MV_WHOLE(vbit, mv_u64x2, d ^ ((d ^ n) & M))
MV_WHOLE(vbif, mv_u64x2, d ^ ((d ^ n) & ~M))

MV_WHOLE_BHSD(vadd, u, n + M)
MV_WHOLE_BHSD(vsub, u, n - M)
MV_WHOLE_BHS(vmul, u, n *M)
MV_WHOLE_BHS(vmla, u, d + n * M)
MV_WHOLE_BHS(vmls, u, d - n * M)

MV_WHOLE_BHSD(vcmgt, s, n > M)
MV_WHOLE_BHSD(vcmge, s, n >= M)
MV_WHOLE_BHSD(vcmhi, u, n > M)
MV_WHOLE_BHSD(vcmhs, u, n >= M)
MV_WHOLE_BHSD(vcmeq, u, n == M)
MV_WHOLE_BHSD(vcmtst, u, (n & M) != 0)

MV_WHOLE_SU(MV_WHOLE_BHS, max, SELECT(n > M, n, M))
MV_WHOLE_SU(MV_WHOLE_BHS, min, SELECT(n < M, n, M))

/* The difference in the unsigned type, where it cannot overflow. */
#define DIFFERENCE SELECT(n > M, MV_UNSIGNED(n) - MV_UNSIGNED(M), MV_UNSIGNED(M) - MV_UNSIGNED(n))
MV_WHOLE_SU(MV_WHOLE_BHS, abd, DIFFERENCE)
MV_WHOLE_SU(MV_WHOLE_BHS, aba, MV_UNSIGNED(d) + DIFFERENCE)

/* Halving without the bit that a sum has more than its operands. */
MV_WHOLE_SU(MV_WHOLE_BHS, hadd, (n & M) + ((n ^ M) >> 1))
MV_WHOLE_SU(MV_WHOLE_BHS, rhadd, (n | M) - ((n ^ M) >> 1))
MV_WHOLE_SU(MV_WHOLE_BHS, hsub, (n >> 1) - (M >> 1) - (~n & M & 1))

/* Polynomials over {0,1}, element by element: bit i of n selects m << i. */
#define TERM(i) (M << (i) & -(n >> (i)&1))
MV_WHOLE(vpmul_8, mv_u8x16,
         TERM(0) ^ TERM(1) ^ TERM(2) ^ TERM(3) ^ TERM(4) ^ TERM(5) ^ TERM(6) ^ TERM(7))

/*
 * Pairs of neighbours: of n into the lower half of the result, of m into the
 * upper one.  The element count is a constant in each branch for the sake of
 * the compiler's vectoriser.
 */
#define PAIRWISE(name, type, wide, expression)                                                     \
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
MV_EACH_BHSD(PAIRWISE, vaddp, u, a + b)
MV_EACH_SU(MV_EACH_BHS, PAIRWISE, maxp, a > b ? a : b)
MV_EACH_SU(MV_EACH_BHS, PAIRWISE, minp, a < b ? a : b)

MV_OP(addp_scalar)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = (mv_u64x2){MV_VN->d[0] + MV_VN->d[1], 0};
    MV_NEXT;
}
