/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions, vector and scalar, that saturate or
 * shift and keep the element size, and of immediates (Arm ARM C7.2).
 */
#include "vector.h"

/*
 * One expression over elements, one by one: only elements that exist may set
 * FPSR.QC.  N and M are wide enough to exceed the type before it saturates.
 */
#define LANES(name, narrow, wide, expression)                                                      \
    MV_LANES(name, narrow, wide, narrow, op->aux, expression)
#define LARGER(v)                                                                                  \
    _Generic((v), int64_t : (__int128)(v), uint64_t : (__int128)(v), default : (int64_t)(v))
#define N         LARGER(MV_LANE(narrow, MV_VN, i))
#define M         LARGER(MV_LANE(narrow, MV_VM, i))
#define M_ELEMENT LARGER(MV_LANE(narrow, MV_VM, op->ra))
#define BITS      (8 * sizeof(narrow))
#define QS(value) mv_saturate_signed(cpu, value, BITS)
#define QU(value) mv_saturate_unsigned(cpu, value, BITS)

MV_EACH_BHSD(LANES, vsqadd, , QS(N + M))
MV_EACH_BHSD(LANES, vuqadd, u, QU(N + M))
MV_EACH_BHSD(LANES, vsqsub, , QS(N - M))
MV_EACH_BHSD(LANES, vuqsub, u, QU(N - M))
MV_EACH_BHSD(LANES, vsqabs, , QS(N < 0 ? -N : N))
MV_EACH_BHSD(LANES, vsqneg, , QS(-N))

/* The accumulating ones: n and d differ in signedness. */
#define ACCUMULATE(name, type_n, type_d, saturate)                                                 \
    MV_LANES(name, type_d, void, type_d, op->aux,                                                  \
             saturate((__int128)MV_LANE(type_n, MV_VN, i) + MV_LANE(type_d, MV_VD, i)))
#define ACCUMULATE_BHSD(name, sign_n, sign_d, saturate)                                            \
    ACCUMULATE(name##_8, sign_n##int8_t, sign_d##int8_t, saturate)                                 \
    ACCUMULATE(name##_16, sign_n##int16_t, sign_d##int16_t, saturate)                              \
    ACCUMULATE(name##_32, sign_n##int32_t, sign_d##int32_t, saturate)                              \
    ACCUMULATE(name##_64, sign_n##int64_t, sign_d##int64_t, saturate)
ACCUMULATE_BHSD(vsuqadd, u, , QS)
ACCUMULATE_BHSD(vusqadd, , u, QU)

/* Doubled products, upper half. */
#define HIGH_PRODUCT(m, rounding) QS((2 * (__int128)N * (m) + (rounding)) >> BITS)
#define ROUNDING                  ((int64_t)1 << (BITS - 1))
MV_EACH_HS(LANES, vsqdmulh, , HIGH_PRODUCT(M, 0))
MV_EACH_HS(LANES, vsqrdmulh, , HIGH_PRODUCT(M, ROUNDING))
MV_EACH_HS(LANES, vsqdmulh_el, , HIGH_PRODUCT(M_ELEMENT, 0))
MV_EACH_HS(LANES, vsqrdmulh_el, , HIGH_PRODUCT(M_ELEMENT, ROUNDING))

/* Shifts by the signed lowest byte of m, or by an immediate, the field rm. */
#define AMOUNT ((int8_t)M)
MV_EACH_SU(MV_EACH_BHSD, LANES, shl, mv_shift_signed(N, AMOUNT, false))
MV_EACH_SU(MV_EACH_BHSD, LANES, rshl, mv_shift_signed(N, AMOUNT, true))
MV_EACH_BHSD(LANES, vsqshl, , QS(mv_shift_signed(N, AMOUNT, false)))
MV_EACH_BHSD(LANES, vuqshl, u, QU(mv_shift_unsigned(N, AMOUNT, false)))
MV_EACH_BHSD(LANES, vsqrshl, , QS(mv_shift_signed(N, AMOUNT, true)))
MV_EACH_BHSD(LANES, vuqrshl, u, QU(mv_shift_unsigned(N, AMOUNT, true)))
MV_EACH_BHSD(LANES, vsqshl_imm, , QS(mv_shift_signed(N, op->rm, false)))
MV_EACH_BHSD(LANES, vuqshl_imm, u, QU(mv_shift_unsigned(N, op->rm, false)))
MV_EACH_BHSD(LANES, vsqshlu_imm, , QU(mv_shift_unsigned(N, op->rm, false)))

/*
 * By an immediate, without saturation: 1 to the width to the right, 0 to one less to
 * the left.  C has no shift by the whole width, so shift in two steps.
 */
#define SHIFTED (n >> (op->rm - 1) >> 1)
/* Rounding adds the last bit that is shifted out. */
#define ROUNDED (SHIFTED + (n >> (op->rm - 1) & 1))
MV_WHOLE_SU(MV_WHOLE_BHSD, shr, SHIFTED)
MV_WHOLE_SU(MV_WHOLE_BHSD, rshr, ROUNDED)
MV_WHOLE_SU(MV_WHOLE_BHSD, sra, MV_UNSIGNED(d) + MV_UNSIGNED(SHIFTED))
MV_WHOLE_SU(MV_WHOLE_BHSD, rsra, MV_UNSIGNED(d) + MV_UNSIGNED(ROUNDED))
MV_WHOLE_BHSD(vshl, u, n << op->rm)

/* The bits of an element that a shift of all-ones does not reach stay. */
#define ONES                (UINT64_MAX >> (64 - 8 * sizeof(n[0])))
#define INSERT(mask, value) ((d & (__typeof__(d[0]))~(mask)) | (value))
MV_WHOLE_BHSD(vsli, u, INSERT(ONES << op->rm, n << op->rm))
MV_WHOLE_BHSD(vsri, u, INSERT(ONES >> (op->rm - 1) >> 1, SHIFTED))

/* The immediate, 64 bits twice; the mask of the upper half is in aux (0, 1). */
#define IMMEDIATE ((mv_u64x2){op->imm, op->aux ? op->imm : 0})
#define UPPER     ((mv_u64x2){UINT64_MAX, op->aux ? UINT64_MAX : 0})
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
