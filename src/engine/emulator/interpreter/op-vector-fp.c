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
#define LANES(name, type, expression) MV_LANES(name, type, void, type, op->aux, expression)
#define BOTH(name, expression)                                                                     \
    LANES(name##_32, uint32_t, expression) LANES(name##_64, uint64_t, expression)
#define FP(function) MV_FP_OF(narrow, function)
#define OF(reg)      _Generic((narrow)0, uint32_t : (reg)->s, uint64_t : (reg)->d)
#define N            OF(MV_VN)[i]
#define M            OF(MV_VM)[i]
#define D            OF(MV_VD)[i]
/* The one element of the second operand, by element. */
#define M_EL OF(MV_VM)[op->ra]

BOTH(vfadd, FP(add)(N, M, ENV))
BOTH(vfsub, FP(sub)(N, M, ENV))
BOTH(vfmul, FP(mul)(N, M, ENV))
BOTH(vfmulx, FP(mulx)(N, M, ENV))
BOTH(vfdiv, FP(div)(N, M, ENV))
BOTH(vfmax, FP(max)(N, M, ENV))
BOTH(vfmin, FP(min)(N, M, ENV))
BOTH(vfmaxnm, FP(maxnm)(N, M, ENV))
BOTH(vfminnm, FP(minnm)(N, M, ENV))
BOTH(vfrecps, FP(recps)(N, M, ENV))
BOTH(vfrsqrts, FP(rsqrts)(N, M, ENV))
BOTH(vfabd, FP(abs)(FP(sub)(N, M, ENV)))
BOTH(vfmla, FP(muladd)(D, N, M, ENV))
BOTH(vfmls, FP(muladd)(D, FP(neg)(N), M, ENV))
BOTH(vfmul_el, FP(mul)(N, M_EL, ENV))
BOTH(vfmulx_el, FP(mulx)(N, M_EL, ENV))
BOTH(vfmla_el, FP(muladd)(D, N, M_EL, ENV))
BOTH(vfmls_el, FP(muladd)(D, FP(neg)(N), M_EL, ENV))

/* FPCompareEQ, GE, GT: all ones where it holds, by NZCV.  EQ alone is quiet. */
#define EQUAL                              == 6
#define GREATER                            == 2
#define GREATER_EQUAL                      % 4 == 2
#define COMPARE(name, signal, holds, a, b) BOTH(name, -(uint64_t)(FP(cmp)(a, b, signal, ENV) holds))
COMPARE(vfcmeq, false, EQUAL, N, M)
COMPARE(vfcmge, true, GREATER_EQUAL, N, M)
COMPARE(vfcmgt, true, GREATER, N, M)
COMPARE(vfacge, true, GREATER_EQUAL, FP(abs)(N), FP(abs)(M))
COMPARE(vfacgt, true, GREATER, FP(abs)(N), FP(abs)(M))
COMPARE(vfcmeq0, false, EQUAL, N, 0)
COMPARE(vfcmge0, true, GREATER_EQUAL, N, 0)
COMPARE(vfcmgt0, true, GREATER, N, 0)
COMPARE(vfcmle0, true, GREATER_EQUAL, 0, N)
COMPARE(vfcmlt0, true, GREATER, 0, N)

BOTH(vfsqrt, FP(sqrt)(N, ENV))
BOTH(vfrecpe, FP(recpe)(N, ENV))
BOTH(vfrsqrte, FP(rsqrte)(N, ENV))
BOTH(frecpx, FP(recpx)(N, ENV))
BOTH(vfabs, FP(abs)(N))
BOTH(vfneg, FP(neg)(N))
LANES(vurecpe_32, uint32_t, mv_fp_urecpe(N))
LANES(vursqrte_32, uint32_t, mv_fp_ursqrte(N))

BOTH(vfrintn, FP(rint)(N, MV_FP_TIEEVEN, false, ENV))
BOTH(vfrintm, FP(rint)(N, MV_FP_NEGINF, false, ENV))
BOTH(vfrintp, FP(rint)(N, MV_FP_POSINF, false, ENV))
BOTH(vfrintz, FP(rint)(N, MV_FP_ZERO, false, ENV))
BOTH(vfrinta, FP(rint)(N, MV_FP_TIEAWAY, false, ENV))
BOTH(vfrintx, FP(rint)(N, mv_fp_rounding(ENV), true, ENV))
BOTH(vfrinti, FP(rint)(N, mv_fp_rounding(ENV), false, ENV))

/* To and from integers and fixed point, whose fraction bits are the field rm. */
#define TO_FIXED(name, rounding)                                                                   \
    BOTH(name##s, FP(to_fixed)(N, op->rm, false, 8 * sizeof(narrow), rounding, ENV))               \
    BOTH(name##u, FP(to_fixed)(N, op->rm, true, 8 * sizeof(narrow), rounding, ENV))
TO_FIXED(vfcvtn, MV_FP_TIEEVEN)
TO_FIXED(vfcvtm, MV_FP_NEGINF)
TO_FIXED(vfcvtp, MV_FP_POSINF)
TO_FIXED(vfcvtz, MV_FP_ZERO)
TO_FIXED(vfcvta, MV_FP_TIEAWAY)
LANES(vscvtf_32, uint32_t, mv_fp32_from_fixed((uint64_t)MV_VN->ss[i], op->rm, false, ENV))
LANES(vscvtf_64, uint64_t, mv_fp64_from_fixed(N, op->rm, false, ENV))
BOTH(vucvtf, FP(from_fixed)(N, op->rm, true, ENV))

/* Between precisions; the narrow side is a half. */
MV_NARROW(vfcvtn_16, uint16_t, void, op->aux, mv_fp32_to_fp16(MV_VN->s[i], ENV))
MV_NARROW(vfcvtn_32, uint32_t, void, op->aux,
          mv_fp64_to_fp32(MV_VN->d[i], mv_fp_rounding(ENV), ENV))
MV_NARROW(vfcvtxn_32, uint32_t, void, op->aux, mv_fp64_to_fp32(MV_VN->d[i], MV_FP_ODD, ENV))
LANES(vfcvtl_16, uint32_t, mv_fp16_to_fp32(MV_VN->h[4 * op->ra + i], ENV))
LANES(vfcvtl_32, uint64_t, mv_fp32_to_fp64(MV_VN->s[2 * op->ra + i], ENV))

/*
 * Pairs of neighbours: of n into the lower half of the result, of m into the upper;
 * the one pair of a scalar form; and the four words of a register in two rounds.
 */
#define NEIGHBOUR(j)                                                                               \
    MV_LANE(narrow, 2 * i < op->aux ? MV_VN : MV_VM, (2 * i & (op->aux - 1u)) + (j))
#define REDUCE(name, function)                                                                     \
    BOTH(v##name##p, FP(function)(NEIGHBOUR(0), NEIGHBOUR(1), ENV))                                \
    BOTH(name##p_scalar, FP(function)(NEIGHBOUR(0), NEIGHBOUR(1), ENV))
#define ACROSS(name, function)                                                                     \
    MV_LANES(name, uint32_t, void, uint32_t, 1,                                                    \
             FP(function)(FP(function)(MV_VN->s[0], MV_VN->s[1], ENV),                             \
                          FP(function)(MV_VN->s[2], MV_VN->s[3], ENV), ENV))
REDUCE(fadd, add)
REDUCE(fmax, max)
REDUCE(fmin, min)
REDUCE(fmaxnm, maxnm)
REDUCE(fminnm, minnm)
ACROSS(vfmaxv, max)
ACROSS(vfminv, min)
ACROSS(vfmaxnmv, maxnm)
ACROSS(vfminnmv, minnm)
