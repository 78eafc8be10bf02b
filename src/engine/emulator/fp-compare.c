/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons, maxima and minima. */
#include "fp-format.h"

/* An integer that orders as the number does; both zeros are 0. */
static int64_t order(const struct mv_fp_format *f, const struct mv_fp_number *n)
{
    int64_t magnitude = (int64_t)(n->bits & ~mv_fp_sign(f, true));
    return n->sign ? -magnitude : magnitude;
}

static inline unsigned fp_cmp(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              bool signal, struct mv_fp_env *env)
{
    struct mv_fp_number a = mv_fp_unpack(f, a_bits, env);
    struct mv_fp_number b = mv_fp_unpack(f, b_bits, env);
    if (mv_fp_is_nan(&a) || mv_fp_is_nan(&b)) {
        if (signal || a.kind == MV_FP_KIND_SNAN || b.kind == MV_FP_KIND_SNAN)
            env->fpsr |= MV_FPSR_IOC;
        return 0x3;
    }
    int64_t a_order = order(f, &a), b_order = order(f, &b);
    return a_order == b_order ? 0x6 : a_order < b_order ? 0x8 : 0x2;
}

unsigned mv_fp32_cmp(uint32_t a, uint32_t b, bool signal, struct mv_fp_env *env)
{
    return fp_cmp(&mv_fp_single, a, b, signal, env);
}
unsigned mv_fp64_cmp(uint64_t a, uint64_t b, bool signal, struct mv_fp_env *env)
{
    return fp_cmp(&mv_fp_double, a, b, signal, env);
}

static inline uint64_t fp_max(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    const struct mv_fp_number *greater = order(f, &a) > order(f, &b) ? &a : &b;
    return greater->kind == MV_FP_KIND_ZERO ? mv_fp_zero(f, a.sign && b.sign) : greater->bits;
}
MV_FP_PUBLIC(max, MV_FP_TWO, a, b)

static inline uint64_t fp_min(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    const struct mv_fp_number *less = order(f, &a) < order(f, &b) ? &a : &b;
    return less->kind == MV_FP_KIND_ZERO ? mv_fp_zero(f, a.sign || b.sign) : less->bits;
}
MV_FP_PUBLIC(min, MV_FP_TWO, a, b)

/*
 * A quiet NaN beside anything else gives way: `neutral`, an infinity that
 * loses against every number, takes its place.
 */
static void replace_quiet_nan(const struct mv_fp_format *f, uint64_t *a_bits, uint64_t *b_bits,
                              uint64_t neutral)
{
    struct mv_fp_env none = {0};
    bool a_quiet = mv_fp_unpack(f, *a_bits, &none).kind == MV_FP_KIND_QNAN;
    bool b_quiet = mv_fp_unpack(f, *b_bits, &none).kind == MV_FP_KIND_QNAN;
    if (a_quiet && !b_quiet)
        *a_bits = neutral;
    else if (b_quiet && !a_quiet)
        *b_bits = neutral;
}

static inline uint64_t fp_maxnm(const struct mv_fp_format *f, uint64_t a, uint64_t b,
                                struct mv_fp_env *env)
{
    replace_quiet_nan(f, &a, &b, mv_fp_infinity(f, true));
    return fp_max(f, a, b, env);
}
MV_FP_PUBLIC(maxnm, MV_FP_TWO, a, b)

static inline uint64_t fp_minnm(const struct mv_fp_format *f, uint64_t a, uint64_t b,
                                struct mv_fp_env *env)
{
    replace_quiet_nan(f, &a, &b, mv_fp_infinity(f, false));
    return fp_min(f, a, b, env);
}
MV_FP_PUBLIC(minnm, MV_FP_TWO, a, b)
