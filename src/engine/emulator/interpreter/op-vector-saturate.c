/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD integer instructions, vector and scalar, that saturate
 * or shift by a register (Arm ARM C7.2).  They go element by element, since
 * only elements that exist may set FPSR.QC.
 */
#include "vector.h"

/*
 * One expression over elements N and M, which are
 * `wide` so that it may exceed the type before it saturates.
 */
#define LANES(name, type, wide, expression)                                                        \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        typedef type element;                                                                      \
        typedef wide wide_element;                                                                 \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(type, &result, i) = (type)(expression(8 * sizeof(type)));                      \
        *MV_VD = result;                                                                           \
    }
#define N ((wide_element)MV_LANE(element, MV_VN, i))
#define M ((wide_element)MV_LANE(element, MV_VM, i))
#define LANES_HS(name, sign, expression)                                                           \
    LANES(name##_16, sign##int16_t, int64_t, expression)                                           \
    LANES(name##_32, sign##int32_t, int64_t, expression)
#define LANES_BHSD(name, sign, expression)                                                         \
    LANES(name##_8, sign##int8_t, int64_t, expression)                                             \
    LANES_HS(name, sign, expression)                                                               \
    LANES(name##_64, sign##int64_t, __int128, expression)

#define SUM_S(bits) mv_saturate_signed(cpu, N + M, bits)
#define SUM_U(bits) mv_saturate_unsigned(cpu, N + M, bits)
#define DIFFERENCE_S(bits) mv_saturate_signed(cpu, N - M, bits)
#define DIFFERENCE_U(bits) mv_saturate_unsigned(cpu, N - M, bits)
LANES_BHSD(vsqadd, , SUM_S)
LANES_BHSD(vuqadd, u, SUM_U)
LANES_BHSD(vsqsub, , DIFFERENCE_S)
LANES_BHSD(vuqsub, u, DIFFERENCE_U)

/* The accumulating ones: n and d differ in signedness. */
#define ACCUMULATE(name, type_n, type_d, saturate)                                                 \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < op->aux; i++)                                                     \
            MV_LANE(type_d, &result, i) = (type_d)saturate(                                        \
                cpu, (__int128)MV_LANE(type_n, MV_VN, i) + MV_LANE(type_d, MV_VD, i),              \
                8 * sizeof(type_d));                                                               \
        *MV_VD = result;                                                                           \
    }
#define ACCUMULATE_BHSD(name, sign_n, sign_d, saturate)                                            \
    ACCUMULATE(name##_8, sign_n##int8_t, sign_d##int8_t, saturate)                                 \
    ACCUMULATE(name##_16, sign_n##int16_t, sign_d##int16_t, saturate)                              \
    ACCUMULATE(name##_32, sign_n##int32_t, sign_d##int32_t, saturate)                              \
    ACCUMULATE(name##_64, sign_n##int64_t, sign_d##int64_t, saturate)
ACCUMULATE_BHSD(vsuqadd, u, , mv_saturate_signed)
ACCUMULATE_BHSD(vusqadd, , u, mv_saturate_unsigned)

#define ABSOLUTE(bits) mv_saturate_signed(cpu, N < 0 ? -N : N, bits)
#define NEGATED(bits) mv_saturate_signed(cpu, -N, bits)
LANES_BHSD(vsqabs, , ABSOLUTE)
LANES_BHSD(vsqneg, , NEGATED)

/* Doubled products, upper half. */
#define HIGH_PRODUCT(bits) mv_saturate_signed(cpu, (2 * (__int128)N * M) >> (bits), bits)
#define HIGH_PRODUCT_ROUNDED(bits)                                                                 \
    mv_saturate_signed(cpu, (2 * (__int128)N * M + ((int64_t)1 << ((bits) - 1))) >> (bits), bits)
LANES_HS(vsqdmulh, , HIGH_PRODUCT)
LANES_HS(vsqrdmulh, , HIGH_PRODUCT_ROUNDED)

/* Shifts by the signed lowest byte of m, or by an immediate, the field rm. */
#define AMOUNT ((int8_t)M)
#define SHL(bits) mv_shift_signed(N, AMOUNT, false)
#define RSHL(bits) mv_shift_signed(N, AMOUNT, true)
#define QSHL_S(bits) mv_saturate_signed(cpu, mv_shift_signed(N, AMOUNT, false), bits)
#define QRSHL_S(bits) mv_saturate_signed(cpu, mv_shift_signed(N, AMOUNT, true), bits)
#define QSHL_U(bits) mv_saturate_unsigned(cpu, mv_shift_unsigned(N, AMOUNT, false), bits)
#define QRSHL_U(bits) mv_saturate_unsigned(cpu, mv_shift_unsigned(N, AMOUNT, true), bits)
#define QSHL_IMM_S(bits) mv_saturate_signed(cpu, mv_shift_signed(N, op->rm, false), bits)
#define QSHL_IMM_U(bits) mv_saturate_unsigned(cpu, mv_shift_unsigned(N, op->rm, false), bits)
LANES_BHSD(vsshl, , SHL)
LANES_BHSD(vushl, u, SHL)
LANES_BHSD(vsrshl, , RSHL)
LANES_BHSD(vurshl, u, RSHL)
LANES_BHSD(vsqshl, , QSHL_S)
LANES_BHSD(vuqshl, u, QSHL_U)
LANES_BHSD(vsqrshl, , QRSHL_S)
LANES_BHSD(vuqrshl, u, QRSHL_U)
LANES_BHSD(vsqshl_imm, , QSHL_IMM_S)
LANES_BHSD(vuqshl_imm, u, QSHL_IMM_U)
LANES_BHSD(vsqshlu_imm, , QSHL_IMM_U)
