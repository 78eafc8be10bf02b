/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the unpacked form back to bits: rounding with all its exceptions, and
 * NaNs as results.  Called by the other files of the library.
 */
#include "fp-format.h"

static uint64_t overflow(const struct mv_fp_format *f, bool sign, enum mv_fp_rounding rounding,
                         struct mv_fp_env *env)
{
    if (mv_fp_is_alternative(f, env)) {
        env->fpsr |= MV_FPSR_IOC;
        return mv_fp_sign(f, sign) | ((UINT64_C(1) << (f->size - 1)) - 1);
    }
    env->fpsr |= MV_FPSR_OFC | MV_FPSR_IXC;
    return mv_fp_overflows_to_infinity(rounding, sign) ? mv_fp_infinity(f, sign)
                                                       : mv_fp_max_normal(f, sign);
}

uint64_t mv_fp_round(const struct mv_fp_format *f, bool sign, int exp, uint64_t sig,
                     enum mv_fp_rounding rounding, struct mv_fp_env *env)
{
    /* Tininess is found before rounding. */
    int field = exp + f->bias;
    bool tiny = field < 1;
    if (tiny) {
        if (mv_fp_flushes(f, env)) {
            env->fpsr |= MV_FPSR_UFC;
            return mv_fp_zero(f, sign);
        }
        sig = mv_fp_shift_sticky(sig, (unsigned)(1 - field));
        field = 1;
    }

    unsigned dropped = 63 - f->fraction;
    uint64_t kept = sig >> dropped, error = sig << (64 - dropped);
    kept += mv_fp_rounds_up(rounding, sign, kept & 1, error);
    if (rounding == MV_FP_ODD)
        kept |= error != 0;

    /*
     * The leading bit of a normal number counts one in the exponent's field;
     * so do a carry out of the fraction and a denormal that became normal.
     */
    uint64_t magnitude = ((uint64_t)(field - 1) << f->fraction) + kept;
    uint64_t highest = (uint64_t)(mv_fp_exp_max(f) - !mv_fp_is_alternative(f, env));
    if (magnitude >> f->fraction > highest)
        return overflow(f, sign, rounding, env);
    if (error != 0)
        env->fpsr |= tiny ? MV_FPSR_IXC | MV_FPSR_UFC : MV_FPSR_IXC;
    return mv_fp_sign(f, sign) | magnitude;
}

uint64_t mv_fp_process_nan(const struct mv_fp_format *f, const struct mv_fp_number *n,
                           struct mv_fp_env *env)
{
    if (n->kind == MV_FP_KIND_SNAN)
        env->fpsr |= MV_FPSR_IOC;
    if (env->fpcr & MV_FPCR_DN)
        return mv_fp_default_nan(f);
    return n->bits | UINT64_C(1) << (f->fraction - 1);
}

uint64_t mv_fp_process_nans(const struct mv_fp_format *f, const struct mv_fp_number *a,
                            const struct mv_fp_number *b, struct mv_fp_env *env)
{
    /* Signalling ones come first, then the order of the operands counts. */
    if (a->kind == MV_FP_KIND_SNAN)
        return mv_fp_process_nan(f, a, env);
    if (b->kind == MV_FP_KIND_SNAN)
        return mv_fp_process_nan(f, b, env);
    return mv_fp_process_nan(f, mv_fp_is_nan(a) ? a : b, env);
}
