/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fp.h: the rules of the Arm ARM's shared pseudocode (DDI 0487, J1.3), each
 * with operands that tell it from its neighbours.  tests/interop/test_fp.py
 * compares with a peer on many more.
 */
#include "fp.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FZ  MV_FPCR_FZ
#define DN  MV_FPCR_DN
#define AHP MV_FPCR_AHP
#define RN  (0u << MV_FPCR_RMODE_SHIFT)
#define RP  (1u << MV_FPCR_RMODE_SHIFT)
#define RM  (2u << MV_FPCR_RMODE_SHIFT)
#define RZ  (3u << MV_FPCR_RMODE_SHIFT)

#define IOC MV_FPSR_IOC
#define DZC MV_FPSR_DZC
#define OFC MV_FPSR_OFC
#define UFC MV_FPSR_UFC
#define IXC MV_FPSR_IXC
#define IDC MV_FPSR_IDC

#define S_ONE   0x3f800000u
#define S_TWO   0x40000000u
#define S_INF   0x7f800000u
#define S_MAX   0x7f7fffffu
#define S_MIN   0x00800000u /* the smallest normal number */
#define S_DENOR 0x00000001u
#define S_QNAN  0x7fc00000u
#define S_SNAN  0x7f800001u
#define S_NEG   0x80000000u

static void check(const char *what, size_t row, uint64_t value, uint64_t expected, uint32_t flags,
                  uint32_t expected_flags)
{
    if (value != expected || flags != expected_flags)
        fail_msg("%s, row %zu: %" PRIx64 " with flags %x where %" PRIx64 " with %x is right", what,
                 row, value, flags, expected, expected_flags);
}

struct case_2 {
    uint32_t (*function)(uint32_t, uint32_t, struct mv_fp_env *);
    uint32_t fpcr, a, b, expected, flags;
};

static void check_2(const char *what, const struct case_2 *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct case_2 *c = &cases[i];
        struct mv_fp_env env = {c->fpcr, 0};
        uint32_t value = c->function(c->a, c->b, &env);
        check(what, i, value, c->expected, env.fpsr, c->flags);
    }
}
#define CHECK_2(what, cases) check_2(what, cases, sizeof cases / sizeof cases[0])

static void test_nans(void **state)
{
    static const struct case_2 cases[] = {
        /* The first operand's, quieted; a signalling one before a quiet one. */
        {mv_fp32_add, RN, 0x7fc12345, 0xffc54321, 0x7fc12345, 0},
        {mv_fp32_add, RN, 0xff800007, S_ONE, 0xffc00007, IOC},
        {mv_fp32_add, RN, 0x7fc12345, 0xff800007, 0xffc00007, IOC},
        {mv_fp32_add, RN, 0x7f800005, 0xff800007, 0x7fc00005, IOC},
        {mv_fp32_add, RN, S_INF, 0xffc54321, 0xffc54321, 0},
        {mv_fp32_sub, RN, S_ONE, 0x7fc12345, 0x7fc12345, 0},
        /* The default one has a clear sign. */
        {mv_fp32_add, DN, 0xffc12345, S_ONE, S_QNAN, 0},
        {mv_fp32_add, DN, 0xff800007, S_ONE, S_QNAN, IOC},
        {mv_fp32_sub, RN, S_INF, S_INF, S_QNAN, IOC},
        {mv_fp32_mul, RN, S_INF | S_NEG, 0, S_QNAN, IOC},
        {mv_fp32_div, RN, 0, S_NEG, S_QNAN, IOC},
        {mv_fp32_div, RN, S_INF | S_NEG, S_INF, S_QNAN, IOC},
        /* Denormals beside a NaN are flushed, and say so. */
        {mv_fp32_mul, FZ, S_QNAN, S_DENOR, S_QNAN, IDC},
        /* The steps negate the first operand, NaN or not. */
        {mv_fp32_recps, RN, 0x7fc12345, S_ONE, 0xffc12345, 0},
        {mv_fp32_rsqrts, RN, S_ONE, 0x7fc12345, 0x7fc12345, 0},
    };
    CHECK_2("NaN", cases);
}

static void test_rounding(void **state)
{
    static const struct case_2 cases[] = {
        /* One and half a place: a tie, down to even; one place more: up to even. */
        {mv_fp32_add, RN, S_ONE, 0x33800000, S_ONE, IXC},
        {mv_fp32_add, RN, 0x3f800001, 0x33800000, 0x3f800002, IXC},
        {mv_fp32_add, RN, S_ONE, 0x33800001, 0x3f800001, IXC},
        {mv_fp32_add, RP, S_ONE, S_DENOR, 0x3f800001, IXC},
        {mv_fp32_add, RM, S_ONE, S_DENOR, S_ONE, IXC},
        {mv_fp32_add, RZ, 0xbf800000, 0xb3ffffff, 0xbf800000, IXC},
        {mv_fp32_add, RM, 0xbf800000, 0x80000001, 0xbf800001, IXC},
        /* Just below one, with an operand far below. */
        {mv_fp32_sub, RZ, S_ONE, S_DENOR, 0x3f7fffff, IXC},
        {mv_fp32_sub, RN, S_ONE, S_DENOR, S_ONE, IXC},
        /* The sign of an exact zero. */
        {mv_fp32_sub, RN, S_ONE, S_ONE, 0, 0},
        {mv_fp32_sub, RM, S_ONE, S_ONE, S_NEG, 0},
        {mv_fp32_add, RM, 0, 0, 0, 0},
        {mv_fp32_add, RN, S_NEG, S_NEG, S_NEG, 0},
        {mv_fp32_add, RM, 0, S_NEG, S_NEG, 0},
        /* Overflow: infinity or the largest number. */
        {mv_fp32_mul, RN, S_MAX, S_TWO, S_INF, OFC | IXC},
        {mv_fp32_mul, RZ, S_MAX, S_TWO, S_MAX, OFC | IXC},
        {mv_fp32_mul, RM, S_MAX, S_TWO, S_MAX, OFC | IXC},
        {mv_fp32_mul, RP, S_MAX | S_NEG, S_TWO, S_MAX | S_NEG, OFC | IXC},
        {mv_fp32_mul, RM, S_MAX | S_NEG, S_TWO, S_INF | S_NEG, OFC | IXC},
        {mv_fp32_div, RN, 0x40400000, S_NEG, S_INF | S_NEG, DZC},
        {mv_fp32_div, RN, S_INF, 0, S_INF, 0},
    };
    CHECK_2("rounding", cases);
}

static void test_underflow(void **state)
{
    static const struct case_2 cases[] = {
        /* An exact denormal result is no underflow. */
        {mv_fp32_mul, RN, S_MIN, 0x3f000000, 0x00400000, 0},
        {mv_fp32_mul, RN, S_MIN, 0x3f7fffff, S_MIN, UFC | IXC}, /* tiny before, not after */
        {mv_fp32_mul, RN, S_DENOR, 0x3f000000, 0, UFC | IXC},
        {mv_fp32_mul, RP, S_DENOR, S_DENOR, S_DENOR, UFC | IXC},
        /* Flushed results: underflow, but not inexact. */
        {mv_fp32_mul, FZ, S_MIN, 0x3f000000, 0, UFC},
        {mv_fp32_mul, FZ, S_MIN, 0x3f7fffff, 0, UFC},
        {mv_fp32_mul, FZ | RP, S_MIN | S_NEG, 0x3f000000, S_NEG, UFC},
        /* Flushed operands. */
        {mv_fp32_add, FZ, S_DENOR, S_ONE, S_ONE, IDC},
        {mv_fp32_div, FZ, S_ONE, 0x80000001, S_INF | S_NEG, IDC | DZC},
        {mv_fp32_mul, FZ, S_INF, S_DENOR, S_QNAN, IDC | IOC},
    };
    CHECK_2("underflow", cases);
}

static void test_max_min(void **state)
{
    static const struct case_2 cases[] = {
        {mv_fp32_max, RN, 0, S_NEG, 0, 0},
        {mv_fp32_max, RN, S_NEG, 0, 0, 0},
        {mv_fp32_min, RN, 0, S_NEG, S_NEG, 0},
        {mv_fp32_min, RN, S_NEG, S_NEG, S_NEG, 0},
        {mv_fp32_max, RN, S_NEG, 0xbf800000, S_NEG, 0},
        {mv_fp32_max, RN, S_QNAN, S_ONE, S_QNAN, 0},
        {mv_fp32_maxnm, RN, S_QNAN, S_ONE, S_ONE, 0},
        {mv_fp32_minnm, RN, S_ONE, S_QNAN, S_ONE, 0},
        {mv_fp32_minnm, RN, S_INF, S_QNAN, S_INF, 0},
        {mv_fp32_maxnm, RN, S_QNAN, S_SNAN, S_SNAN | S_QNAN, IOC},
        {mv_fp32_maxnm, RN, S_SNAN, S_ONE, S_SNAN | S_QNAN, IOC},
        {mv_fp32_maxnm, RN, 0x7fc00001, 0x7fc00002, 0x7fc00001, 0},
        {mv_fp32_max, FZ, S_DENOR, 0xbf800000, 0, IDC},
        {mv_fp32_max, RN, S_DENOR, 0, S_DENOR, 0},
        {mv_fp32_mulx, RN, S_INF | S_NEG, 0, S_TWO | S_NEG, 0},
        {mv_fp32_mulx, RN, S_TWO, S_TWO, 0x40800000, 0},
        {mv_fp32_recps, RN, S_INF, 0, S_TWO, 0},
        {mv_fp32_recps, RN, S_ONE, S_TWO, 0, 0},
        {mv_fp32_recps, RM, S_ONE, S_TWO, S_NEG, 0},
        {mv_fp32_rsqrts, RN, S_INF, S_NEG, 0x3fc00000, 0},
        {mv_fp32_rsqrts, RN, S_ONE, S_ONE, S_ONE, 0},
    };
    CHECK_2("maxima and steps", cases);
}

static void test_muladd(void **state)
{
    static const struct {
        uint32_t fpcr;
        uint64_t addend, a, b, expected;
        uint32_t flags;
    } cases[] = {
        /* 2^-104 survives from a product of 1 + 2^-52 and 1 - 2^-52. */
        {RN, 0xbff0000000000000, 0x3ff0000000000001, 0x3feffffffffffffe, 0xb970000000000000, 0},
        {RN, 0x7ff8000000000001, 0x7ff0000000000000, 0, 0x7ff8000000000000, IOC},
        {RN, 0x7ff0000000000001, 0x7ff0000000000000, 0, 0x7ff8000000000001, IOC},
        {RN, 0x7ff8000000000001, 0xfff8000000000002, 0x7ff0000000000003, 0x7ff8000000000003, IOC},
        {RN, 0x7ff8000000000001, 0xfff8000000000002, 0x7ff8000000000003, 0x7ff8000000000001, 0},
        {RN, 0xfff0000000000000, 0x7ff0000000000000, 0x3ff0000000000000, 0x7ff8000000000000, IOC},
        {RN, 0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000000, 0, 0},
        {RM, 0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000000, 0x8000000000000000, 0},
        {RM, 0, 0, 0, 0, 0},
        {RP, 0x3ff0000000000000, 1, 1, 0x3ff0000000000001, IXC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_fp_env env = {cases[i].fpcr, 0};
        uint64_t value = mv_fp64_muladd(cases[i].addend, cases[i].a, cases[i].b, &env);
        check("muladd", i, value, cases[i].expected, env.fpsr, cases[i].flags);
    }
}

static void test_one_operand(void **state)
{
    static const struct {
        uint32_t (*function)(uint32_t, struct mv_fp_env *);
        uint32_t fpcr, a, expected, flags;
    } cases[] = {
        {mv_fp32_sqrt, RN, 0x40800000, S_TWO, 0},
        {mv_fp32_sqrt, RN, S_TWO, 0x3fb504f3, IXC},
        {mv_fp32_sqrt, RP, S_TWO, 0x3fb504f4, IXC},
        {mv_fp32_sqrt, RN, S_NEG, S_NEG, 0},
        {mv_fp32_sqrt, RN, 0xbf800000, S_QNAN, IOC},
        {mv_fp32_sqrt, RN, S_DENOR, 0x1a3504f3, IXC},
        {mv_fp32_sqrt, FZ, 0x80000001, S_NEG, IDC},
        {mv_fp32_recpe, RN, S_ONE, 0x3f7f8000, 0},
        {mv_fp32_recpe, RN, S_NEG, S_INF | S_NEG, DZC},
        {mv_fp32_recpe, RN, S_DENOR, S_INF, OFC | IXC},
        {mv_fp32_recpe, RZ, S_DENOR, S_MAX, OFC | IXC},
        {mv_fp32_recpe, RN, S_MAX, 0x00200000, 0},
        {mv_fp32_recpe, FZ, S_MAX, 0, UFC},
        {mv_fp32_rsqrte, RN, S_ONE, 0x3f7f8000, 0},
        {mv_fp32_rsqrte, RN, S_NEG, S_INF | S_NEG, DZC},
        {mv_fp32_rsqrte, RN, 0xbf800000, S_QNAN, IOC},
        {mv_fp32_rsqrte, RN, S_INF, 0, 0},
        {mv_fp32_recpx, RN, S_ONE, 0x40000000, 0},
        {mv_fp32_recpx, RN, 0x80000001, 0xff000000, 0},
        {mv_fp32_recpx, RN, S_INF, 0, 0},
        {mv_fp32_recpx, FZ, S_DENOR, 0x7f000000, IDC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_fp_env env = {cases[i].fpcr, 0};
        uint32_t value = cases[i].function(cases[i].a, &env);
        check("one operand", i, value, cases[i].expected, env.fpsr, cases[i].flags);
    }
    assert_int_equal(mv_fp_urecpe(0x7fffffff), 0xffffffff);
    assert_int_equal(mv_fp_urecpe(0x80000000), 0xff800000);
    assert_int_equal(mv_fp_ursqrte(0x3fffffff), 0xffffffff);
    assert_int_equal(mv_fp_ursqrte(0x40000000), 0xff800000);
}

static void test_compare(void **state)
{
    static const struct {
        uint32_t fpcr, a, b;
        bool signal;
        unsigned expected;
        uint32_t flags;
    } cases[] = {
        {RN, 0, S_NEG, false, 6, 0},
        {RN, S_ONE, S_TWO, true, 8, 0},
        {RN, 0xbf800000, 0xc0000000, false, 2, 0},
        {RN, S_INF | S_NEG, S_INF, false, 8, 0},
        {RN, S_QNAN, S_ONE, false, 3, 0},
        {RN, S_QNAN, S_ONE, true, 3, IOC},
        {RN, S_ONE, S_SNAN, false, 3, IOC},
        {RN, S_DENOR, 0, false, 2, 0},
        {FZ, S_DENOR, 0, false, 6, IDC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_fp_env env = {cases[i].fpcr, 0};
        unsigned value = mv_fp32_cmp(cases[i].a, cases[i].b, cases[i].signal, &env);
        check("compare", i, value, cases[i].expected, env.fpsr, cases[i].flags);
    }
}

static void test_integers(void **state)
{
    static const struct {
        uint32_t fpcr, a;
        unsigned fbits;
        bool is_unsigned;
        unsigned size;
        enum mv_fp_rounding rounding;
        uint64_t expected;
        uint32_t flags;
    } to[] = {
        {RN, 0x40200000, 0, false, 32, MV_FP_TIEEVEN, 2, IXC}, /* 2.5 */
        {RN, 0x40200000, 0, false, 32, MV_FP_TIEAWAY, 3, IXC},
        {RN, 0xc0200000, 0, false, 32, MV_FP_TIEAWAY, 0xfffffffd, IXC},
        {RN, 0xc0200000, 0, false, 32, MV_FP_POSINF, 0xfffffffe, IXC},
        {RN, 0xc0200000, 0, false, 64, MV_FP_NEGINF, 0xfffffffffffffffd, IXC},
        {RN, 0xbe800000, 0, true, 32, MV_FP_ZERO, 0, IXC}, /* -0.25 */
        {RN, 0xbe800000, 0, true, 32, MV_FP_NEGINF, 0, IOC},
        {RN, 0x4f000000, 0, false, 32, MV_FP_ZERO, 0x7fffffff, IOC}, /* 2^31 */
        {RN, 0xcf000000, 0, false, 32, MV_FP_ZERO, 0x80000000, 0},
        {RN, 0x4f000000, 0, true, 32, MV_FP_ZERO, 0x80000000, 0},
        {RN, 0x4f800000, 0, true, 32, MV_FP_ZERO, 0xffffffff, IOC},
        {RN, 0x5f800000, 0, true, 64, MV_FP_ZERO, 0xffffffffffffffff, IOC},
        {RN, S_INF | S_NEG, 0, false, 64, MV_FP_ZERO, 0x8000000000000000, IOC},
        {RN, S_QNAN | S_NEG, 0, false, 64, MV_FP_ZERO, 0, IOC},
        {RN, 0x40200000, 1, false, 32, MV_FP_ZERO, 5, 0},
        {RN, 0x3effffff, 64, true, 64, MV_FP_ZERO, 0x7fffff8000000000, 0},
        {RN, 0x46fffe01, 0, false, 16, MV_FP_ZERO, 0x7fff, IXC},
        {RN, 0x47000000, 0, false, 16, MV_FP_ZERO, 0x7fff, IOC},
        {FZ, S_DENOR, 0, false, 32, MV_FP_POSINF, 0, IDC},
    };
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        struct mv_fp_env env = {to[i].fpcr, 0};
        uint64_t value = mv_fp32_to_fixed(to[i].a, to[i].fbits, to[i].is_unsigned, to[i].size,
                                          to[i].rounding, &env);
        check("to fixed", i, value, to[i].expected, env.fpsr, to[i].flags);
    }

    struct mv_fp_env env = {RN, 0};
    assert_int_equal(mv_fp32_from_fixed(UINT64_MAX, 0, false, &env), 0xbf800000);
    assert_int_equal(mv_fp32_from_fixed(0, 0, false, &env), 0);
    assert_int_equal(mv_fp32_from_fixed(1, 64, true, &env), 0x1f800000);
    assert_int_equal(env.fpsr, 0);
    assert_int_equal(mv_fp32_from_fixed(UINT64_MAX, 0, true, &env), 0x5f800000);
    assert_int_equal(env.fpsr, IXC);
    env.fpcr = RZ;
    assert_int_equal(mv_fp32_from_fixed(UINT64_MAX, 0, true, &env), 0x5f7fffff);
    assert_int_equal(mv_fp64_from_fixed(UINT64_C(1) << 63, 0, false, &env), 0xc3e0000000000000);

    env = (struct mv_fp_env){RN, 0};
    assert_int_equal(mv_fp32_rint(0x3f000000, MV_FP_TIEEVEN, false, &env), 0); /* 0.5 */
    assert_int_equal(mv_fp32_rint(0xbf000000, MV_FP_TIEEVEN, false, &env), S_NEG);
    assert_int_equal(mv_fp32_rint(0x3f000000, MV_FP_TIEAWAY, false, &env), S_ONE);
    assert_int_equal(mv_fp32_rint(0x4affffff, MV_FP_POSINF, false, &env), 0x4b000000);
    assert_int_equal(mv_fp32_rint(0x4b000001, MV_FP_POSINF, true, &env), 0x4b000001);
    assert_int_equal(env.fpsr, 0);
    assert_int_equal(mv_fp32_rint(0x3f000000, MV_FP_NEGINF, true, &env), 0);
    assert_int_equal(env.fpsr, IXC);
}

static void test_convert(void **state)
{
    static const struct {
        uint32_t fpcr, a;
        uint16_t expected;
        uint32_t flags;
    } to_half[] = {
        {RN, S_ONE, 0x3c00, 0},
        {RN, 0x477ff000, 0x7c00, OFC | IXC}, /* 65520, a tie with what would be 2^16 */
        {RN, 0x477fefff, 0x7bff, IXC},
        {RN, 0x33800000, 0x0001, 0}, /* the smallest denormal */
        {FZ, 0x33800000, 0x0001, 0}, /* half precision is not flushed */
        {RN, 0x33000000, 0x0000, UFC | IXC},
        {RN, 0x7f802000, 0x7e01, IOC},
        {DN, 0xffc02000, 0x7e00, 0},
        {AHP, 0x477ff000, 0x7c00, IXC},
        {AHP, 0x48000000, 0x7fff, IOC}, /* 2^17 */
        {AHP, S_INF | S_NEG, 0xffff, IOC},
        {AHP, S_QNAN | S_NEG, 0x8000, IOC},
    };
    for (size_t i = 0; i < sizeof to_half / sizeof to_half[0]; i++) {
        struct mv_fp_env env = {to_half[i].fpcr, 0};
        uint16_t value = mv_fp32_to_fp16(to_half[i].a, &env);
        check("to half", i, value, to_half[i].expected, env.fpsr, to_half[i].flags);
    }

    struct mv_fp_env env = {RN, 0};
    assert_int_equal(mv_fp16_to_fp32(0x0001, &env), 0x33800000);
    assert_int_equal(mv_fp16_to_fp64(0xfc00, &env), 0xfff0000000000000);
    assert_int_equal(mv_fp32_to_fp64(0xffc12345, &env), 0xfff82468a0000000);
    assert_int_equal(mv_fp64_to_fp32(0x7ff80000ffffffff, RN, &env), 0x7fc00007);
    assert_int_equal(env.fpsr, 0);
    assert_int_equal(mv_fp16_to_fp32(0x7c01, &env), 0x7fc02000);
    assert_int_equal(env.fpsr, IOC);
    env = (struct mv_fp_env){AHP | FZ, 0};
    assert_int_equal(mv_fp16_to_fp32(0x7c00, &env), 0x47800000);
    assert_int_equal(mv_fp16_to_fp32(0x0001, &env), 0x33800000);
    assert_int_equal(env.fpsr, 0);

    /* To odd: what is not exact has its last bit set, and never overflows. */
    assert_int_equal(mv_fp64_to_fp32(0x3ff0000000000001, MV_FP_ODD, &env), 0x3f800001);
    assert_int_equal(mv_fp64_to_fp32(0x3ff0000030000000, MV_FP_ODD, &env), 0x3f800001);
    assert_int_equal(env.fpsr, IXC);
    assert_int_equal(mv_fp64_to_fp32(0x7fe0000000000000, MV_FP_ODD, &env), S_MAX);
    assert_int_equal(env.fpsr, IXC | OFC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nans),      cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_underflow), cmocka_unit_test(test_max_min),
        cmocka_unit_test(test_muladd),    cmocka_unit_test(test_one_operand),
        cmocka_unit_test(test_compare),   cmocka_unit_test(test_integers),
        cmocka_unit_test(test_convert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
