/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point with the semantics of A64 (Arm ARM DDI 0487, J1.3, shared
 * pseudocode): every function does what the pseudocode function named beside
 * it does, bit for bit, whatever the host's floating point is like.
 *
 * Values are the bits of IEEE 754 half, single or double precision.  A
 * function reads FPCR and sets cumulative bits in FPSR, both in *env; it clears
 * none.  Exceptions are never trapped: FPCR's trap enables read as zero.  Pure
 * functions, no lock, any thread.  Callers: the scalar and vector handlers.
 */
#ifndef MV_EMULATOR_FP_H
#define MV_EMULATOR_FP_H

#include <stdbool.h>
#include <stdint.h>

#define MV_FPCR_FZ          (1u << 24)
#define MV_FPCR_DN          (1u << 25)
#define MV_FPCR_AHP         (1u << 26)
#define MV_FPCR_RMODE_SHIFT 22

#define MV_FPSR_IOC (1u << 0) /* invalid operation */
#define MV_FPSR_DZC (1u << 1) /* division by zero */
#define MV_FPSR_OFC (1u << 2) /* overflow */
#define MV_FPSR_UFC (1u << 3) /* underflow */
#define MV_FPSR_IXC (1u << 4) /* inexact */
#define MV_FPSR_IDC (1u << 7) /* input denormal, flushed to zero */

struct mv_fp_env {
    uint32_t fpcr;
    uint32_t fpsr;
};

/* FPRounding; the first four are FPCR.RMode's values. */
enum mv_fp_rounding {
    MV_FP_TIEEVEN = 0,
    MV_FP_POSINF = 1,
    MV_FP_NEGINF = 2,
    MV_FP_ZERO = 3,
    MV_FP_TIEAWAY = 4, /* for rint and to_fixed only */
    MV_FP_ODD = 5,     /* for FCVTXN only */
};

/* FPRoundingMode: the one that FPCR selects. */
static inline enum mv_fp_rounding mv_fp_rounding(const struct mv_fp_env *env)
{
    return (enum mv_fp_rounding)(env->fpcr >> MV_FPCR_RMODE_SHIFT & 3);
}

/*
 * For single (mv_fp32_…) and double precision (mv_fp64_…):
 *
 * add, sub, mul, div, sqrt   FPAdd, FPSub, FPMul, FPDiv, FPSqrt
 * muladd                     FPMulAdd: addend + a * b, rounded once
 * mulx                       FPMulX
 * max, min, maxnm, minnm     FPMax, FPMin, FPMaxNum, FPMinNum
 * recpe, rsqrte, recpx       FPRecipEstimate, FPRSqrtEstimate, FPRecpX
 * recps, rsqrts              FPRecipStepFused, FPRSqrtStepFused; they negate
 *                            `a` themselves
 * rint                       FPRoundInt; `exact` makes an inexact result set IXC
 * cmp                        FPCompare: NZCV in bits 3-0; with `signal` a quiet
 *                            NaN is an invalid operation too
 * to_fixed                   FPToFixed, with `fbits` (0-64) fraction bits, to
 *                            `size` (16, 32, 64) bits, saturating; the bits
 *                            above `size` are zero
 * from_fixed                 FixedToFP with FPCR's rounding; `value` is an
 *                            integer of 64 bits with `fbits` (0-64) of fraction
 * neg, abs                   FPNeg, FPAbs: of NaNs too, and without any flag
 */
#define MV_FP_DECLARE(fp, type)                                                                    \
    type mv_##fp##_add(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_sub(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_mul(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_mulx(type a, type b, struct mv_fp_env *env);                                    \
    type mv_##fp##_div(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_sqrt(type a, struct mv_fp_env *env);                                            \
    type mv_##fp##_muladd(type addend, type a, type b, struct mv_fp_env *env);                     \
    type mv_##fp##_max(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_min(type a, type b, struct mv_fp_env *env);                                     \
    type mv_##fp##_maxnm(type a, type b, struct mv_fp_env *env);                                   \
    type mv_##fp##_minnm(type a, type b, struct mv_fp_env *env);                                   \
    type mv_##fp##_recpe(type a, struct mv_fp_env *env);                                           \
    type mv_##fp##_rsqrte(type a, struct mv_fp_env *env);                                          \
    type mv_##fp##_recpx(type a, struct mv_fp_env *env);                                           \
    type mv_##fp##_recps(type a, type b, struct mv_fp_env *env);                                   \
    type mv_##fp##_rsqrts(type a, type b, struct mv_fp_env *env);                                  \
    type mv_##fp##_rint(type a, enum mv_fp_rounding rounding, bool exact, struct mv_fp_env *env);  \
    unsigned mv_##fp##_cmp(type a, type b, bool signal, struct mv_fp_env *env);                    \
    uint64_t mv_##fp##_to_fixed(type a, unsigned fbits, bool is_unsigned, unsigned size,           \
                                enum mv_fp_rounding rounding, struct mv_fp_env *env);              \
    type mv_##fp##_from_fixed(uint64_t value, unsigned fbits, bool is_unsigned,                    \
                              struct mv_fp_env *env);                                              \
    static inline type mv_##fp##_neg(type a)                                                       \
    {                                                                                              \
        return a ^ (type)1 << (8 * sizeof a - 1);                                                  \
    }                                                                                              \
    static inline type mv_##fp##_abs(type a)                                                       \
    {                                                                                              \
        return a & ~((type)1 << (8 * sizeof a - 1));                                               \
    }
MV_FP_DECLARE(fp32, uint32_t)
MV_FP_DECLARE(fp64, uint64_t)

/* FPConvert; FPCR.AHP says which half precision it is. */
uint32_t mv_fp16_to_fp32(uint16_t a, struct mv_fp_env *env);
uint64_t mv_fp16_to_fp64(uint16_t a, struct mv_fp_env *env);
uint16_t mv_fp32_to_fp16(uint32_t a, struct mv_fp_env *env);
uint64_t mv_fp32_to_fp64(uint32_t a, struct mv_fp_env *env);
uint16_t mv_fp64_to_fp16(uint64_t a, struct mv_fp_env *env);
/* `rounding` is FPCR's, or MV_FP_ODD for FCVTXN. */
uint32_t mv_fp64_to_fp32(uint64_t a, enum mv_fp_rounding rounding, struct mv_fp_env *env);

/* UnsignedRecipEstimate, UnsignedRSqrtEstimate. */
uint32_t mv_fp_urecpe(uint32_t a);
uint32_t mv_fp_ursqrte(uint32_t a);

/* The function for values of a type. */
#define MV_FP_OF(type, function)                                                                   \
    _Generic((type)0, uint32_t : mv_fp32_##function, uint64_t : mv_fp64_##function)

#endif
