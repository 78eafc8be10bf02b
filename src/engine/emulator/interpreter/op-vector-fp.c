/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD floating point, vector and scalar (Arm ARM C7.2).  They
 * go element by element, since only elements that exist may set FPSR.  The
 * arithmetic itself is fp.h's.
 */
#include "fp.h"
#include "vector.h"

#define ENV (&cpu->fp)

/* One expression over elements i, for single and for double precision. */
#define LANES(name, type, expression)                                                              \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(type, &result, i) = (type)(expression);                                        \
        *MV_VD = result;                                                                           \
    }
#define BOTH(name, expression_s, expression_d)                                                     \
    LANES(name##_32, uint32_t, expression_s) LANES(name##_64, uint64_t, expression_d)

#define SN MV_VN->s[i]
#define SM MV_VM->s[i]
#define SD MV_VD->s[i]
#define DN MV_VN->d[i]
#define DM MV_VM->d[i]
#define DD MV_VD->d[i]
/* The one element of the second operand, by element. */
#define SM_EL MV_VM->s[op->ra]
#define DM_EL MV_VM->d[op->ra]

#define TWO_OPERANDS(name, function)                                                               \
    BOTH(name, mv_fp32_##function(SN, SM, ENV), mv_fp64_##function(DN, DM, ENV))
TWO_OPERANDS(vfadd, add)
TWO_OPERANDS(vfsub, sub)
TWO_OPERANDS(vfmul, mul)
TWO_OPERANDS(vfmulx, mulx)
TWO_OPERANDS(vfdiv, div)
TWO_OPERANDS(vfmax, max)
TWO_OPERANDS(vfmin, min)
TWO_OPERANDS(vfmaxnm, maxnm)
TWO_OPERANDS(vfminnm, minnm)
TWO_OPERANDS(vfrecps, recps)
TWO_OPERANDS(vfrsqrts, rsqrts)
BOTH(vfabd, mv_fp32_abs(mv_fp32_sub(SN, SM, ENV)), mv_fp64_abs(mv_fp64_sub(DN, DM, ENV)))
BOTH(vfmla, mv_fp32_muladd(SD, SN, SM, ENV), mv_fp64_muladd(DD, DN, DM, ENV))
BOTH(vfmls, mv_fp32_muladd(SD, mv_fp32_neg(SN), SM, ENV),
     mv_fp64_muladd(DD, mv_fp64_neg(DN), DM, ENV))

BOTH(vfmul_el, mv_fp32_mul(SN, SM_EL, ENV), mv_fp64_mul(DN, DM_EL, ENV))
BOTH(vfmulx_el, mv_fp32_mulx(SN, SM_EL, ENV), mv_fp64_mulx(DN, DM_EL, ENV))
BOTH(vfmla_el, mv_fp32_muladd(SD, SN, SM_EL, ENV), mv_fp64_muladd(DD, DN, DM_EL, ENV))
BOTH(vfmls_el, mv_fp32_muladd(SD, mv_fp32_neg(SN), SM_EL, ENV),
     mv_fp64_muladd(DD, mv_fp64_neg(DN), DM_EL, ENV))

/* FPCompareEQ, GE, GT: all ones where it holds.  EQ alone is quiet. */
enum { EQUAL = 6, GREATER = 2 };
#define MASK(condition) (-(uint64_t)(condition))
#define COMPARE(name, signal, holds, sa, sb, da, db)                                               \
    LANES(name##_32, uint32_t, MASK(holds(mv_fp32_cmp(sa, sb, signal, ENV))))                      \
    LANES(name##_64, uint64_t, MASK(holds(mv_fp64_cmp(da, db, signal, ENV))))
static inline bool is_equal(unsigned nzcv)
{
    return nzcv == EQUAL;
}
static inline bool is_greater(unsigned nzcv)
{
    return nzcv == GREATER;
}
static inline bool is_greater_or_equal(unsigned nzcv)
{
    return nzcv == GREATER || nzcv == EQUAL;
}
#define SN_ABS mv_fp32_abs(SN)
#define SM_ABS mv_fp32_abs(SM)
#define DN_ABS mv_fp64_abs(DN)
#define DM_ABS mv_fp64_abs(DM)
COMPARE(vfcmeq, false, is_equal, SN, SM, DN, DM)
COMPARE(vfcmge, true, is_greater_or_equal, SN, SM, DN, DM)
COMPARE(vfcmgt, true, is_greater, SN, SM, DN, DM)
COMPARE(vfacge, true, is_greater_or_equal, SN_ABS, SM_ABS, DN_ABS, DM_ABS)
COMPARE(vfacgt, true, is_greater, SN_ABS, SM_ABS, DN_ABS, DM_ABS)
COMPARE(vfcmeq0, false, is_equal, SN, 0, DN, 0)
COMPARE(vfcmge0, true, is_greater_or_equal, SN, 0, DN, 0)
COMPARE(vfcmgt0, true, is_greater, SN, 0, DN, 0)
COMPARE(vfcmle0, true, is_greater_or_equal, 0, SN, 0, DN)
COMPARE(vfcmlt0, true, is_greater, 0, SN, 0, DN)

#define ONE_OPERAND(name, function)                                                                \
    BOTH(name, mv_fp32_##function(SN, ENV), mv_fp64_##function(DN, ENV))
ONE_OPERAND(vfsqrt, sqrt)
ONE_OPERAND(vfrecpe, recpe)
ONE_OPERAND(vfrsqrte, rsqrte)
ONE_OPERAND(frecpx, recpx)
BOTH(vfabs, mv_fp32_abs(SN), mv_fp64_abs(DN))
BOTH(vfneg, mv_fp32_neg(SN), mv_fp64_neg(DN))
LANES(vurecpe_32, uint32_t, mv_fp_urecpe(SN))
LANES(vursqrte_32, uint32_t, mv_fp_ursqrte(SN))

#define ROUND(name, rounding, exact)                                                               \
    BOTH(name, mv_fp32_rint(SN, rounding, exact, ENV), mv_fp64_rint(DN, rounding, exact, ENV))
ROUND(vfrintn, MV_FP_TIEEVEN, false)
ROUND(vfrintm, MV_FP_NEGINF, false)
ROUND(vfrintp, MV_FP_POSINF, false)
ROUND(vfrintz, MV_FP_ZERO, false)
ROUND(vfrinta, MV_FP_TIEAWAY, false)
ROUND(vfrintx, mv_fp_rounding(ENV), true)
ROUND(vfrinti, mv_fp_rounding(ENV), false)

/* To and from integers and fixed point, whose fraction bits are the field rm. */
#define TO_FIXED(name, rounding)                                                                   \
    BOTH(name##s, mv_fp32_to_fixed(SN, op->rm, false, 32, rounding, ENV),                          \
         mv_fp64_to_fixed(DN, op->rm, false, 64, rounding, ENV))                                   \
    BOTH(name##u, mv_fp32_to_fixed(SN, op->rm, true, 32, rounding, ENV),                           \
         mv_fp64_to_fixed(DN, op->rm, true, 64, rounding, ENV))
TO_FIXED(vfcvtn, MV_FP_TIEEVEN)
TO_FIXED(vfcvtm, MV_FP_NEGINF)
TO_FIXED(vfcvtp, MV_FP_POSINF)
TO_FIXED(vfcvtz, MV_FP_ZERO)
TO_FIXED(vfcvta, MV_FP_TIEAWAY)
BOTH(vscvtf, mv_fp32_from_fixed((uint64_t)MV_VN->ss[i], op->rm, false, ENV),
     mv_fp64_from_fixed(DN, op->rm, false, ENV))
BOTH(vucvtf, mv_fp32_from_fixed(SN, op->rm, true, ENV), mv_fp64_from_fixed(DN, op->rm, true, ENV))

/* Between precisions; the narrow side is a half. */
#define NARROW(name, narrow, expression)                                                           \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        uint64_t half = 0;                                                                         \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(narrow, &half, i) = expression;                                                \
        mv_vector_set_half(cpu, op, half);                                                         \
    }
NARROW(vfcvtn_16, uint16_t, mv_fp32_to_fp16(SN, ENV))
NARROW(vfcvtn_32, uint32_t, mv_fp64_to_fp32(DN, mv_fp_rounding(ENV), ENV))
NARROW(vfcvtxn_32, uint32_t, mv_fp64_to_fp32(DN, MV_FP_ODD, ENV))
LANES(vfcvtl_16, uint32_t, mv_fp16_to_fp32(MV_VN->h[4 * op->ra + i], ENV))
LANES(vfcvtl_32, uint64_t, mv_fp32_to_fp64(MV_VN->s[2 * op->ra + i], ENV))

/* Pairs of neighbours: of n into the lower half of the result, of m into the upper. */
#define PAIRWISE(name, type, function)                                                             \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        unsigned half = op->aux / 2;                                                               \
        for (unsigned i = 0; i < half; i++)                                                        \
            MV_LANE(type, &result, i) = function(MV_LANE(type, MV_VN, 2 * i),                      \
                                                 MV_LANE(type, MV_VN, 2 * i + 1), ENV);            \
        for (unsigned i = 0; i < half; i++)                                                        \
            MV_LANE(type, &result, half + i) = function(MV_LANE(type, MV_VM, 2 * i),               \
                                                        MV_LANE(type, MV_VM, 2 * i + 1), ENV);     \
        *MV_VD = result;                                                                           \
    }
/* One pair, and the four words of a register in two rounds. */
#define REDUCE(name, function)                                                                     \
    PAIRWISE(v##name##p_32, uint32_t, mv_fp32_##function)                                          \
    PAIRWISE(v##name##p_64, uint64_t, mv_fp64_##function)                                          \
    MV_VECTOR_OP(name##p_scalar_32)                                                                \
    {                                                                                              \
        uint32_t value = mv_fp32_##function(MV_VN->s[0], MV_VN->s[1], ENV);                        \
        *(mv_u64x2 *)MV_VD = (mv_u64x2){value, 0};                                                 \
    }                                                                                              \
    MV_VECTOR_OP(name##p_scalar_64)                                                                \
    {                                                                                              \
        uint64_t value = mv_fp64_##function(MV_VN->d[0], MV_VN->d[1], ENV);                        \
        *(mv_u64x2 *)MV_VD = (mv_u64x2){value, 0};                                                 \
    }
#define ACROSS(name, function)                                                                     \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        uint32_t low = mv_fp32_##function(MV_VN->s[0], MV_VN->s[1], ENV);                          \
        uint32_t high = mv_fp32_##function(MV_VN->s[2], MV_VN->s[3], ENV);                         \
        *(mv_u64x2 *)MV_VD = (mv_u64x2){mv_fp32_##function(low, high, ENV), 0};                    \
    }
REDUCE(fadd, add)
REDUCE(fmax, max)
REDUCE(fmin, min)
REDUCE(fmaxnm, maxnm)
REDUCE(fminnm, minnm)
ACROSS(vfmaxv, max)
ACROSS(vfminv, min)
ACROSS(vfmaxnmv, maxnm)
ACROSS(vfminnmv, minnm)
