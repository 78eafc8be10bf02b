/* SPDX-License-Identifier: Apache-2.0 */
/* Sums, products, quotients, square roots, each rounded once. */
#include "fp-format.h"

#include <stddef.h>

typedef unsigned __int128 uint128_t;

/*
 * An exact value, or infinity: sig * 2^(exp - 126), where bit 126 is the leading one
 * of sig, or sig is 0.  The product of two doubles has 106 bits, which leaves 21 below
 * them: enough for a sum to be rounded right when what falls off the lower
 * operand in aligning is only noted in bit 0.
 */
struct exact {
    bool sign, inf;
    int exp;
    uint128_t sig;
};

/* Lower than any exponent, without making differences overflow. */
#define ZERO_EXP (-100000)

static struct exact exact_number(const struct mv_fp_number *n)
{
    if (n->kind == MV_FP_KIND_ZERO)
        return (struct exact){n->sign, false, ZERO_EXP, 0};
    return (struct exact){n->sign, n->kind == MV_FP_KIND_INF, n->exp, (uint128_t)n->sig << 63};
}

static struct exact exact_product(const struct mv_fp_number *a, const struct mv_fp_number *b)
{
    bool sign = a->sign ^ b->sign, inf = a->kind == MV_FP_KIND_INF || b->kind == MV_FP_KIND_INF;
    if (a->kind == MV_FP_KIND_ZERO || b->kind == MV_FP_KIND_ZERO)
        return (struct exact){sign, inf, ZERO_EXP, 0};
    uint128_t sig = (uint128_t)a->sig * b->sig;
    unsigned carry = (unsigned)(sig >> 127);
    return (struct exact){sign, inf, a->exp + b->exp + (int)carry, sig >> carry};
}

static uint128_t shift_sticky(uint128_t sig, unsigned amount)
{
    if (amount == 0)
        return sig;
    if (amount > 127)
        return sig != 0;
    return sig >> amount | (sig << (128 - amount) != 0);
}

/* Round sig * 2^(exp - 126); sig is not 0. */
static uint64_t round_exact(const struct mv_fp_format *f, bool sign, int exp, uint128_t sig,
                            struct mv_fp_env *env)
{
    uint64_t high = (uint64_t)(sig >> 64);
    int shift = high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)sig);
    sig <<= shift;
    return mv_fp_round(f, sign, exp + 1 - shift, (uint64_t)(sig >> 64) | ((uint64_t)sig != 0),
                       mv_fp_rounding(env), env);
}

/* (x + y) * 2^scale */
static uint64_t round_sum(const struct mv_fp_format *f, struct exact x, struct exact y, int scale,
                          struct mv_fp_env *env)
{
    if (x.inf && y.inf && x.sign != y.sign)
        return mv_fp_invalid(f, env);
    if (x.inf || y.inf)
        return mv_fp_infinity(f, x.inf ? x.sign : y.sign);
    if (x.exp < y.exp) {
        struct exact swap = x;
        x = y;
        y = swap;
    }
    y.sig = shift_sticky(y.sig, (unsigned)(x.exp - y.exp));
    if (x.sign == y.sign) {
        x.sig += y.sig;
    } else if (x.sig >= y.sig) {
        x.sig -= y.sig;
    } else {
        x.sig = y.sig - x.sig;
        x.sign = y.sign;
    }
    if (x.sig == 0) {
        bool both = x.sign == y.sign;
        return mv_fp_zero(f, both ? x.sign : mv_fp_rounding(env) == MV_FP_NEGINF);
    }
    return round_exact(f, x.sign, x.exp + scale, x.sig, env);
}

static inline uint64_t fp_add(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    return round_sum(f, exact_number(&a), exact_number(&b), 0, env);
}
MV_FP_PUBLIC(add, MV_FP_TWO, a, b)

/* Not an addition of -b: a NaN keeps its sign. */
static inline uint64_t fp_sub(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    b.sign = !b.sign;
    return round_sum(f, exact_number(&a), exact_number(&b), 0, env);
}
MV_FP_PUBLIC(sub, MV_FP_TWO, a, b)

static inline bool is_inf_times_zero(const struct mv_fp_number *a, const struct mv_fp_number *b)
{
    return (a->kind == MV_FP_KIND_INF && b->kind == MV_FP_KIND_ZERO) ||
           (a->kind == MV_FP_KIND_ZERO && b->kind == MV_FP_KIND_INF);
}

/* Neither is a NaN, nor is it infinity by zero. */
static uint64_t multiply_numbers(const struct mv_fp_format *f, const struct mv_fp_number *a,
                                 const struct mv_fp_number *b, struct mv_fp_env *env)
{
    bool sign = a->sign ^ b->sign;
    if (a->kind == MV_FP_KIND_INF || b->kind == MV_FP_KIND_INF)
        return mv_fp_infinity(f, sign);
    if (a->kind == MV_FP_KIND_ZERO || b->kind == MV_FP_KIND_ZERO)
        return mv_fp_zero(f, sign);
    return round_exact(f, sign, a->exp + b->exp, (uint128_t)a->sig * b->sig, env);
}

static inline uint64_t fp_mul(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    if (is_inf_times_zero(&a, &b))
        return mv_fp_invalid(f, env);
    return multiply_numbers(f, &a, &b, env);
}
MV_FP_PUBLIC(mul, MV_FP_TWO, a, b)

static inline uint64_t fp_mulx(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                               struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    if (is_inf_times_zero(&a, &b))
        return mv_fp_sign(f, a.sign ^ b.sign) | mv_fp_constant(f, 1, false);
    return multiply_numbers(f, &a, &b, env);
}
MV_FP_PUBLIC(mulx, MV_FP_TWO, a, b)

/* (addend + a * b) * 2^scale, of numbers without NaNs and infinity by zero. */
static uint64_t fuse(const struct mv_fp_format *f, const struct mv_fp_number *addend,
                     const struct mv_fp_number *a, const struct mv_fp_number *b, int scale,
                     struct mv_fp_env *env)
{
    return round_sum(f, exact_number(addend), exact_product(a, b), scale, env);
}

/* FPProcessNaNs3: NULL where none is a NaN. */
static const struct mv_fp_number *
first_nan(const struct mv_fp_number *a, const struct mv_fp_number *b, const struct mv_fp_number *c)
{
    const struct mv_fp_number *const order[] = {a, b, c};
    const struct mv_fp_number *quiet = NULL;
    for (unsigned i = 0; i < 3; i++) {
        if (order[i]->kind == MV_FP_KIND_SNAN)
            return order[i];
        if (order[i]->kind == MV_FP_KIND_QNAN && quiet == NULL)
            quiet = order[i];
    }
    return quiet;
}

static inline uint64_t fp_muladd(const struct mv_fp_format *f, uint64_t addend_bits,
                                 uint64_t a_bits, uint64_t b_bits, struct mv_fp_env *env)
{
    struct mv_fp_number addend = mv_fp_unpack(f, addend_bits, env);
    struct mv_fp_number a = mv_fp_unpack(f, a_bits, env);
    struct mv_fp_number b = mv_fp_unpack(f, b_bits, env);
    const struct mv_fp_number *nan = first_nan(&addend, &a, &b);
    /* An invalid product wins over a quiet NaN to be added to it. */
    if (is_inf_times_zero(&a, &b) && addend.kind != MV_FP_KIND_SNAN)
        return mv_fp_invalid(f, env);
    if (nan != NULL)
        return mv_fp_process_nan(f, nan, env);
    return fuse(f, &addend, &a, &b, 0, env);
}
#define MULADD(type) type addend, type a, type b
MV_FP_PUBLIC(muladd, MULADD, addend, a, b)

/* The step of a Newton iteration: (constant - a * b) * 2^scale. */
static inline uint64_t step(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                            uint64_t constant_bits, int scale, uint64_t inf_times_zero,
                            struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits ^ mv_fp_sign(f, true), b_bits, env);
    if (is_inf_times_zero(&a, &b))
        return inf_times_zero;
    struct mv_fp_number constant = mv_fp_unpack(f, constant_bits, env);
    return fuse(f, &constant, &a, &b, scale, env);
}

static inline uint64_t fp_recps(const struct mv_fp_format *f, uint64_t a, uint64_t b,
                                struct mv_fp_env *env)
{
    uint64_t two = mv_fp_constant(f, 1, false);
    return step(f, a, b, two, 0, two, env);
}
MV_FP_PUBLIC(recps, MV_FP_TWO, a, b)

static inline uint64_t fp_rsqrts(const struct mv_fp_format *f, uint64_t a, uint64_t b,
                                 struct mv_fp_env *env)
{
    return step(f, a, b, mv_fp_constant(f, 1, true), -1, mv_fp_constant(f, 0, true), env);
}
MV_FP_PUBLIC(rsqrts, MV_FP_TWO, a, b)

static inline uint64_t fp_div(const struct mv_fp_format *f, uint64_t a_bits, uint64_t b_bits,
                              struct mv_fp_env *env)
{
    MV_FP_UNPACK_TWO(f, a_bits, b_bits, env);
    bool sign = a.sign ^ b.sign;
    if (a.kind == b.kind && a.kind != MV_FP_KIND_FINITE)
        return mv_fp_invalid(f, env);
    if (a.kind == MV_FP_KIND_INF)
        return mv_fp_infinity(f, sign);
    if (b.kind == MV_FP_KIND_ZERO) {
        env->fpsr |= MV_FPSR_DZC;
        return mv_fp_infinity(f, sign);
    }
    if (a.kind == MV_FP_KIND_ZERO || b.kind == MV_FP_KIND_INF)
        return mv_fp_zero(f, sign);

    /* The quotient is from 2^62 to below 2^64. */
    uint128_t dividend = (uint128_t)a.sig << 63;
    uint64_t quotient = (uint64_t)(dividend / b.sig);
    bool rest = (uint128_t)quotient * b.sig != dividend;
    unsigned shift = !(quotient >> 63);
    return mv_fp_round(f, sign, a.exp - b.exp - (int)shift, quotient << shift | rest,
                       mv_fp_rounding(env), env);
}
MV_FP_PUBLIC(div, MV_FP_TWO, a, b)

/*
 * The integer square root of n, which is from 2^122 to below 2^124.  Heron's
 * means of the guess and n / guess fall until they reach it.
 */
static uint64_t integer_sqrt(uint128_t n)
{
    const uint64_t middle = UINT64_C(3) << 60;
    uint64_t root = (middle + (uint64_t)(n / middle)) / 2 + 1;
    for (;;) {
        uint64_t next = (root + (uint64_t)(n / root)) / 2;
        if (next >= root)
            return root;
        root = next;
    }
}

static inline uint64_t fp_sqrt(const struct mv_fp_format *f, uint64_t bits, struct mv_fp_env *env)
{
    MV_FP_UNPACK_ONE(f, bits, env);
    if (a.kind == MV_FP_KIND_ZERO)
        return mv_fp_zero(f, a.sign);
    if (a.sign)
        return mv_fp_invalid(f, env);
    if (a.kind == MV_FP_KIND_INF)
        return mv_fp_infinity(f, false);

    /* a is n * 2^(exp - odd - 122), whose exponent is even. */
    int odd = a.exp & 1;
    uint128_t n = (uint128_t)a.sig << (59 + odd);
    uint64_t root = integer_sqrt(n);
    bool rest = (uint128_t)root * root != n;
    return mv_fp_round(f, false, (a.exp - odd) / 2, root << 2 | rest, mv_fp_rounding(env), env);
}
MV_FP_PUBLIC(sqrt, MV_FP_ONE, a)
