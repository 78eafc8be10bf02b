/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions of different element sizes, and of
 * those by element (Arm ARM C7.2).
 */
#include "vector.h"

/* Wider than the types that the expressions are about, so that none overflows. */
#define A         ((wide)MV_LANE(const narrow, MV_VN, op->ra * op->aux + i))
#define B         ((wide)MV_LANE(const narrow, MV_VM, op->ra * op->aux + i))
#define B_ELEMENT ((wide)MV_LANE(const narrow, MV_VM, op->imm))
#define WIDE_A    ((wide)MV_LANE(const wide, MV_VN, i))
#define WIDE_B    ((wide)MV_LANE(const wide, MV_VM, i))
#define WIDE_D    ((wide)MV_LANE(const wide, MV_VD, i))

/* One expression over the elements of a half, or of whole registers. */
#define WIDEN(name, narrow, wide, expression)                                                      \
    MV_LANES(name, narrow, wide, wide, op->aux, expression)

#define DIFFERENCE (A > B ? A - B : B - A)
MV_EACH_SU(MV_EACH_BHS, WIDEN, addl, A + B)
MV_EACH_SU(MV_EACH_BHS, WIDEN, addw, (uint64_t)WIDE_A + (uint64_t)B)
MV_EACH_SU(MV_EACH_BHS, WIDEN, subl, A - B)
MV_EACH_SU(MV_EACH_BHS, WIDEN, subw, (uint64_t)WIDE_A - (uint64_t)B)
MV_EACH_SU(MV_EACH_BHS, WIDEN, abdl, DIFFERENCE)
MV_EACH_SU(MV_EACH_BHS, WIDEN, abal, (uint64_t)WIDE_D + (uint64_t)DIFFERENCE)
MV_EACH_SU(MV_EACH_BHS, WIDEN, mull, A *B)
MV_EACH_SU(MV_EACH_BHS, WIDEN, mlal, (uint64_t)WIDE_D + (uint64_t)(A * B))
MV_EACH_SU(MV_EACH_BHS, WIDEN, mlsl, (uint64_t)WIDE_D - (uint64_t)(A * B))
MV_EACH_SU(MV_EACH_HS, WIDEN, mull_el, A *B_ELEMENT)
MV_EACH_SU(MV_EACH_HS, WIDEN, mlal_el, (uint64_t)WIDE_D + (uint64_t)(A * B_ELEMENT))
MV_EACH_SU(MV_EACH_HS, WIDEN, mlsl_el, (uint64_t)WIDE_D - (uint64_t)(A * B_ELEMENT))

/* Doubled products saturate, and so does what they are added to. */
#define SATURATED(value) mv_saturate_signed(cpu, value, 8 * sizeof(wide))
#define DOUBLED(b)       SATURATED(2 * (__int128)A * (b))
MV_EACH_HS(WIDEN, vsqdmull, , DOUBLED(B))
MV_EACH_HS(WIDEN, vsqdmlal, , SATURATED((__int128)WIDE_D + DOUBLED(B)))
MV_EACH_HS(WIDEN, vsqdmlsl, , SATURATED((__int128)WIDE_D - DOUBLED(B)))
MV_EACH_HS(WIDEN, vsqdmull_el, , DOUBLED(B_ELEMENT))
MV_EACH_HS(WIDEN, vsqdmlal_el, , SATURATED((__int128)WIDE_D + DOUBLED(B_ELEMENT)))
MV_EACH_HS(WIDEN, vsqdmlsl_el, , SATURATED((__int128)WIDE_D - DOUBLED(B_ELEMENT)))

static inline uint32_t polynomial_product(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (unsigned bit = 0; bit < 8; bit++)
        product ^= (b << bit) & -(a >> bit & 1);
    return product;
}
WIDEN(vpmull_8, uint8_t, uint16_t, polynomial_product(A, B))

/* The upper halves of sums and differences. */
#define HIGH_HALF(name, narrow, wide, expression)                                                  \
    MV_NARROW(name, narrow, wide, 8 / sizeof(narrow), (wide)(expression) >> 8 * sizeof(narrow))
#define ROUNDING ((wide)1 << (8 * sizeof(narrow) - 1))
MV_EACH_BHS(HIGH_HALF, vaddhn, u, WIDE_A + WIDE_B)
MV_EACH_BHS(HIGH_HALF, vsubhn, u, WIDE_A - WIDE_B)
MV_EACH_BHS(HIGH_HALF, vraddhn, u, WIDE_A + WIDE_B + ROUNDING)
MV_EACH_BHS(HIGH_HALF, vrsubhn, u, WIDE_A - WIDE_B + ROUNDING)

/* By element, of one size. */
#define M_ELEMENT MV_LANE(const __typeof__(n[0]), MV_VM, op->ra)
MV_WHOLE(vmul_el_16, mv_u16x8, n *M_ELEMENT)
MV_WHOLE(vmul_el_32, mv_u32x4, n *M_ELEMENT)
MV_WHOLE(vmla_el_16, mv_u16x8, d + n * M_ELEMENT)
MV_WHOLE(vmla_el_32, mv_u32x4, d + n * M_ELEMENT)
MV_WHOLE(vmls_el_16, mv_u16x8, d - n * M_ELEMENT)
MV_WHOLE(vmls_el_32, mv_u32x4, d - n * M_ELEMENT)
