/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD shifts by an immediate that keep the element size, and of
 * immediates (Arm ARM C7.2).  The field rm is the amount: 1 to the element's
 * width to the right, 0 to one less than it to the left.
 */
#include "vector.h"

#define WHOLE(name, type, expression)                                                              \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        enum { BITS = 8 * sizeof(((type){0})[0]) };                                                \
        const type n = *(const type *)MV_VN, d = *(const type *)MV_VD;                             \
        const unsigned amount = op->rm;                                                            \
        (void)n, (void)d, (void)amount;                                                            \
        mv_vector_set(cpu, op, (mv_u64x2)(expression));                                            \
        MV_NEXT;                                                                                   \
    }
#define WHOLE_BHSD(name, sign, expression) MV_EACH_BHSD(WHOLE, name, sign, expression)

/* C has no shift by the whole width, so shift in two steps. */
#define SHIFTED (n >> (amount - 1) >> 1)
/* Rounding adds the last bit that is shifted out. */
#define ROUNDED (SHIFTED + (n >> (amount - 1) & 1))
/* Sums wrap. */
#define UNSIGNED(v)                                                                                \
    _Generic((v), mv_s8x16: (mv_u8x16)(v), mv_s16x8: (mv_u16x8)(v), mv_s32x4: (mv_u32x4)(v),       \
             default: (mv_u64x2)(v))
WHOLE_BHSD(vsshr, s, SHIFTED)
WHOLE_BHSD(vushr, u, SHIFTED)
WHOLE_BHSD(vsrshr, s, ROUNDED)
WHOLE_BHSD(vurshr, u, ROUNDED)
WHOLE_BHSD(vssra, s, UNSIGNED(d) + UNSIGNED(SHIFTED))
WHOLE_BHSD(vusra, u, d + SHIFTED)
WHOLE_BHSD(vsrsra, s, UNSIGNED(d) + UNSIGNED(ROUNDED))
WHOLE_BHSD(vursra, u, d + ROUNDED)
WHOLE_BHSD(vshl, u, n << amount)

/* The bits of an element that a shift of all-ones does not reach stay. */
#define ONES (UINT64_MAX >> (64 - BITS))
#define INSERT(mask, value) ((d & (__typeof__(d[0]))~(mask)) | (value))
WHOLE_BHSD(vsli, u, INSERT(ONES << amount, n << amount))
WHOLE_BHSD(vsri, u, INSERT(ONES >> (amount - 1) >> 1, SHIFTED))

/* The immediate, 64 bits twice; the mask of the upper half is in aux (0, 1). */
#define IMMEDIATE ((mv_u64x2){op->imm, op->aux ? op->imm : 0})
#define UPPER ((mv_u64x2){UINT64_MAX, op->aux ? UINT64_MAX : 0})
MV_OP(vmovi)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = IMMEDIATE;
    MV_NEXT;
}
MV_OP(vorr_imm)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = (*(mv_u64x2 *)MV_VD & UPPER) | IMMEDIATE;
    MV_NEXT;
}
MV_OP(vbic_imm)
{
    MV_CHECK_FP;
    *(mv_u64x2 *)MV_VD = *(mv_u64x2 *)MV_VD & UPPER & ~IMMEDIATE;
    MV_NEXT;
}
