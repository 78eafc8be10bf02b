/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates of reciprocals and reciprocal square roots, of 8 bits. */
#include "fp-format.h"

/* RecipEstimate: a is 256-511, standing for 0.5 to below 1; so is the result, for 1 to below 2. */
static unsigned recip_estimate(unsigned a)
{
    unsigned quotient = (1u << 19) / (a * 2 + 1);
    return (quotient + 1) / 2;
}

/* RecipSqrtEstimate: a is 128-511, standing for 0.25 to below 1; the result is as above. */
static unsigned recip_sqrt_estimate(unsigned a)
{
    a = a < 256 ? a * 2 + 1 : ((a >> 1 << 1) + 1) * 2;
    /* The smallest b from 512 on for which a * (b + 1)^2 reaches 2^28. */
    unsigned low = 512, high = 1023;
    while (low < high) {
        unsigned b = (low + high) / 2;
        if (a * (b + 1) * (b + 1) < 1u << 28)
            low = b + 1;
        else
            high = b;
    }
    return (low + 1) / 2;
}

uint32_t mv_fp_urecpe(uint32_t a)
{
    return a >> 31 ? recip_estimate(a >> 23) << 23 : UINT32_MAX;
}

uint32_t mv_fp_ursqrte(uint32_t a)
{
    return a >> 30 ? recip_sqrt_estimate(a >> 23) << 23 : UINT32_MAX;
}

static inline uint64_t fp_recpe(const struct mv_fp_format *f, uint64_t bits, struct mv_fp_env *env)
{
    MV_FP_UNPACK_ONE(f, bits, env);
    if (a.kind == MV_FP_KIND_INF)
        return mv_fp_zero(f, a.sign);
    if (a.kind == MV_FP_KIND_ZERO) {
        env->fpsr |= MV_FPSR_DZC;
        return mv_fp_infinity(f, a.sign);
    }
    if (a.exp < -1 - f->bias) {
        env->fpsr |= MV_FPSR_OFC | MV_FPSR_IXC;
        return mv_fp_overflows_to_infinity(mv_fp_rounding(env), a.sign)
                   ? mv_fp_infinity(f, a.sign)
                   : mv_fp_max_normal(f, a.sign);
    }
    if (a.exp >= f->bias - 1 && mv_fp_flushes(f, env)) {
        env->fpsr |= MV_FPSR_UFC;
        return mv_fp_zero(f, a.sign);
    }

    uint64_t fraction = (uint64_t)recip_estimate((unsigned)(a.sig >> 55)) << (f->fraction - 8);
    int field = f->bias - 1 - a.exp;
    uint64_t magnitude =
        field < 1 ? fraction >> (1 - field) : ((uint64_t)(field - 1) << f->fraction) + fraction;
    return mv_fp_sign(f, a.sign) | magnitude;
}
MV_FP_PUBLIC(recpe, MV_FP_ONE, a)

static inline uint64_t fp_rsqrte(const struct mv_fp_format *f, uint64_t bits, struct mv_fp_env *env)
{
    MV_FP_UNPACK_ONE(f, bits, env);
    if (a.kind == MV_FP_KIND_ZERO) {
        env->fpsr |= MV_FPSR_DZC;
        return mv_fp_infinity(f, a.sign);
    }
    if (a.sign)
        return mv_fp_invalid(f, env);
    if (a.kind == MV_FP_KIND_INF)
        return mv_fp_zero(f, false);

    /* An even exponent makes it a number from 0.5 on, an odd one a half of that. */
    int field = a.exp + f->bias;
    unsigned odd = (unsigned)field & 1;
    uint64_t estimate = recip_sqrt_estimate((unsigned)(a.sig >> 55) >> odd);
    int result_field = (3 * f->bias - 1 - field) / 2;
    return ((uint64_t)(result_field - 1) << f->fraction) + (estimate << (f->fraction - 8));
}
MV_FP_PUBLIC(rsqrte, MV_FP_ONE, a)

/* The fraction goes, the exponent is turned round: a power of two near 1 / a. */
static inline uint64_t fp_recpx(const struct mv_fp_format *f, uint64_t bits, struct mv_fp_env *env)
{
    MV_FP_UNPACK_ONE(f, bits, env);
    uint64_t exp_max = (uint64_t)mv_fp_exp_max(f), field = bits >> f->fraction & exp_max;
    uint64_t result_field = field == 0 ? exp_max - 1 : ~field & exp_max;
    return mv_fp_sign(f, a.sign) | result_field << f->fraction;
}
MV_FP_PUBLIC(recpx, MV_FP_ONE, a)
