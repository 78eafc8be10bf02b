/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the floating-point library (fp*.c): the formats, a value taken
 * apart, and the way back.  All arithmetic is on the unpacked form, so that it
 * is written once for all formats.
 */
#ifndef MV_EMULATOR_FP_FORMAT_H
#define MV_EMULATOR_FP_FORMAT_H

#include "fp.h"

struct mv_fp_format {
    unsigned size;     /* bits of the whole */
    unsigned fraction; /* bits of the fraction */
    int bias;          /* of the exponent; twice it and one is the highest field */
};

static const struct mv_fp_format mv_fp_half = {16, 10, 15};
static const struct mv_fp_format mv_fp_single = {32, 23, 127};
static const struct mv_fp_format mv_fp_double = {64, 52, 1023};

enum mv_fp_kind {
    MV_FP_KIND_ZERO,
    MV_FP_KIND_FINITE,
    MV_FP_KIND_INF,
    MV_FP_KIND_QNAN,
    MV_FP_KIND_SNAN
};

/*
 * A finite one is sig * 2^(exp - 63), and bit 63 of sig is set: exp is the
 * exponent of the leading bit, for what was a denormal number too.
 */
struct mv_fp_number {
    enum mv_fp_kind kind;
    bool sign;
    int exp;
    uint64_t sig;
    uint64_t bits; /* packed, but a zero where the input was flushed to it */
};

static inline uint64_t mv_fp_sign(const struct mv_fp_format *f, bool sign)
{
    return (uint64_t)sign << (f->size - 1);
}
static inline int mv_fp_exp_max(const struct mv_fp_format *f)
{
    return 2 * f->bias + 1;
}
static inline uint64_t mv_fp_zero(const struct mv_fp_format *f, bool sign)
{
    return mv_fp_sign(f, sign);
}
static inline uint64_t mv_fp_infinity(const struct mv_fp_format *f, bool sign)
{
    return mv_fp_sign(f, sign) | (uint64_t)mv_fp_exp_max(f) << f->fraction;
}
static inline uint64_t mv_fp_max_normal(const struct mv_fp_format *f, bool sign)
{
    return mv_fp_infinity(f, sign) - 1;
}
static inline uint64_t mv_fp_default_nan(const struct mv_fp_format *f)
{
    return mv_fp_infinity(f, false) | UINT64_C(1) << (f->fraction - 1);
}
/* FPTwo, FPThree, FPOnePointFive: 2^exp, and half of that more. */
static inline uint64_t mv_fp_constant(const struct mv_fp_format *f, int exp, bool plus_half)
{
    return (uint64_t)(exp + f->bias) << f->fraction | (uint64_t)plus_half << (f->fraction - 1);
}

/* An invalid operation: its flag and its result. */
static inline uint64_t mv_fp_invalid(const struct mv_fp_format *f, struct mv_fp_env *env)
{
    env->fpsr |= MV_FPSR_IOC;
    return mv_fp_default_nan(f);
}

/* Alternative half precision has neither infinities nor NaNs. */
static inline bool mv_fp_is_alternative(const struct mv_fp_format *f, const struct mv_fp_env *env)
{
    return f->size == 16 && (env->fpcr & MV_FPCR_AHP);
}
/* FPCR.FZ is not about half precision. */
static inline bool mv_fp_flushes(const struct mv_fp_format *f, const struct mv_fp_env *env)
{
    return f->size != 16 && (env->fpcr & MV_FPCR_FZ);
}

/* FPUnpack. */
static inline struct mv_fp_number mv_fp_unpack(const struct mv_fp_format *f, uint64_t bits,
                                               struct mv_fp_env *env)
{
    int field = (int)(bits >> f->fraction) & mv_fp_exp_max(f);
    uint64_t fraction = bits & ((UINT64_C(1) << f->fraction) - 1);
    struct mv_fp_number n = {MV_FP_KIND_ZERO, bits >> (f->size - 1) & 1, 0, 0, bits};

    if (field == mv_fp_exp_max(f) && !mv_fp_is_alternative(f, env)) {
        bool quiet = fraction >> (f->fraction - 1);
        n.kind = fraction == 0 ? MV_FP_KIND_INF : quiet ? MV_FP_KIND_QNAN : MV_FP_KIND_SNAN;
    } else if (field != 0) {
        n.kind = MV_FP_KIND_FINITE;
        n.exp = field - f->bias;
        n.sig = (fraction | UINT64_C(1) << f->fraction) << (63 - f->fraction);
    } else if (fraction != 0 && mv_fp_flushes(f, env)) {
        env->fpsr |= MV_FPSR_IDC;
        n.bits = mv_fp_zero(f, n.sign);
    } else if (fraction != 0) {
        int shift = __builtin_clzll(fraction);
        n.kind = MV_FP_KIND_FINITE;
        n.exp = 64 - f->bias - (int)f->fraction - shift;
        n.sig = fraction << shift;
    }
    return n;
}

static inline bool mv_fp_is_nan(const struct mv_fp_number *n)
{
    return n->kind >= MV_FP_KIND_QNAN;
}

/* Shift right; bit 0 of the result also stands for all that was lost. */
static inline uint64_t mv_fp_shift_sticky(uint64_t sig, unsigned amount)
{
    if (amount == 0)
        return sig;
    if (amount > 63)
        return sig != 0;
    return sig >> amount | (sig << (64 - amount) != 0);
}

/*
 * Whether a magnitude goes up to the next one when `error`, in units of 2^-64
 * of its last place, is dropped.  `odd` is its last bit.  To odd never goes up.
 */
static inline bool mv_fp_rounds_up(enum mv_fp_rounding rounding, bool sign, bool odd,
                                   uint64_t error)
{
    const uint64_t half = UINT64_C(1) << 63;
    switch (rounding) {
    case MV_FP_TIEEVEN:
        return error > half || (error == half && odd);
    case MV_FP_TIEAWAY:
        return error >= half;
    case MV_FP_POSINF:
        return error != 0 && !sign;
    case MV_FP_NEGINF:
        return error != 0 && sign;
    default:
        return false;
    }
}

/* Whether what is too large for the format becomes infinity. */
static inline bool mv_fp_overflows_to_infinity(enum mv_fp_rounding rounding, bool sign)
{
    return rounding == MV_FP_TIEEVEN || rounding == (sign ? MV_FP_NEGINF : MV_FP_POSINF);
}

/*
 * FPRound of sig * 2^(exp - 63), where bit 63 of sig is set and bit 0 is also
 * set if anything non-zero was cut off below it.  exp is below 3000 or so.
 */
uint64_t mv_fp_round(const struct mv_fp_format *f, bool sign, int exp, uint64_t sig,
                     enum mv_fp_rounding rounding, struct mv_fp_env *env);

/* FPProcessNaN of n, which is one. */
uint64_t mv_fp_process_nan(const struct mv_fp_format *f, const struct mv_fp_number *n,
                           struct mv_fp_env *env);
/* FPProcessNaNs of two numbers, one of which is a NaN. */
uint64_t mv_fp_process_nans(const struct mv_fp_format *f, const struct mv_fp_number *a,
                            const struct mv_fp_number *b, struct mv_fp_env *env);

/* Operands unpacked; the body goes on only if none is a NaN. */
#define MV_FP_UNPACK_ONE(f, a_bits, env)                                                           \
    struct mv_fp_number a = mv_fp_unpack(f, a_bits, env);                                          \
    if (mv_fp_is_nan(&a))                                                                          \
    return mv_fp_process_nan(f, &a, env)
#define MV_FP_UNPACK_TWO(f, a_bits, b_bits, env)                                                   \
    struct mv_fp_number a = mv_fp_unpack(f, a_bits, env);                                          \
    struct mv_fp_number b = mv_fp_unpack(f, b_bits, env);                                          \
    if (mv_fp_is_nan(&a) || mv_fp_is_nan(&b))                                                      \
    return mv_fp_process_nans(f, &a, &b, env)

/* The generic function fp_NAME for single and double; `parameters` is a macro of their type. */
#define MV_FP_PUBLIC(name, parameters, ...)                                                        \
    uint32_t mv_fp32_##name(parameters(uint32_t), struct mv_fp_env *env)                           \
    {                                                                                              \
        return (uint32_t)fp_##name(&mv_fp_single, __VA_ARGS__, env);                               \
    }                                                                                              \
    uint64_t mv_fp64_##name(parameters(uint64_t), struct mv_fp_env *env)                           \
    {                                                                                              \
        return fp_##name(&mv_fp_double, __VA_ARGS__, env);                                         \
    }
#define MV_FP_ONE(type) type a
#define MV_FP_TWO(type) type a, type b

#endif
