/* SPDX-License-Identifier: Apache-2.0 */
/* Between formats, and to and from integers. */
#include "fp-format.h"

/* FPConvertNaN: the highest bits of the payload stay. */
static uint64_t convert_nan(const struct mv_fp_format *to, const struct mv_fp_format *from,
                            uint64_t bits)
{
    bool sign = bits >> (from->size - 1) & 1;
    uint64_t payload = bits << (64 - from->fraction) >> (64 - to->fraction);
    return mv_fp_sign(to, sign) | mv_fp_default_nan(to) | payload;
}

static inline uint64_t fp_convert(const struct mv_fp_format *to, const struct mv_fp_format *from,
                                  uint64_t bits, enum mv_fp_rounding rounding,
                                  struct mv_fp_env *env)
{
    struct mv_fp_number a = mv_fp_unpack(from, bits, env);
    bool alternative = mv_fp_is_alternative(to, env);
    if (mv_fp_is_nan(&a)) {
        if (a.kind == MV_FP_KIND_SNAN || alternative)
            env->fpsr |= MV_FPSR_IOC;
        if (alternative)
            return mv_fp_zero(to, a.sign);
        return env->fpcr & MV_FPCR_DN ? mv_fp_default_nan(to) : convert_nan(to, from, bits);
    }
    if (a.kind == MV_FP_KIND_ZERO)
        return mv_fp_zero(to, a.sign);
    if (a.kind == MV_FP_KIND_FINITE)
        return mv_fp_round(to, a.sign, a.exp, a.sig, rounding, env);
    if (alternative) {
        env->fpsr |= MV_FPSR_IOC;
        return mv_fp_sign(to, a.sign) | ((UINT64_C(1) << (to->size - 1)) - 1);
    }
    return mv_fp_infinity(to, a.sign);
}

#define CONVERT(from, from_format, to, to_format)                                                  \
    uint##to##_t mv_fp##from##_to_fp##to(uint##from##_t a, struct mv_fp_env *env)                  \
    {                                                                                              \
        return (uint##to##_t)fp_convert(&to_format, &from_format, a, mv_fp_rounding(env), env);    \
    }
CONVERT(16, mv_fp_half, 32, mv_fp_single)
CONVERT(16, mv_fp_half, 64, mv_fp_double)
CONVERT(32, mv_fp_single, 16, mv_fp_half)
CONVERT(32, mv_fp_single, 64, mv_fp_double)
CONVERT(64, mv_fp_double, 16, mv_fp_half)
uint32_t mv_fp64_to_fp32(uint64_t a, enum mv_fp_rounding rounding, struct mv_fp_env *env)
{
    return (uint32_t)fp_convert(&mv_fp_single, &mv_fp_double, a, rounding, env);
}

/*
 * The magnitude of sig * 2^(exp - 63) as an integer, rounded; exp is below 64.
 * *ret_inexact tells whether it was none.
 */
static uint64_t round_to_integer(bool sign, int exp, uint64_t sig, enum mv_fp_rounding rounding,
                                 bool *ret_inexact)
{
    uint64_t integer = 0, error = 0;
    if (exp < 0)
        error = mv_fp_shift_sticky(sig, (unsigned)(-1 - exp));
    else if (exp < 63)
        error = sig << (exp + 1);
    if (exp >= 0)
        integer = sig >> (63 - exp);
    *ret_inexact = error != 0;
    return integer + mv_fp_rounds_up(rounding, sign, integer & 1, error);
}

static inline uint64_t fp_rint(const struct mv_fp_format *f, uint64_t bits,
                               enum mv_fp_rounding rounding, bool exact, struct mv_fp_env *env)
{
    MV_FP_UNPACK_ONE(f, bits, env);
    if (a.kind != MV_FP_KIND_FINITE || a.exp >= (int)f->fraction)
        return a.bits;

    bool inexact;
    uint64_t integer = round_to_integer(a.sign, a.exp, a.sig, rounding, &inexact);
    if (inexact && exact)
        env->fpsr |= MV_FPSR_IXC;
    if (integer == 0)
        return mv_fp_zero(f, a.sign);
    int shift = __builtin_clzll(integer);
    return mv_fp_round(f, a.sign, 63 - shift, integer << shift, MV_FP_ZERO, env);
}
#define RINT(type) type a, enum mv_fp_rounding rounding, bool exact
MV_FP_PUBLIC(rint, RINT, a, rounding, exact)

static inline uint64_t fp_to_fixed(const struct mv_fp_format *f, uint64_t bits, unsigned fbits,
                                   bool is_unsigned, unsigned size, enum mv_fp_rounding rounding,
                                   struct mv_fp_env *env)
{
    struct mv_fp_number a = mv_fp_unpack(f, bits, env);
    if (mv_fp_is_nan(&a)) {
        env->fpsr |= MV_FPSR_IOC;
        return 0;
    }
    if (a.kind == MV_FP_KIND_ZERO)
        return 0;

    const uint64_t all = UINT64_MAX >> (64 - size), top = UINT64_C(1) << (size - 1);
    uint64_t limit = is_unsigned ? (a.sign ? 0 : all) : (a.sign ? top : top - 1);
    uint64_t magnitude = UINT64_MAX;
    int exp = a.exp + (int)fbits;
    bool inexact = false, overflow = a.kind == MV_FP_KIND_INF || exp >= 64;
    if (!overflow)
        magnitude = round_to_integer(a.sign, exp, a.sig, rounding, &inexact);
    if (overflow || magnitude > limit) {
        env->fpsr |= MV_FPSR_IOC;
        magnitude = limit;
    } else if (inexact) {
        env->fpsr |= MV_FPSR_IXC;
    }
    return (a.sign ? -magnitude : magnitude) & all;
}

uint64_t mv_fp32_to_fixed(uint32_t a, unsigned fbits, bool is_unsigned, unsigned size,
                          enum mv_fp_rounding rounding, struct mv_fp_env *env)
{
    return fp_to_fixed(&mv_fp_single, a, fbits, is_unsigned, size, rounding, env);
}
uint64_t mv_fp64_to_fixed(uint64_t a, unsigned fbits, bool is_unsigned, unsigned size,
                          enum mv_fp_rounding rounding, struct mv_fp_env *env)
{
    return fp_to_fixed(&mv_fp_double, a, fbits, is_unsigned, size, rounding, env);
}

static inline uint64_t fp_from_fixed(const struct mv_fp_format *f, uint64_t value, unsigned fbits,
                                     bool is_unsigned, struct mv_fp_env *env)
{
    bool sign = !is_unsigned && value >> 63;
    uint64_t magnitude = sign ? -value : value;
    if (magnitude == 0)
        return mv_fp_zero(f, false);
    int shift = __builtin_clzll(magnitude);
    return mv_fp_round(f, sign, 63 - shift - (int)fbits, magnitude << shift, mv_fp_rounding(env),
                       env);
}
#define FROM_FIXED(type) uint64_t value, unsigned fbits, bool is_unsigned
MV_FP_PUBLIC(from_fixed, FROM_FIXED, value, fbits, is_unsigned)
