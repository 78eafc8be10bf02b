/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of different element sizes, and of
 * those by element (Arm ARM C7.2).
 */
#include "vector.h"

/* Wider than the types that the expressions are about, so that none overflows. */
#define A ((wide)MV_LANE(const narrow, MV_VN, op->ra *op->aux + i))
#define B ((wide)MV_LANE(const narrow, MV_VM, op->ra *op->aux + i))
#define B_ELEMENT ((wide)MV_LANE(const narrow, MV_VM, op->imm))
#define WIDE_A ((wide)MV_LANE(const wide, MV_VN, i))
#define WIDE_B ((wide)MV_LANE(const wide, MV_VM, i))
#define WIDE_D ((wide)MV_LANE(const wide, MV_VD, i))

/* One expression over the elements of a half, or of whole registers. */
#define WIDEN(name, narrow_type, wide_type, expression)                                            \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        typedef narrow_type narrow;                                                                \
        typedef wide_type wide;                                                                    \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(wide, &result, i) = (wide)(expression);                                        \
        *MV_VD = result;                                                                           \
    }
#define WIDEN_HS(name, sign, expression)                                                           \
    WIDEN(name##_16, sign##int16_t, sign##int32_t, expression)                                     \
    WIDEN(name##_32, sign##int32_t, sign##int64_t, expression)
#define WIDEN_BHS(name, sign, expression)                                                          \
    WIDEN(name##_8, sign##int8_t, sign##int16_t, expression)                                       \
    WIDEN_HS(name, sign, expression)

WIDEN_BHS(vsaddl, , A + B)
WIDEN_BHS(vuaddl, u, A + B)
WIDEN_BHS(vsaddw, , (uint64_t)WIDE_A + (uint64_t)B)
WIDEN_BHS(vuaddw, u, WIDE_A + B)
WIDEN_BHS(vssubl, , A - B)
WIDEN_BHS(vusubl, u, A - B)
WIDEN_BHS(vssubw, , (uint64_t)WIDE_A - (uint64_t)B)
WIDEN_BHS(vusubw, u, WIDE_A - B)
#define DIFFERENCE (A > B ? A - B : B - A)
WIDEN_BHS(vsabdl, , DIFFERENCE)
WIDEN_BHS(vuabdl, u, DIFFERENCE)
WIDEN_BHS(vsabal, , (uint64_t)WIDE_D + (uint64_t)DIFFERENCE)
WIDEN_BHS(vuabal, u, WIDE_D + DIFFERENCE)

#define PRODUCTS(sign, letter)                                                                     \
    WIDEN_BHS(v##letter##mull, sign, A *B)                                                         \
    WIDEN_BHS(v##letter##mlal, sign, (uint64_t)WIDE_D + (uint64_t)(A * B))                         \
    WIDEN_BHS(v##letter##mlsl, sign, (uint64_t)WIDE_D - (uint64_t)(A * B))                         \
    WIDEN_HS(v##letter##mull_el, sign, A *B_ELEMENT)                                               \
    WIDEN_HS(v##letter##mlal_el, sign, (uint64_t)WIDE_D + (uint64_t)(A * B_ELEMENT))               \
    WIDEN_HS(v##letter##mlsl_el, sign, (uint64_t)WIDE_D - (uint64_t)(A * B_ELEMENT))
PRODUCTS(, s)
PRODUCTS(u, u)

/* Doubled products saturate, and so does what they are added to. */
#define WIDE_BITS (8 * sizeof(wide))
#define DOUBLED(b) mv_saturate_signed(cpu, 2 * (__int128)A * (b), WIDE_BITS)
#define DOUBLED_ADDED(b) mv_saturate_signed(cpu, (__int128)WIDE_D + DOUBLED(b), WIDE_BITS)
#define DOUBLED_TAKEN(b) mv_saturate_signed(cpu, (__int128)WIDE_D - DOUBLED(b), WIDE_BITS)
WIDEN_HS(vsqdmull, , DOUBLED(B))
WIDEN_HS(vsqdmlal, , DOUBLED_ADDED(B))
WIDEN_HS(vsqdmlsl, , DOUBLED_TAKEN(B))
WIDEN_HS(vsqdmull_el, , DOUBLED(B_ELEMENT))
WIDEN_HS(vsqdmlal_el, , DOUBLED_ADDED(B_ELEMENT))
WIDEN_HS(vsqdmlsl_el, , DOUBLED_TAKEN(B_ELEMENT))

static inline uint32_t polynomial_product(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (unsigned bit = 0; bit < 8; bit++)
        product ^= (b << bit) & -(a >> bit & 1);
    return product;
}
WIDEN(vpmull_8, uint8_t, uint16_t, polynomial_product(A, B))

/* The upper halves of sums and differences. */
#define HIGH_HALF(name, narrow_type, wide_type, expression)                                        \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        typedef narrow_type narrow;                                                                \
        typedef wide_type wide;                                                                    \
        uint64_t half = 0;                                                                         \
        for (unsigned i = 0; i < 8 / sizeof(narrow); i++)                                          \
            MV_LANE(narrow, &half, i) = (narrow)((wide)(expression) >> 8 * sizeof(narrow));        \
        mv_vector_set_half(cpu, op, half);                                                         \
    }
#define HIGH_HALF_BHS(name, expression)                                                            \
    HIGH_HALF(name##_8, uint8_t, uint16_t, expression)                                             \
    HIGH_HALF(name##_16, uint16_t, uint32_t, expression)                                           \
    HIGH_HALF(name##_32, uint32_t, uint64_t, expression)
#define ROUNDING ((wide)1 << (8 * sizeof(narrow) - 1))
HIGH_HALF_BHS(vaddhn, WIDE_A + WIDE_B)
HIGH_HALF_BHS(vsubhn, WIDE_A - WIDE_B)
HIGH_HALF_BHS(vraddhn, WIDE_A + WIDE_B + ROUNDING)
HIGH_HALF_BHS(vrsubhn, WIDE_A - WIDE_B + ROUNDING)

/* By element, of one size. */
#define BY_ELEMENT(name, type, lane, expression)                                                   \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const type n = *(const type *)MV_VN, d = *(const type *)MV_VD;                             \
        const lane m = MV_LANE(const lane, MV_VM, op->ra);                                         \
        (void)d;                                                                                   \
        mv_vector_set(cpu, op, (mv_u64x2)(expression));                                            \
        MV_NEXT;                                                                                   \
    }
#define BY_ELEMENT_HS(name, expression)                                                            \
    BY_ELEMENT(name##_16, mv_u16x8, uint16_t, expression)                                          \
    BY_ELEMENT(name##_32, mv_u32x4, uint32_t, expression)
BY_ELEMENT_HS(vmul_el, n *m)
BY_ELEMENT_HS(vmla_el, d + n * m)
BY_ELEMENT_HS(vmls_el, d - n * m)

#define HIGH_PRODUCT(name, type, rounding)                                                         \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        enum { BITS = 8 * sizeof(type) };                                                          \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        int64_t m = MV_LANE(const type, MV_VM, op->ra);                                            \
        for (unsigned i = 0; i < op->aux; i++) {                                                   \
            __int128 product = 2 * (__int128)MV_LANE(const type, MV_VN, i) * m;                    \
            MV_LANE(type, &result, i) =                                                            \
                (type)mv_saturate_signed(cpu, (product + (rounding)) >> BITS, BITS);               \
        }                                                                                          \
        *MV_VD = result;                                                                           \
    }
HIGH_PRODUCT(vsqdmulh_el_16, int16_t, 0)
HIGH_PRODUCT(vsqdmulh_el_32, int32_t, 0)
HIGH_PRODUCT(vsqrdmulh_el_16, int16_t, (int64_t)1 << (BITS - 1))
HIGH_PRODUCT(vsqrdmulh_el_32, int32_t, (int64_t)1 << (BITS - 1))
